"""By which names a gateway without credentials answers, and to whose pages."""

from __future__ import annotations

import pytest

from server.wire.sites import is_from_elsewhere, is_own_name

NAMES = {"llm.example.org"}


@pytest.mark.parametrize(
    "host",
    ["llm.example.org", "LLM.example.org:8080", "llm.example.org.", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7",
     "localhost", "localhost:3000", "a.localhost", "fairgate:8080"],
)  # fmt: skip
def test_a_name_that_no_stranger_can_point_here_is_ours(host: str) -> None:
    assert is_own_name(host, NAMES)


@pytest.mark.parametrize(
    "host",
    ["", ":80", "evil.example", "llm.example.org.evil.example", "127.0.0.1.evil.example", "evil.example:8080",
     "localhost.evil.example", "[::1", "xlocalhost.example", "evil.example@127.0.0.1.nip.io"],
)  # fmt: skip
def test_any_other_name_is_not(host: str) -> None:
    assert not is_own_name(host, NAMES)


@pytest.mark.parametrize(
    ("site", "origin", "elsewhere"),
    [
        (None, None, False),
        ("none", None, False),
        ("same-origin", "http://127.0.0.1:8080", False),
        ("same-origin", None, False),
        (None, "https://llm.example.org", False),
        ("cross-site", None, True),
        ("same-site", None, True),
        ("something new", None, True),
        (None, "https://evil.example", True),
        (None, "http://127.0.0.1:3000", True),
        (None, "null", True),
        (None, "", True),
        ("none", "https://evil.example", True),
    ],
)
def test_what_a_browser_sends_for_another_site_is_known(site: str | None, origin: str | None, elsewhere: bool) -> None:
    assert is_from_elsewhere(site, origin, "127.0.0.1:8080", "https://llm.example.org") is elsewhere


@pytest.mark.parametrize("origin", ["null", "", "file://", "https://"])
def test_an_origin_without_a_name_is_never_ours(origin: str) -> None:
    assert is_from_elsewhere(None, origin, "127.0.0.1:8080", "")
    assert is_from_elsewhere(None, origin, "", "")
