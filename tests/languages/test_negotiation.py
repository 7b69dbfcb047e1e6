"""Which language a reader gets."""

from __future__ import annotations

import pytest

from web.languages import negotiated

BOTH = ("en", "de")


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("fr,de;q=0.5", "de"),
        ("fr", "en"),
        ("de;q=0", "en"),
        ("en;q=0.4, de;q=0.5", "de"),
        ("de;q=0.5, en;q=0.5", "de"),  # as named
        ("*", "en"),
        ("*;q=0.1, de;q=0.2", "de"),
        ("deutsch", "en"),
        ("de;q=high", "en"),
        ("de;q=nan", "en"),
        ("de;q=2", "en"),
        ("de; q = 0.7, en;q=0.1", "de"),
        (";;;,,,=", "en"),
        (",".join(["fr"] * 20) + ",de", "en"),  # nothing reads a header without end
    ],
)
def test_the_language_that_is_wanted_most_of_those_that_there_are(wanted: str, got: str) -> None:
    assert negotiated(wanted, BOTH) == got


def test_the_first_that_is_offered_is_for_all_others() -> None:
    assert negotiated("fr", ("de", "en")) == negotiated("*", ("de", "en")) == "de"
