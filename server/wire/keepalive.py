"""Signs that a stream lives: nothing that any SDK takes for a part of the answer.

By default it is what each family does itself: a comment (OpenAI's), a `ping` (Anthropic's). Comments are a part of the
standard, and yet some clients break on them. They choose, in the header `X-Fairgate-Keepalive` or by a term of their
token: `comment` is a comment in every dialect; `chunk` an event that looks like the others and says nothing, or nothing
at all where no such event is known; `off` is nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

import orjson

from server.wire.errors import InvalidValue
from server.wire.openai import OPENAI
from server.wire.request import Request

DEFAULT = ""  # whatever the dialect does
CHOICES = (DEFAULT, "off", "comment", "chunk")
HEADER = "X-Fairgate-Keepalive"


class Sign(Protocol):
    """What makes a sign of life from where a request stands in the queue, if it waits; in seconds.

    `wait` is the usual wait, `latest` the longest one, and `longer` by how much it has grown since the last sign.
    """

    def __call__(
        self, position: int | None, wait: float | None, latest: float | None = None, longer: float = 0.0
    ) -> bytes: ...


def keepalive_of(text: str | None) -> str:
    """Return what the header asks for; `DEFAULT` if it does not say. Raises InvalidValue."""
    if text is None:
        return DEFAULT
    if text not in CHOICES[1:]:
        raise InvalidValue(HEADER)
    return text


def sign_of_life(request: Request, chosen: str, request_id: str, created: int) -> Sign | None:
    """Return what makes this stream's signs of life; None where none are sent. `created` is UTC seconds."""
    endpoint = request.endpoint
    if chosen == DEFAULT:
        return endpoint.dialect.heartbeat
    if chosen == "comment":
        return OPENAI.heartbeat
    if chosen == "off":
        return None
    if endpoint.dialect is not OPENAI:
        return endpoint.dialect.heartbeat  # `ping` is such an event
    empty = _empty_event(endpoint.kind, request.model, request_id, created)
    return None if empty is None else partial(_always, empty)


def _empty_event(kind: str, model: str, request_id: str, created: int) -> bytes | None:
    """Of the Responses API there is none: its events are numbered, and some SDKs stop at a kind they do not know."""
    choice: dict[str, object] = {"index": 0, "finish_reason": None}
    if kind == "chat":
        shape, choice = "chat.completion.chunk", choice | {"delta": {}}
    elif kind == "completions":
        shape, choice = "text_completion", choice | {"text": ""}
    else:
        return None
    chunk = {"id": request_id, "object": shape, "created": created, "model": model, "choices": [choice]}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _always(
    event: bytes, position: int | None, wait: float | None, latest: float | None = None, longer: float = 0.0
) -> bytes:
    return event
