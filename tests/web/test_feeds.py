"""A badge and a feed for other programs and pages."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.web.test_every_page import HOSTILE
from web.feeds import badge, feed
from web.view import Tone
from web.view_public import FeedEntry, FeedView

SVG, ATOM = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/2005/Atom}"


def read(document: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(document)


@pytest.mark.parametrize("tone", ["good", "warn", "bad", "idle"])
def test_a_badge_says_its_two_texts_to_those_who_see_and_to_those_who_hear(tone: Tone) -> None:
    root = read(badge("gpt-5.2", "no wait", tone))
    assert root.get("aria-label") == "gpt-5.2: no wait"
    assert [text.text for text in root.iter(f"{SVG}text")] == ["gpt-5.2", "no wait"]


def test_a_badge_is_as_wide_as_its_texts_and_what_is_too_long_is_cut() -> None:
    short, long = read(badge("a", "b", "good")), read(badge("a" * 500, "b", "good"))
    assert int(short.get("width") or 0) < int(long.get("width") or 0) < 1000
    assert (long.get("aria-label") or "").startswith("a" * 59 + "…")


def test_a_badge_loads_nothing_and_runs_nothing() -> None:
    names = {element.tag.removeprefix(SVG) for element in read(badge("a", "b", "bad")).iter()}
    assert names == {"svg", "title", "clipPath", "rect", "g", "text"}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_text_in_both(text: str) -> None:
    plain = [element.tag for element in read(badge("a", "b", "good")).iter()]
    assert [element.tag for element in read(badge(text, text, "good")).iter()] == plain
    entry = FeedEntry("e", text, text, 0, 0, "incident")
    harmless = [element.tag for element in read(feed(a_feed(FeedEntry("e", "a", "b", 0, 0, "incident")))).iter()]
    assert [element.tag for element in read(feed(a_feed(entry))).iter()] == harmless


def test_a_feed_has_what_atom_demands() -> None:
    newest = FeedEntry(
        "incident-17",
        "gpt-5.2 did not answer",
        "From 14:00 to 14:20.",
        1_790_000_000_000,
        1_790_001_200_000,
        "incident",
    )
    root = read(feed(a_feed(newest)))
    assert root.findtext(f"{ATOM}id") == "https://llm.example.edu/feed.xml"
    assert root.findtext(f"{ATOM}updated") == "2026-09-21T14:13:20Z"
    assert root.findtext(f"{ATOM}author/{ATOM}name") == "Library gateway"
    (entry,) = root.iter(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}id") == "https://llm.example.edu/feed.xml#incident-17"
    assert entry.findtext(f"{ATOM}published") == "2026-09-21T14:13:20Z"
    assert entry.findtext(f"{ATOM}updated") == "2026-09-21T14:33:20Z"
    assert entry.findtext(f"{ATOM}content") == "From 14:00 to 14:20."


def test_a_feed_without_entries_is_a_feed() -> None:
    assert read(feed(a_feed())).tag == f"{ATOM}feed"


def a_feed(*entries: FeedEntry) -> FeedView:
    return FeedView("Library gateway", "https://llm.example.edu", 1_790_000_000_000, entries)
