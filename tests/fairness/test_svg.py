"""The pictures of docs/fairness.md."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.fairness.svg import HEIGHT, WIDTH, Line, Plot

CURVES = [Line("one & two", [(1.0, -5.0), (10.0, 2.0)]), Line("three", [(0.1, 0.0), (100.0, 3.0)])]


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_plot_is_well_formed_and_stays_in_its_frame(logarithmic: bool) -> None:
    root = ElementTree.fromstring(Plot("<title>", "across", "up", CURVES, logarithmic).svg())
    curves = [each.attrib["points"] for each in root.iter() if each.tag.endswith("polyline")]
    assert len(curves) == 2
    places = [tuple(map(float, pair.split(","))) for curve in curves for pair in curve.split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)


def test_a_plot_names_its_curves_once_and_is_readable_in_the_dark() -> None:
    text = Plot("waits", "s", "share", [*CURVES, *CURVES]).svg()
    assert text.count("one &amp; two</text>") == 1
    assert "prefers-color-scheme: dark" in text
