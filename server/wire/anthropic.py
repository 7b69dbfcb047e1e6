"""Anthropic's manners: `x-api-key`, a dated API version, errors with a type of their own and some statuses too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from server.wire.dialect import NO_FACTS, Dialect, Facts, one_line, refusal_headers
from server.wire.errors import Refusal
from server.wire.modalities import made_on

DEFAULT_VERSION = "2023-06-01"
UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)


class Anthropic:
    """The dialect of `/v1/messages`."""

    name = "anthropic"
    passed_headers = frozenset({"anthropic-version", "anthropic-beta"})

    def status(self, refusal: Refusal) -> int:
        return refusal.anthropic_status or refusal.status

    def headers(self, refusal: Refusal) -> dict[str, str]:
        return refusal_headers(refusal)

    def body(self, refusal: Refusal, request_id: str) -> bytes:
        error = {"type": refusal.anthropic_kind, "message": refusal.message}
        return orjson.dumps({"type": "error", "error": error, "request_id": request_id})

    def event(self, refusal: Refusal, request_id: str) -> bytes:
        return b"\n\nevent: error\ndata: " + self.body(refusal, request_id) + b"\n\n"

    def heartbeat(self, position: int | None, wait: float | None) -> bytes:
        return b'event: ping\ndata: {"type": "ping"}\n\n'  # as Anthropic's own, which says nothing either

    def relayed(self, body: bytes) -> bytes:
        return b"event: error\ndata: " + one_line(body) + b"\n\n"

    def credentials(self, secret: str) -> dict[str, str]:
        return {"x-api-key": secret, "anthropic-version": DEFAULT_VERSION}

    def models(self, names: Sequence[str], facts: Facts = NO_FACTS) -> bytes:
        listing = {
            "data": [_model(name, facts) for name in names],
            "has_more": False,
            "first_id": names[0] if names else None,
            "last_id": names[-1] if names else None,
        }
        return orjson.dumps(listing)

    def model(self, name: str, facts: Facts = NO_FACTS) -> bytes:
        return orjson.dumps(_model(name, facts))


def _model(name: str, facts: Facts) -> dict[str, object]:
    # Where a name does not say when the model was made it is not known here: Anthropic gives the epoch for that, too.
    made = made_on(name) or UNKNOWN
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": f"{made:%Y-%m-%dT%H:%M:%SZ}",
        "lifecycle": "active",
        **facts.get(name, {}),
    }


ANTHROPIC: Dialect = Anthropic()
