"""The table `usage`: its columns by what they hold, and a row of it both ways."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from server.ledger.usage import Outcome, UsageRow
from server.wire.usage import Usage

_PLAIN = (
    *("request_id", "person_id", "token_id", "group", "model_asked", "model_served", "endpoint", "dialect"),
    *("upstream", "key", "status", "started_at", "day", "queue_ms", "first_byte_ms", "duration_ms", "attempts"),
    *("streamed", "cost_micro_usd", "price_id", "client_aborted", "alias", "error"),
)
_COUNTED = (
    *("input", "cached", "cache_write", "output", "reasoning", "estimated", "images", "audio_ms", "cache_write_1h"),
    *("input_audio", "input_image", "output_text", "output_audio", "output_image", "tools", "tier", "geo"),
)
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}

COLUMNS = ", ".join(f'"{name}"' for name in (*_PLAIN, *_COUNTED))
PLACES = ", ".join("?" * len((*_PLAIN, *_COUNTED)))

values_of = attrgetter(*_PLAIN, *(f"usage.{name}" for name in _COUNTED))


def row_of(values: tuple[Any, ...]) -> UsageRow:
    """A row from the values of `COLUMNS`. Written out, since exports read millions."""
    (
        request_id, person_id, token_id, group, model_asked, model_served, endpoint, dialect,
        upstream, key, status, started_at, day, queue_ms, first_byte_ms, duration_ms, attempts,
        streamed, cost_micro_usd, price_id, client_aborted, alias, error,
        tokens_in, cached, cache_write, tokens_out, reasoning, estimated, images, audio_ms, *others,
    ) = values  # fmt: skip
    return UsageRow(
        request_id=request_id, person_id=person_id, token_id=token_id, group=group, model_asked=model_asked,
        model_served=model_served, endpoint=endpoint, dialect=dialect, upstream=upstream, key=key,
        status=_OUTCOMES[status], started_at=started_at, day=day, queue_ms=queue_ms, first_byte_ms=first_byte_ms,
        duration_ms=duration_ms, attempts=attempts, streamed=bool(streamed),
        usage=Usage(tokens_in, cached, cache_write, tokens_out, reasoning, bool(estimated), images, audio_ms, *others),
        cost_micro_usd=cost_micro_usd, price_id=price_id, client_aborted=bool(client_aborted), alias=alias,
        error=error,
    )  # fmt: skip
