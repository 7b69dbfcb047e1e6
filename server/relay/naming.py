"""The model that serves a call: that of an alias, or the other one that its caller consents to.

All that follows (rights, price, limits, estimate, queue, bill) sees that model. The caller reads its name in
`X-Served-Model`, and the ledger's row keeps the name that was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from server.policy.aliases import Aliases
from server.relay.context import Call
from server.wire.errors import InvalidValue
from server.wire.fallback import HEADER, NONE, Fallback
from server.wire.model_name import renamed

SERVED_MODEL = "X-Served-Model"
INLINE_BODY = 64 << 10  # bytes that are read and written anew on the event loop

Wait = Callable[[Call, str], Awaitable[float | None]]  # seconds for a model; None where the caller cannot use it


async def served_by(call: Call, aliases: Aliases, wait: Wait, of_group: Fallback | None = None) -> Call:
    """The call for the model that serves it. Raises InvalidValue for a fallback of the caller's that they cannot use.

    `of_group`: what their group consents to, for requests that write text, where they say nothing themselves.
    """
    asked = call.request.model
    model = aliases.model(asked)
    fallback = call.fallback
    if fallback is None and of_group is not None and call.request.endpoint.writes:
        call = replace(call, fallback=of_group)
        model = await _faster(call, model, _named(of_group, aliases), wait) or model
    elif fallback is not None and fallback is not NONE:
        found = await _faster(call, model, _named(fallback, aliases), wait)
        if found is None:
            raise InvalidValue(HEADER)
        model = found
    if model == asked:
        return call
    if len(call.request.body) <= INLINE_BODY:
        return replace(call, request=renamed(call.request, model), alias=asked)
    return replace(call, request=await asyncio.to_thread(renamed, call.request, model), alias=asked)


async def _faster(call: Call, model: str, fallback: Fallback, wait: Wait) -> str | None:
    """The model, or the other one if the first would wait too long and the other less; None if that cannot be used."""
    others = await wait(call, fallback.model)
    if others is None:
        return None
    own = await wait(call, model)
    return fallback.model if own is not None and own > fallback.wait and others < own else model


def _named(fallback: Fallback, aliases: Aliases) -> Fallback:
    return fallback._replace(model=aliases.model(fallback.model))
