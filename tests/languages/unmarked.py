"""What a page says that is no message of ours: found on pages whose messages stand in brackets (`en-XA`)."""

from __future__ import annotations

import calendar
import re
from collections.abc import Set
from html.parser import HTMLParser

OPEN, CLOSE = "⟦⟧"
TITLE = "Library gateway"  # of the samples
SPOKEN = ("title", "aria-label", "placeholder", "alt", "data-label", "content")
DATA = {"bdi", "code", "pre", "time", "data", "script", "style", "textarea"}
"""Elements whose text is data: names, code, times and figures."""

VOID = {"meta", "link", "input", "img", "br", "wbr", "hr"}
# Figures and marks: a number with its unit, an address, a file's name.
_FIGURE = re.compile(
    r"[<≈−$]*\s*[\d.,:]+\s*(%|kWh|Wh|USD|ms|min|s|h|d|k|M|B|T)?(?![a-z])|\b(JSON|USD|API|UTC|ID|OpenAI|Anthropic|fairgate)\b"
)
_TIME = re.compile(rf"\b\d{{1,2}} ({'|'.join(calendar.month_abbr[1:])})\b( \d{{4}})?(, \d\d:\d\d)?")
_WORD = re.compile(r"[A-Za-zÄÖÜäöüß]{2,}")


class Unmarked(HTMLParser):
    """Collects `words`: texts with letters outside of brackets that are no data. `known`: what is data, too."""

    def __init__(self, page: str, known: Set[str] = frozenset()) -> None:
        super().__init__()
        self.words: list[str] = []
        self._known, self._open, self._depth = known, [("", False)], 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        for name in SPOKEN:
            if name in named and not (tag == "meta" and named.get("name") != "description"):
                self._judge(named[name] or "", tag in DATA or self._open[-1][1])
        if tag not in VOID:
            data = self._open[-1][1] or tag in DATA or "mono" in (named.get("class") or "").split()
            self._open.append((tag, data or (named.get("lang", "") != "" and tag != "html")))

    def handle_endtag(self, tag: str) -> None:
        while len(self._open) > 1 and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        self._judge(data, self._open[-1][1])

    def _judge(self, text: str, data: bool) -> None:
        outside = ""
        for letter in text:
            self._depth += (letter == OPEN) - (letter == CLOSE)
            outside += letter if self._depth == 0 and letter != CLOSE else " "
        outside = outside.removesuffix(f" – {TITLE}")
        for known in sorted(self._known, key=len, reverse=True):
            outside = outside.replace(known, " ")
        outside = _FIGURE.sub(" ", _TIME.sub(" ", outside))
        if not data and _WORD.search(outside):
            self.words.append(" ".join(text.split())[:90])
