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
from server.wire.fallback import HEADER, Fallback
from server.wire.model_name import renamed

SERVED_MODEL = "X-Served-Model"
INLINE_BODY = 64 << 10  # bytes that are read and written anew on the event loop

Wait = Callable[[Call, str], Awaitable[float | None]]  # seconds for a model; None where the caller cannot use it


async def served_by(call: Call, aliases: Aliases, wait: Wait) -> Call:
    """The call for the model that serves it. Raises InvalidValue for a fallback that the caller cannot use."""
    asked = call.request.model
    model = aliases.model(asked)
    if call.fallback is not None:
        model = await _faster(call, model, aliases.model(call.fallback.model), call.fallback, wait)
    if model == asked:
        return call
    if len(call.request.body) <= INLINE_BODY:
        return replace(call, request=renamed(call.request, model), alias=asked)
    return replace(call, request=await asyncio.to_thread(renamed, call.request, model), alias=asked)


async def _faster(call: Call, model: str, other: str, fallback: Fallback, wait: Wait) -> str:
    """The model, or the other one if the first would wait too long and the other less."""
    others = await wait(call, other)
    if others is None:
        raise InvalidValue(HEADER)
    own = await wait(call, model)
    return other if own is not None and own > fallback.wait and others < own else model
