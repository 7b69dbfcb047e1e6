"""The conversations that the fake provider keeps, each for the key that made it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from server.wire.usage import Usage
from tests.fakes.ledger import Record
from tests.fakes.model import Json, Reply, dump
from tests.fakes.refusals import Said, unknown_url

PATH = re.compile(r"/v1/conversations(?:/(conv_\w+)(?:/items(?:/(msg_\w+))?)?)?")


@dataclass
class Conversation:
    """One of them. Items have ids."""

    key: str | None
    metadata: Json
    items: dict[str, Json] = field(default_factory=dict)

    def add(self, items: list[Json]) -> list[Json]:
        """Append items; returns them as they are kept."""
        added = [{"status": "completed", **item, "id": f"msg_{len(self.items) + n}"} for n, item in enumerate(items)]
        self.items |= {item["id"]: item for item in added}
        return added


@dataclass
class Conversations:
    """All of them by their ids."""

    kept: dict[str, Conversation] = field(default_factory=dict)

    def reply(self, record: Record) -> Reply | Said | None:
        """The answer to a question about one; None to all other questions."""
        found = PATH.fullmatch(record.path)
        if found is None:
            return None
        method, (name, item) = record.request.method, found.groups()
        body: Json = json.loads(record.request.body or b"{}")
        if name is None:
            name = f"conv_{len(self.kept)}"
            self.kept[name] = Conversation(record.key, body.get("metadata") or {})
            self.kept[name].add(body.get("items") or [])
            return self._whole(name)
        conversation = self.kept.get(name)
        if conversation is None or conversation.key != record.key or (item and item not in conversation.items):
            return unknown_url("openai", method, record.path)
        if "/items" in record.path:
            return self._item(method, name, item, body)
        if method == "DELETE":
            del self.kept[name]
            return Reply(dump({"id": name, "object": "conversation.deleted", "deleted": True}), Usage())
        conversation.metadata = body.get("metadata", conversation.metadata)
        return self._whole(name)

    def _item(self, method: str, name: str, item: str | None, body: Json) -> Reply:
        items = self.kept[name].items
        if method == "DELETE" and item is not None:
            del items[item]
            return self._whole(name)
        if item is not None:
            return Reply(dump(items[item]), Usage())
        data = self.kept[name].add(body["items"]) if method == "POST" else list(items.values())
        first, last = (data[0]["id"], data[-1]["id"]) if data else ("", "")
        listed = {"object": "list", "data": data, "has_more": False, "first_id": first, "last_id": last}
        return Reply(dump(listed), Usage())

    def _whole(self, name: str) -> Reply:
        metadata = self.kept[name].metadata
        return Reply(dump({"id": name, "object": "conversation", "created_at": 1, "metadata": metadata}), Usage())
