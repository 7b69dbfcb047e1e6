"""A request and its answer, between two dialects.

    said = translate(body, "chat", "messages", id="req_1", now=1_700_000_000, usual_limit=8_192)
    said.body                       goes to the provider
    said.notes                      what was left out or changed, and why
    said.reader.feed(chunk)         a stream, in whatever pieces it comes; returns what its caller is sent now
    said.reader.close()             what is left to say when the stream has ended
    said.reader.answer(body)        a plain answer
    said.reader.error(429, body)    an error with a status of its own

Nothing here asks a clock or rolls dice: `id` and `now` serve where an answer brings none of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import orjson

from server.wire import strict
from server.wire.meter import json_object
from server.wire.relay import StreamTooLong
from server.wire.sse import Splitter
from server.wire.translate import answer_to_chat, answer_to_messages
from server.wire.translate.answer_from_chat import FromChat
from server.wire.translate.answer_from_messages import FromMessages
from server.wire.translate.answer_to_chat import ChatStream
from server.wire.translate.answer_to_messages import MessagesStream
from server.wire.translate.answer_to_responses import ResponsesStream
from server.wire.translate.collected import Collected
from server.wire.translate.error_bodies import Family, translated
from server.wire.translate.fields import Notes, Rows
from server.wire.translate.fields_of_chat import TABLE as OF_CHAT
from server.wire.translate.fields_of_messages import TABLE as OF_MESSAGES
from server.wire.translate.fields_of_responses import TABLE as OF_RESPONSES
from server.wire.translate.filtered import Filtered
from server.wire.translate.request_from_chat import read_chat
from server.wire.translate.request_from_messages import read_messages
from server.wire.translate.request_from_responses import read_responses
from server.wire.translate.request_to_chat import write_chat
from server.wire.translate.request_to_messages import write_messages
from server.wire.translate.terms import Asked, Document, Teller

Asker = Literal["chat", "messages", "responses"]  # kinds of endpoints (`Endpoint.kind`)
Spoken = Literal["chat", "messages"]  # what a provider may be asked in
PAIRS: tuple[tuple[Asker, Spoken], ...] = (
    ("chat", "messages"),
    ("messages", "chat"),
    ("responses", "chat"),
    ("responses", "messages"),
)
TABLE: dict[str, Rows] = OF_CHAT | OF_MESSAGES | OF_RESPONSES
LONGEST_EVENT = 8 << 20  # bytes
LONGEST_NOTE = 1_000  # characters of a header

_READERS: dict[Asker, Callable[[Document, Notes], Asked]] = {
    "chat": read_chat,
    "messages": read_messages,
    "responses": read_responses,
}
_WRITERS: dict[Spoken, Callable[[Asked, Notes, int], Document]] = {"chat": write_chat, "messages": write_messages}
_SOURCES: dict[Spoken, type[FromChat] | type[FromMessages]] = {"chat": FromChat, "messages": FromMessages}
_FAMILIES: dict[Asker, Family] = {"chat": "openai", "messages": "anthropic", "responses": "openai"}


@dataclass(frozen=True, slots=True)
class Translated:
    """A request in another dialect. `notes`: the fields that were left out or changed, each with the reason."""

    body: bytes = field(repr=False)
    spoken: Spoken
    notes: tuple[tuple[str, str], ...]
    reader: Reader = field(repr=False)

    @property
    def header(self) -> str:
        """The dialect, and the fields that were left out or changed, for a header of the answer."""
        fields = ", ".join(sorted(name for name, _ in self.notes))
        return f"{self.spoken}; {fields}"[:LONGEST_NOTE] if fields else self.spoken


def translate(
    body: bytes | Document,
    asker: Asker,
    spoken: Spoken,
    *,
    id: str,
    now: int,
    usual_limit: int,
    hides_usage: bool = False,
) -> Translated:
    """Translate a request. `usual_limit`: tokens of an answer, where the caller says no number and the other must.

    `hides_usage`: the gateway, not its caller, asks for the usage in a stream. Raises Untranslatable, InvalidValue,
    InvalidJson: each names the field.
    """
    notes = Notes(TABLE)
    asked = _READERS[asker](strict.loads(body) if isinstance(body, bytes) else body, notes)
    asked.shows_usage &= not hides_usage
    document = _WRITERS[spoken](asked, notes, usual_limit)
    asked.turns.clear()  # the answer needs none of them, and may be long in coming
    return Translated(orjson.dumps(document), spoken, notes.all(), Reader(asker, spoken, asked, id, now))


class Reader:
    """One upstream's answer, in its caller's dialect. It is made anew for each attempt (`again`)."""

    def __init__(self, asker: Asker, spoken: Spoken, asked: Asked, id: str, now: int) -> None:
        self._asker, self._spoken, self._asked, self._id, self._now = asker, spoken, asked, id, now
        self._custom = frozenset(tool.name for tool in asked.tools if tool.custom)
        self._splitter = Splitter(LONGEST_EVENT)
        self._stream = self._streaming()
        self._source = self._source_of(self._stream)

    def again(self) -> Reader:
        """One for another attempt."""
        return Reader(self._asker, self._spoken, self._asked, self._id, self._now)

    def feed(self, chunk: bytes) -> bytes:
        """Return what the caller is sent, now that this has come of a stream. Raises StreamTooLong."""
        for event in self._splitter.feed(chunk):
            if event.long:
                raise StreamTooLong  # it is not collected, so it cannot be translated
            if event.data is not None:
                self._hear(event.data)
        return self._stream.take()

    def close(self) -> bytes:
        """Return what is left to say at the end of a stream: nothing, where that has broken off."""
        if (last := self._splitter.unended().data) is not None:
            self._hear(last)
        self._source.end()
        return self._stream.take()

    def answer(self, body: bytes) -> bytes:
        """Return a plain answer; it is what it was where it is no JSON object."""
        document = json_object(body)
        if document is None:
            return body
        if self._asker == "responses":
            writer = self._responses()
            self._source_of(writer).whole(document)
            return orjson.dumps(writer.response)
        answer = Collected()
        self._source_of(answer).whole(document)
        if self._asker == "messages":
            return orjson.dumps(answer_to_messages.written(answer))
        return orjson.dumps(answer_to_chat.written(answer, self._now, self._custom))

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        """Return an error's status and its body."""
        return translated(status, body, _FAMILIES[self._asker])

    def _hear(self, data: bytes) -> None:
        if data == b"[DONE]":
            self._source.end()
        elif (document := json_object(data)) is not None:
            self._source.event(document)

    def _streaming(self) -> ChatStream | MessagesStream | ResponsesStream:
        if self._asker == "chat":
            return ChatStream(self._asked, self._now, self._custom)
        return MessagesStream() if self._asker == "messages" else self._responses()

    def _responses(self) -> ResponsesStream:
        return ResponsesStream(self._asked, self._now, self._custom)

    def _source_of(self, teller: Teller) -> FromChat | FromMessages:
        asked = self._asked
        if asked.names or self._custom or asked.answers_in:
            teller = Filtered(teller, asked.names, self._custom, asked.answers_in)
        return _SOURCES[self._spoken](teller, self._id)
