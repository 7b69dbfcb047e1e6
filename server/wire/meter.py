"""Watching an answer go by: is it complete, what did it use, and what was delivered if it broke off.

A meter never changes a byte and never raises on what it is shown. There is one class for each shape of answer; this
module has what they share, `answers.py` the shapes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import orjson

from server.wire.alike import Alike, alike
from server.wire.faults import ReportedError, fault_of
from server.wire.figures import OPENAI, Figures, Places
from server.wire.issued import Made
from server.wire.sse import StreamEvent
from server.wire.usage import Usage

MAX_MODEL_NAME = 256
MOST_TRIES = 8  # patterns in a row that no event fitted: then the stream is of another kind, and each is parsed


class Meter(Protocol):
    """One answer, observed."""

    finished: bool  # the terminal event was seen, or the plain answer
    failed: bool  # the upstream itself reported an error in the answer
    opened: bool  # an event said that an answer begins: a role, an id, figures of the input
    begun: bool  # and one said something of the answer itself; until then an error is one before the first byte
    served_model: str  # what the upstream says it used; empty until seen
    usage: Usage | None  # the upstream's figures; None until they are complete, and while text has overtaken them
    opening: Usage | None  # its figures from before the text that came, if there are some; for a stream that breaks off
    output_pieces: int  # content deltas so far: a cheap running estimate of output tokens
    garbled: int  # events with data that was not a JSON object
    made: Made  # what a later request may name
    running: bool  # the provider goes on with it in the background

    def event(self, event: StreamEvent) -> bool:
        """Observe one event; True if it is the usage-only chunk that a client gets only if it asked."""

    def texts(self, data: bytes) -> int:
        """Observe the whole events at the beginning that only go on with the text; return how many bytes they are."""

    def answer(self, body: bytes) -> bool:
        """Observe a plain answer; False if it is not what it should be, which makes the answer a 502."""

    def ended(self) -> bool:
        """The transport has ended cleanly: was the answer complete?"""

    def delivered(self) -> str:
        """Return the text, reasoning and tool arguments so far, for counting when no usage came."""

    def beside(self) -> Usage:
        """Return what is billed beside tokens so far (tools), and which service serves."""

    def stated(self) -> int | None:
        """Return the micro-USD that the upstream says it bills (`stated.py`); None without complete figures."""

    def error(self) -> ReportedError | None:
        """Return the error that the upstream reported inside the answer, if it did."""


class DeliveryMeter(ABC):
    """The base of all meters. `places` says where the figures of their answers stand."""

    places: Places = OPENAI
    running = False

    def __init__(self) -> None:
        self.figures = Figures(self.places)
        self.finished = False
        self.failed = False
        self.opened = False
        self.begun = False
        self.served_model = ""
        self.usage: Usage | None = None
        self.opening: Usage | None = None
        self.output_pieces = 0
        self.garbled = 0
        self.made = Made()
        self._covered = 0  # pieces that had come when the upstream last said how much it had generated
        self._pieces: list[str] = []
        self._fault: ReportedError | None = None
        self._alike: Alike | None = None  # the last event, if it only went on with the text
        self._tries = MOST_TRIES

    def event(self, event: StreamEvent) -> bool:
        data = event.data
        if data is None:
            return False
        if data == b"[DONE]":
            self.finished = True
            return False
        document = json_object(data)
        if document is None:
            self.garbled += 1
            return False
        before = self.output_pieces
        hidden = self._event(document)
        self._overtaken()
        if not self.begun:
            self._begins(document)
        self._alike = None
        if self._tries and self.output_pieces == before + 1 and not event.long and self._only_text(document):
            self._tries -= 1
            self._alike = alike(event.raw, self._pieces[-1])
        return hidden

    def texts(self, data: bytes) -> int:
        """Nothing but the text changes: the same document was observed just before (`_only_text`)."""
        found = None if self._alike is None else self._alike.read(data)
        if found is None:
            return 0
        self._tries = MOST_TRIES
        self._pieces.append(found.text)
        self.output_pieces += found.pieces
        if self.usage is not None:
            self._overtaken()
        return found.end

    def answer(self, body: bytes) -> bool:
        document = json_object(body)
        if document is None:
            return False
        self.finished = True
        self._failed_with(document)
        self._answer(document)
        return True

    def ended(self) -> bool:
        return self.finished

    def delivered(self) -> str:
        return "".join(self._pieces)

    def beside(self) -> Usage:
        return self.figures.beside()

    def stated(self) -> int | None:
        return None if self.usage is None else self.figures.stated

    def error(self) -> ReportedError | None:
        return self._fault

    @abstractmethod
    def _event(self, document: dict[str, Any]) -> bool:
        """Observe an event's document; True if it is the usage-only chunk."""

    @abstractmethod
    def _answer(self, document: dict[str, Any]) -> None:
        """Observe a plain answer's document."""

    def _only_text(self, document: dict[str, Any]) -> bool:
        """Whether such an event once more, with another text, would change nothing here but the text."""
        return False

    def _overtaken(self) -> None:
        """More text has come than the figures know of."""
        if self.usage is not None and self._is_behind(self.usage):
            self.opening = self.usage if self.usage.input else self.opening
            self.usage = None

    def _begins(self, document: dict[str, Any]) -> None:
        """Note what an event makes of the beginning of the answer."""
        self.opened = self.begun = True

    def _failed_with(self, document: dict[str, Any]) -> bool:
        fault = fault_of(document)
        if fault is None:
            return False
        self.failed = True
        self._fault = fault
        return True

    def _reported(self, document: dict[str, Any], *places: Any) -> None:
        """Take the figures that stand in a document, in one of these places."""
        self.figures.serve(document)
        objects = [figures for figures in places if type(figures) is dict]
        for figures in objects:
            if self.figures.add(figures):
                self._covered = self.output_pieces
        if objects:
            self.usage = self.figures.usage() or self.usage

    def _is_behind(self, usage: Usage) -> bool:
        """More text has come than these tokens, a token with each piece: some servers tell the input alone at first."""
        return not usage.audio_ms and self.output_pieces > max(self._covered, usage.output)

    def _served_by(self, document: dict[str, Any]) -> None:
        model = document.get("model")
        if type(model) is str:
            self.served_model = model[:MAX_MODEL_NAME]

    def _take(self, piece: Any) -> None:
        if type(piece) is str and piece:
            self._pieces.append(piece)
            self.output_pieces += 1


def json_object(data: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return document if type(document) is dict else None
