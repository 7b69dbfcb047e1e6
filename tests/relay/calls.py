"""Calls as a reader hands them on, with everything filled in that a test does not care about."""

from __future__ import annotations

import json
from typing import Any

from keypool.keys import Key
from server.relay.context import Call
from server.store.base import Caller
from server.wire.endpoints import ENDPOINTS
from server.wire.own_keys import OwnKey
from server.wire.request import read_request

ADA = Caller("usr_ada", "ada", "tok_1")
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
MODEL = "gpt-4o"
HELLO = [{"role": "user", "content": "Hello"}]
OF_A_CALL = frozenset({"group", "asked_class", "address", "max_wait", "knocked"})
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": HELLO},
    MESSAGES: {"messages": HELLO, "max_tokens": 50},
    RESPONSES: {"input": "Hello"},
}


def a_call(
    request_id: str = "r1",
    caller: Caller = ADA,
    path: str = CHAT,
    model: str = MODEL,
    own_key: OwnKey | None = None,
    **more: Any,
) -> Call:
    """A call; what is not a field of a call's is one of its body's."""
    fields = {name: more.pop(name) for name in OF_A_CALL & more.keys()}
    body = json.dumps({"model": model, **BODIES.get(path, {"input": "Hello"}), **more}).encode()
    request = read_request(ENDPOINTS[path], body, "application/json")
    return Call(request_id, caller, request, {}, "", own_key=own_key, **fields)


def a_key(
    name: str = "k1", *, models: tuple[str, ...] = (MODEL,), groups: tuple[str, ...] = (), dialect: str = "openai"
) -> Key:
    return Key(
        name,
        "fake",
        frozenset((dialect, "responses") if dialect == "openai" else (dialect,)),
        frozenset(models),
        2,
        frozenset(groups),
    )
