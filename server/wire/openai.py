"""OpenAI's manners: `Authorization: Bearer`, `{"error": {...}}`, and an in-band error that no `[DONE]` follows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import orjson

from server.wire.dialect import NO_FACTS, Facts, one_line, refusal_headers
from server.wire.errors import Refusal
from server.wire.modalities import made_on


class OpenAI:
    """The dialect of `/v1/chat/completions` and its neighbours."""

    name = "openai"
    # No organisation or project header (they name the client's account), no user agent, no SDK telemetry, and no
    # idempotency key: people share an upstream account, and one person's key must never fetch another one's answer.
    passed_headers = frozenset({"openai-beta"})

    def status(self, refusal: Refusal) -> int:
        return refusal.status

    def headers(self, refusal: Refusal) -> dict[str, str]:
        return refusal_headers(refusal)

    def body(self, refusal: Refusal, request_id: str) -> bytes:
        error = {
            "message": refusal.message,
            "type": refusal.kind,
            "param": refusal.param,
            "code": refusal.code,
        }
        return orjson.dumps({"error": error})

    def event(self, refusal: Refusal, request_id: str) -> bytes:
        return b"\n\ndata: " + self.body(refusal, request_id) + b"\n\n"

    def heartbeat(self, position: int | None, wait: float | None) -> bytes:
        figures = "" if position is None else f" position={position}"
        if wait is not None:
            figures += f" wait={math.ceil(wait)}s"
        return f": {'queued' + figures if figures else 'waiting'}\n\n".encode()

    def relayed(self, body: bytes) -> bytes:
        return b"data: " + one_line(body) + b"\n\n"

    def credentials(self, secret: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {secret}"}

    def models(self, names: Sequence[str], facts: Facts = NO_FACTS) -> bytes:
        return orjson.dumps({"object": "list", "data": [_model(name, facts) for name in names]})

    def models_for_codex(self, names: Sequence[str], facts: Facts = NO_FACTS) -> bytes:
        """The list with the field that Codex reads; without it, it reports an error at each start.

        Its rows describe a model's manners (instructions, tools, truncation), of which the gateway knows nothing, and
        one row that lacks a field spoils all. So there are none, and Codex goes by its own.
        """
        return orjson.dumps({"object": "list", "data": [_model(name, facts) for name in names], "models": []})

    def model(self, name: str, facts: Facts = NO_FACTS) -> bytes:
        return orjson.dumps(_model(name, facts))


def _model(name: str, facts: Facts) -> dict[str, object]:
    # Where a name does not say when the model was made it is not known here; the SDKs insist on a number.
    made = made_on(name)
    created = 0 if made is None else int(made.timestamp())
    return {"id": name, "object": "model", "created": created, "owned_by": "fairgate", **facts.get(name, {})}


OPENAI = OpenAI()
