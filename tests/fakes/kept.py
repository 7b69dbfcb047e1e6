"""What the fake provider keeps: responses of the background, and chats with `store`, each for the key that made it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from server.wire.usage import Usage
from tests.fakes import conversations, shapes_openai, shapes_responses
from tests.fakes.fates import Content
from tests.fakes.ledger import Record
from tests.fakes.model import Event, Json, Reply, dump, named_event
from tests.fakes.refusals import Said, unknown_url

PATH = re.compile(r"/v1/(responses|chat/completions)/(resp_\w+|chatcmpl_\w+)(?:/(input_items|messages|cancel))?")


@dataclass
class Kept:
    """One answer. `whole` is what it will have been when it has ended; `status` is how it stands."""

    key: str | None
    whole: Json
    status: str
    events: tuple[Event, ...] = ()


@dataclass
class KeptAnswers:
    """All of them by their ids, and what was asked of them."""

    answers: dict[str, Kept] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    conversations: conversations.Conversations = field(default_factory=conversations.Conversations)
    records: list[Record] = field(default_factory=list)
    missed: int = 0  # how often a key asked for what it has not made

    def begun(self, record: Record, body: Json, content: Content) -> Reply | None:
        """The answer to a request that asks for something to be kept; None to all others."""
        if record.path == "/v1/responses" and body.get("background"):
            return self._in_background(record, body, content)
        if record.path == "/v1/chat/completions" and body.get("store") and not body.get("stream"):
            reply = shapes_openai.chat(body, content)
            chat = Kept(record.key, _document(reply) | {"id": f"chatcmpl_{len(self.answers)}"}, "completed")
            self.answers[chat.whole["id"]] = chat
            return Reply(dump(chat.whole), reply.usage)
        return None

    def end(self, answer_id: str, status: str = "completed", **more: object) -> None:
        """A response has ended; `more` are further fields of it."""
        kept = self.answers[answer_id]
        kept.status, kept.whole = status, kept.whole | more

    def reply(self, record: Record) -> Reply | Said | None:
        """The answer to a question for something that is kept; None to all others."""
        if (conversation := self.conversations.reply(record)) is not None:
            self.records.append(record)
            return conversation
        found = PATH.fullmatch(record.path)
        if found is None:
            return None
        self.records.append(record)
        method, (_, answer_id, part) = record.request.method, found.groups()
        self.asked.append((method, record.path))
        self.queries.append(record.request.query)
        kept = self.answers.get(answer_id)
        if kept is None or kept.key != record.key:
            self.missed += 1
            return unknown_url("openai", method, record.path)
        if method == "DELETE":
            del self.answers[answer_id]
            return Reply(dump({"id": answer_id, "object": "response.deleted", "deleted": True}), Usage())
        if part == "cancel":
            self.end(answer_id, "cancelled", usage=None, output=[])
        if part in ("input_items", "messages"):
            return Reply(dump({"object": "list", "data": [], "has_more": False}), Usage())
        events = kept.events if "stream=true" in record.request.query else ()
        return Reply(dump(_as_it_stands(kept)), Usage(), events)

    def _in_background(self, record: Record, body: Json, content: Content) -> Reply:
        whole = _document(shapes_responses.responses(body | {"stream": False}, content))
        kept = Kept(record.key, whole | {"id": f"resp_{len(self.answers)}", "background": True}, "queued")
        self.answers[kept.whole["id"]] = kept
        event = {"type": "response.created", "sequence_number": 0, "response": _as_it_stands(kept)}
        piece = {"type": "response.output_text.delta", "sequence_number": 1, "delta": "You"}
        over = {"type": "response.completed", "sequence_number": 2, "response": kept.whole}
        kept.events = (named_event(event), named_event(piece, 1), named_event(over))
        return Reply(dump(_as_it_stands(kept)), Usage(), kept.events if body.get("stream") else ())


def _as_it_stands(kept: Kept) -> Json:
    running = kept.status in ("queued", "in_progress")
    return kept.whole | {"status": kept.status} | ({"output": [], "usage": None} if running else {})


def _document(reply: Reply) -> Json:
    document: Json = json.loads(reply.body)
    return document
