"""A whole answer, collected piece by piece: plain answers are written from this, in every dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from server.wire.faults import ReportedError
from server.wire.translate.terms import Stop
from server.wire.usage import Usage

Kind = Literal["text", "refusal", "thought", "sealed", "call"]


@dataclass(slots=True)
class Piece:
    """One block of an answer: `text` is its words, its arguments or its sealed thought."""

    kind: Kind
    text: str = ""
    signature: str = ""
    id: str = ""
    name: str = ""


@dataclass(slots=True)
class Collected:
    """A teller that keeps what it hears."""

    id: str = ""
    model: str = ""
    created: int = 0
    pieces: list[Piece] = field(default_factory=list)
    usage: Usage = Usage()  # noqa: RUF009 - immutable
    reason: Stop = Stop.END
    sequence: str | None = None
    error: ReportedError | None = None
    _calls: dict[int, Piece] = field(default_factory=dict)

    def begin(self, id: str, model: str, created: int) -> None:
        self.id, self.model, self.created = id, model, created

    def text(self, piece: str) -> None:
        self._say("text", piece)

    def refusal(self, piece: str) -> None:
        self._say("refusal", piece)

    def thought(self, piece: str) -> None:
        if self.pieces and self.pieces[-1].signature:
            self.pieces.append(Piece("thought"))
        self._say("thought", piece)

    def signed(self, signature: str) -> None:
        if not self.pieces or self.pieces[-1].kind != "thought":
            self.pieces.append(Piece("thought"))
        self.pieces[-1].signature += signature

    def sealed(self, data: str) -> None:
        self.pieces.append(Piece("sealed", data))

    def call(self, key: int, id: str, name: str) -> None:
        self._calls[key] = Piece("call", id=id, name=name)
        self.pieces.append(self._calls[key])

    def arguments(self, key: int, piece: str) -> None:
        self._calls[key].text += piece

    def used(self, usage: Usage) -> None:
        self.usage = usage

    def stop(self, reason: Stop, sequence: str | None = None) -> None:
        self.reason, self.sequence = reason, sequence

    def fault(self, error: ReportedError) -> None:
        self.error = error

    def end(self) -> None:
        """It is whole."""

    def said(self, kind: Kind) -> str:
        """All words of a kind."""
        return "".join(piece.text for piece in self.pieces if piece.kind == kind)

    def _say(self, kind: Kind, piece: str) -> None:
        if not self.pieces or self.pieces[-1].kind != kind:
            self.pieces.append(Piece(kind))
        self.pieces[-1].text += piece
