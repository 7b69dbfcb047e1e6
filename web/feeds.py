"""The badge and the feed for other programs and pages: SVG, as shields.io draws them, and Atom."""

from __future__ import annotations

import re

from web import environment as press
from web.view import Tone
from web.view_public import FeedView

LONGEST = 60  # characters of a badge's label or text

_COLOURS: dict[Tone, str] = {"good": "#2c8455", "warn": "#9a690a", "bad": "#b3363f", "idle": "#66706a"}
_NARROW, _BROAD = "fijlrtI1.,:;'|!()[]{} -", "mwMWGOQ%@"
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def badge(label: str, text: str, tone: Tone) -> bytes:
    """An SVG of two fields, such as "gpt-5.2 | no wait". What is too long ends with an ellipsis."""
    label, text = _short(label), _short(text)
    left, right = _width(label), _width(text)
    return press.filled("badge.svg", label=label, text=text, left=left, right=right, colour=_COLOURS[tone])


def feed(view: FeedView) -> bytes:
    """An Atom document (RFC 4287)."""
    return press.filled("feed.xml", view=view, clean=_clean)


def _short(text: str) -> str:
    text = _clean(" ".join(text.split()))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _FORBIDDEN.sub("�", text)


def _width(text: str) -> int:
    """Pixels of a text in Verdana 11, roughly; the drawn text is stretched to exactly this."""
    return 12 + round(sum(4 if each in _NARROW else 10 if each in _BROAD else 7 for each in text))
