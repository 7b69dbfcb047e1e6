"""What an answer is before it is written: the caller's own names of tools, free text where the tool takes that, and the
answer itself where it came as a tool's arguments (`Asked.answers_in`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import orjson

from server.wire.faults import ReportedError
from server.wire.translate.terms import Stop, Teller


class Filtered:
    """Passes an answer on to another teller. Arguments of `custom` tools are held until they are whole."""

    def __init__(self, teller: Teller, names: Mapping[str, str], custom: Collection[str], answers_in: str) -> None:
        self._teller, self._names, self._custom, self._answers_in = teller, names, custom, answers_in
        self._held: dict[int, list[str]] = {}  # the arguments of calls of custom tools, by their keys
        self._answer: int | None = None  # the key of the call that is the answer
        self._called = False  # another tool
        self.begin, self.text, self.refusal = teller.begin, teller.text, teller.refusal
        self.thought, self.signed, self.sealed = teller.thought, teller.signed, teller.sealed
        self.used, self.end = teller.used, teller.end

    def call(self, key: int, id: str, name: str) -> None:
        if name and name == self._answers_in:
            self._answer = key
            return
        self._called = True
        name = self._names.get(name, name)
        if name in self._custom:
            self._held[key] = []
        self._teller.call(key, id, name)

    def arguments(self, key: int, piece: str) -> None:
        if key == self._answer:
            self._teller.text(piece)
        elif key in self._held:
            self._held[key].append(piece)
        else:
            self._teller.arguments(key, piece)

    def stop(self, reason: Stop, sequence: str | None = None) -> None:
        for key, pieces in self._held.items():
            self._teller.arguments(key, _input_of("".join(pieces)))
        self._held.clear()
        if reason is Stop.TOOLS and not self._called and self._answer is not None:
            reason = Stop.END
        self._teller.stop(reason, sequence)

    def fault(self, error: ReportedError) -> None:
        self._teller.fault(error)


def _input_of(arguments: str) -> str:
    """The free text in a function's arguments; they are that text where they are anything else."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    given = value.get("input") if type(value) is dict else None
    return given if type(given) is str else arguments
