"""The style sheet's colours can be distinguished, by day and by night (WCAG 2.2, AA)."""

from __future__ import annotations

import re

import pytest

from web import environment as press

_VARIABLE = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
SURFACES = ("paper", "card", "good-wash", "warn-wash", "bad-wash", "idle-wash")


def colours() -> dict[str, tuple[str, str]]:
    found = press.static("style.css")
    assert found is not None
    return {name: (day, night) for name, day, night in _VARIABLE.findall(found[0].decode())}


def contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 0.2126 * _linear(red) + 0.7152 * _linear(green) + 0.0722 * _linear(blue)


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("ink", ["ink", "soft", "accent", "danger"])
def test_words_are_readable_on_every_surface(ink: str, surface: str) -> None:
    for over, under in zip(colours()[ink], colours()[surface], strict=True):
        assert contrast(over, under) >= 4.5


def test_the_words_on_a_button_are_readable() -> None:
    for over, under in zip(colours()["on-accent"], colours()["accent"], strict=True):
        assert contrast(over, under) >= 4.5


@pytest.mark.parametrize(
    "mark",
    ["ready", "cooling", "exhausted", "unchecked", "paused", "revoked", "c0", "c1", "c2", "c3", "c4", "c5", "edge"],
)
def test_marks_and_the_edges_of_fields_stand_out(mark: str) -> None:
    for surface in ("paper", "card"):
        for over, under in zip(colours()[mark], colours()[surface], strict=True):
            assert contrast(over, under) >= 3


def test_a_fuller_hour_is_stronger_in_colour_by_day_and_by_night() -> None:
    for theme in (0, 1):
        card = colours()["card"][theme]
        strengths = [contrast(colours()[f"h{step}"][theme], card) for step in range(5)]
        assert strengths == sorted(strengths)
