"""The data of the pages on which kept texts are read by those whom a group names."""

from __future__ import annotations

from dataclasses import dataclass

from web.view import Frame


@dataclass(frozen=True, slots=True)
class TextView:
    """A prompt and its answer, as they were sent."""

    request_id: str
    at_ms: int
    asked: str
    answered: str


@dataclass(frozen=True, slots=True)
class TextsView:
    """`.../groups/NAME/texts`. `person` is whose texts these are; "" before one was named."""

    frame: Frame
    group: str
    administration: bool
    person: str = ""
    texts: tuple[TextView, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadingView:
    """That texts of the visitor were read: by whom, when, and how many of which group."""

    by: str
    at_ms: int
    group: str
    texts: int
