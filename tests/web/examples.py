"""Views that the tests of the pages start from."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from web.view import ModelView, StatusView

BUSY = ModelView(
    "gpt-5.2",
    waiting=4,
    running=14,
    slots=16,
    keys={"ready": 5, "cooling": 1, "exhausted": 2},
    wait_p50_seconds=0.25,
    wait_p99_seconds=12.3456,
    jain=0.99876,
    gap=1.2,
    gap_bound=33.0,
)
IDLE = ModelView("claude-sonnet-4-5", waiting=0, running=0, slots=8, keys={"ready": 2})
CHECKING = ModelView("gpt-5.2", waiting=0, running=0, slots=0, keys={"unchecked": 2})
BROKEN = ModelView("gpt-5.2", waiting=2, running=0, slots=8, keys={"revoked": 1, "exhausted": 1})

_VIEW = StatusView(
    title="Library gateway",
    state="up",
    demo=False,
    uptime_seconds=273_900.5,
    now_ms=1_790_000_000_000,
    models=(BUSY, IDLE),
    requests_today=4821,
    tokens_in_today=12_345_678,
    tokens_out_today=987_654,
    base_url="https://llm.example.edu",
)


def a_view(**changes: Any) -> StatusView:
    return replace(_VIEW, **changes)


def a_model(name: str) -> ModelView:
    return ModelView(name, waiting=0, running=0, slots=1, keys={"ready": 1})


class Page(HTMLParser):
    """A page taken apart: its tags, its visible text, and what is wrong with its nesting."""

    VOID = frozenset({"meta", "link", "img", "wbr", "br", "input"})
    BLOCKS = frozenset({"dt", "dd", "th", "td", "p", "li", "div", "option", "label"})

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.faults: list[str] = []
        self._open: list[str] = []
        self._texts: list[str] = []
        self.feed(html.decode())
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self._open]

    @property
    def text(self) -> str:
        return " ".join("".join(self._texts).split())

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")
        if tag in self.BLOCKS:
            self._texts.append(" ")

    def handle_data(self, data: str) -> None:
        self._texts.append(data)
