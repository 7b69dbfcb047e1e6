"""What can be asked of what a provider keeps for a person: to see it, to add to it, to end it, and to delete it.

    GET    /v1/responses/{id}                    also as a stream, from an event on (`stream`, `starting_after`)
    GET    /v1/responses/{id}/input_items
    POST   /v1/responses/{id}/cancel             one that is made in the background
    DELETE /v1/responses/{id}
    GET    /v1/chat/completions/{id}             one that was made with `store: true`
    POST   /v1/chat/completions/{id}             its metadata
    GET    /v1/chat/completions/{id}/messages
    DELETE /v1/chat/completions/{id}
    POST   /v1/conversations                     a new one, empty or with its first items
    GET    /v1/conversations/{id}
    POST   /v1/conversations/{id}                its metadata
    DELETE /v1/conversations/{id}
    GET    /v1/conversations/{id}/items
    POST   /v1/conversations/{id}/items          some more of them
    GET    /v1/conversations/{id}/items/{item}
    DELETE /v1/conversations/{id}/items/{item}

There are no lists of them: a provider's list shows what all people have made with a key. Of a body only what a route
has a field for goes on (`read_saying`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.wire import strict
from server.wire.errors import InvalidValue
from server.wire.stored import Reference, id_in, references
from server.wire.tokens import prompt_of

ID = "[A-Za-z0-9_-]{1,256}"
RUNNING = frozenset({"queued", "in_progress"})  # the states of a response that is not over
MOST_ITEMS = 20  # at once, as OpenAI has it
_PASSED = re.compile(
    r"(?:(?:stream|include_obfuscation)=(?:true|false)|starting_after=\d{1,9}|limit=\d{1,4}|order=(?:asc|desc)"
    r"|(?:after|before)=[A-Za-z0-9_-]{1,256}|include(?:\[\]|%5B%5D|%5B\d\d?%5D|\[\d\d?\])?=[a-z_.]{1,64})"
)


@dataclass(frozen=True, slots=True)
class KeptRoute:
    """One of them. `path` has `{id}` in the place of the object's id, and begins below `/v1`.

    `fields`: what the body of a POST may have; none where it has no body. A route without an id makes an object.
    """

    path: str
    methods: tuple[str, ...]
    fields: tuple[str, ...] = ()

    @property
    def pattern(self) -> str:
        """A regular expression of the whole path, with a group for each id."""
        return "/v1" + self.path.replace("{id}", f"({ID})").replace("{item}", f"({ID})")

    @property
    def makes(self) -> bool:
        """Whether it makes what others of these routes ask for."""
        return "{id}" not in self.path

    def place(self, ids: tuple[str, ...]) -> str:
        """Its path for these ids."""
        filled = self.path
        for name, each in zip(("{id}", "{item}"), ids, strict=False):
            filled = filled.replace(name, each)
        return filled


KEPT_ROUTES = (
    KeptRoute("/responses/{id}", ("GET", "DELETE")),
    KeptRoute("/responses/{id}/input_items", ("GET",)),
    KeptRoute("/responses/{id}/cancel", ("POST",)),
    KeptRoute("/chat/completions/{id}", ("GET", "POST", "DELETE"), ("metadata",)),
    KeptRoute("/chat/completions/{id}/messages", ("GET",)),
    KeptRoute("/conversations", ("POST",), ("items", "metadata")),
    KeptRoute("/conversations/{id}", ("GET", "POST", "DELETE"), ("metadata",)),
    KeptRoute("/conversations/{id}/items", ("GET", "POST"), ("items",)),
    KeptRoute("/conversations/{id}/items/{item}", ("GET", "DELETE")),
)


@dataclass(frozen=True, slots=True)
class Saying:
    """What a POST says: its body, the texts that a model will read, and the kept objects that it names."""

    body: bytes = field(default=b"", repr=False)
    texts: tuple[str, ...] = field(default=(), repr=False)
    refers: tuple[Reference, ...] = ()


NOTHING_SAID = Saying()


def read_saying(route: KeptRoute, body: bytes) -> Saying:
    """Read the body of a POST. Raises InvalidJson, InvalidValue."""
    if not route.fields:
        return NOTHING_SAID
    body = body or b"{}"
    document = strict.loads(body)
    for name in document:
        if name not in route.fields:
            raise InvalidValue(name)
    items, metadata = document.get("items"), document.get("metadata")
    if metadata is not None and type(metadata) is not dict:
        raise InvalidValue("metadata")
    if items is None:
        return Saying(body)
    if type(items) is not list or len(items) > MOST_ITEMS or not all(type(item) is dict for item in items):
        raise InvalidValue("items")
    said = {"input": items}
    return Saying(body, prompt_of("responses", said).texts, references(body, said, ("conversation",)))


def made_by(body: bytes) -> str | None:
    """Return the id of the object in an answer; None if this is none."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return id_in(document) if type(document) is dict else None


def passed_query(query: str) -> str:
    """Return of a query what may go upstream: people put their keys there, too."""
    return "&".join(pair for pair in query.split("&") if _PASSED.fullmatch(pair))


def is_running(document: dict[str, Any]) -> bool:
    """Whether a response is not over yet."""
    return document.get("status") in RUNNING


def ended(body: bytes) -> str | None:
    """Return how a response is over, from the body of an answer; None if it is not, or if this is no response."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    status = document.get("status") if type(document) is dict else None
    return None if type(status) is not str or status in RUNNING else status
