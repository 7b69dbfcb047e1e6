"""A call whose model speaks another dialect than its caller: from here on it is a request in the model's.

All that comes behind (the estimate, the hold, the queue, the meter, the bill) sees the request that goes out. The
caller sees their own dialect: signs of life, errors and the answer (`Call.asked`, `Call.reader`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from server.relay.context import NO_PROMPT, Call
from server.wire.added import CACHE
from server.wire.dialect import JSON_TYPE, Dialect
from server.wire.endpoints import ENDPOINTS, Endpoint
from server.wire.published import published
from server.wire.request import Request, bounding_field, read_request
from server.wire.translate.translation import PAIRS, Asker, Spoken, Translated, translate

TRANSLATED = "X-Fairgate-Translated"
CHATS: dict[str, Spoken] = {"openai": "chat", "anthropic": "messages"}  # by the names of dialects


def endpoint_in(asked: Endpoint, dialect: Dialect) -> Endpoint | None:
    """The endpoint for conversations of a dialect, if a request to this one can be translated for it; else None."""
    spoken = CHATS[dialect.name]
    if (asked.kind, spoken) not in PAIRS:
        return None
    return next(endpoint for endpoint in ENDPOINTS.values() if endpoint.kind == spoken)


def translated(call: Call, endpoint: Endpoint, now: int, longest: int) -> Call:
    """The call for that endpoint. `now`: UTC seconds; `longest`: tokens of an answer that the caller does not bound.

    None of the caller's headers goes along: they are for the other family. Raises Untranslatable, InvalidValue.
    """
    asked = call.request
    asker, spoken = cast(Asker, asked.endpoint.kind), cast(Spoken, endpoint.kind)
    usual = min(longest, published(asked.model).output)
    said = translate(asked.body, asker, spoken, id=call.id, now=now, usual_limit=usual, hides_usage=asked.hides_usage)
    request = read_request(endpoint, said.body, JSON_TYPE)
    request = replace(request, conversation=asked.conversation, added=tuple(_added(asked, request, said)))
    return replace(
        call,
        request=request,
        passed={},
        query="",
        untranslated=replace(asked, body=b"", prompt=NO_PROMPT),
        reader=said.reader,
        notes=said.header,
    )


def _added(asked: Request, request: Request, said: Translated) -> Iterator[str]:
    """The fields of the translated request that are ours and not its caller's (`wire/added.py`)."""
    ours = asked.max_tokens is None or not set(asked.endpoint.output_limits).isdisjoint(asked.added)
    if request.max_tokens is not None and ours:
        yield bounding_field(request)
    if request.stream and request.endpoint.asks_usage:
        yield "stream_options"
    if request.endpoint.kind == "messages" and CACHE in dict(said.notes):
        yield CACHE
