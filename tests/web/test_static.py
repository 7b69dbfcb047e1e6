"""The files the pages load."""

from __future__ import annotations

import pytest

from web import render


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("style.css", "text/css; charset=utf-8"),
        ("live.js", "text/javascript; charset=utf-8"),
        ("theme.js", "text/javascript; charset=utf-8"),
        ("copy.js", "text/javascript; charset=utf-8"),
        ("chat.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_a_static_file_has_its_type_and_a_quoted_etag_of_its_content(name: str, content_type: str) -> None:
    found = render.static(name)
    assert found is not None
    content, found_type, etag = found
    assert content
    assert found_type == content_type
    assert etag.startswith('"')
    assert etag.endswith('"')


def test_different_files_have_different_etags() -> None:
    etags = [found[2] for name in ("style.css", "live.js", "icon.svg") if (found := render.static(name))]
    assert len(set(etags)) == 3


@pytest.mark.parametrize("name", ["", "missing.css", "../view.py", "../templates/status.html", "/etc/passwd"])
def test_nothing_but_the_listed_files_is_served(name: str) -> None:
    assert render.static(name) is None


@pytest.mark.parametrize("name", ["live.js", "theme.js", "copy.js", "charts.js", "chat.js"])
def test_no_script_ever_turns_text_into_markup_in_the_page(name: str) -> None:
    found = render.static(name)
    assert found is not None
    for forbidden in (b"innerHTML", b"outerHTML", b"insertAdjacentHTML", b"document.write", b"eval("):
        assert forbidden not in found[0]


def test_the_policy_allows_no_inline_code_and_no_foreign_origin() -> None:
    assert render.CONTENT_SECURITY_POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in render.CONTENT_SECURITY_POLICY
    assert "http" not in render.CONTENT_SECURITY_POLICY
