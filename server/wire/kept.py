"""What can be asked of an answer that its provider keeps: to see it, to end it, and to delete it.

    GET    /v1/responses/{id}                    also as a stream, from an event on (`stream`, `starting_after`)
    GET    /v1/responses/{id}/input_items
    POST   /v1/responses/{id}/cancel             one that is made in the background
    DELETE /v1/responses/{id}
    GET    /v1/chat/completions/{id}             one that was made with `store: true`
    GET    /v1/chat/completions/{id}/messages
    DELETE /v1/chat/completions/{id}

There are no lists of them: a provider's list shows what all people have made with a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

ID = "[A-Za-z0-9_-]{1,256}"
RUNNING = frozenset({"queued", "in_progress"})  # the states of a response that is not over
_PASSED = re.compile(
    r"(?:(?:stream|include_obfuscation)=(?:true|false)|starting_after=\d{1,9}|limit=\d{1,4}|order=(?:asc|desc)"
    r"|(?:after|before)=[A-Za-z0-9_-]{1,256}|include(?:\[\]|%5B%5D|%5B\d\d?%5D|\[\d\d?\])?=[a-z_.]{1,64})"
)


@dataclass(frozen=True, slots=True)
class KeptRoute:
    """One of them. `path` has `{id}` in the place of the answer's id, and begins below `/v1`."""

    path: str
    methods: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """A regular expression of the whole path, whose one group is the id."""
        return "/v1" + self.path.replace("{id}", f"({ID})")


KEPT_ROUTES = (
    KeptRoute("/responses/{id}", ("GET", "DELETE")),
    KeptRoute("/responses/{id}/input_items", ("GET",)),
    KeptRoute("/responses/{id}/cancel", ("POST",)),
    KeptRoute("/chat/completions/{id}", ("GET", "DELETE")),
    KeptRoute("/chat/completions/{id}/messages", ("GET",)),
)


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
