"""The views of the public pages, made from records and figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from typing import Literal

from keypool.snapshot import ModelSnapshot
from server.accounting.runtime_config import RuntimeConfig
from server.ledger.history import HOUR_MS, HourRow, percentile
from server.ledger.listing import pricing
from server.ledger.prices import UNPRICED, Price
from server.ledger.summaries import PERIODS as HOURS
from server.ledger.summaries import Summary, tokens_per_second, uptime
from server.policy.incidents import Incident, detail, title
from server.policy.notices import Notice, notice_of
from server.wire.modalities import modalities
from server.wire.published import chats
from web.view import Demand, HourView, IncidentView, Ladder, ModelView, NoticeView, PeriodView
from web.view_models import ModelRow

Period = Literal["24h", "7d", "30d"]

PERIODS: tuple[Period, ...] = ("24h", "7d", "30d")
DEMANDS: tuple[tuple[float, Demand], ...] = ((0.5, "low"), (1.0, "medium"), (2.0, "high"))


def demand(model: ModelSnapshot) -> Demand:
    """How much is asked of a model's keys, for whatever model: requests that wait and run for each that may run."""
    load = (model.held + model.competing) / model.slots if model.slots else float(model.waiting)
    return next((word for most, word in DEMANDS if load <= most), "very high")


def quantile(ordered: list[float], share: float) -> float | None:
    """The smallest value that so many do not exceed; None of none."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


def hour_views(summary: Summary, now: int) -> tuple[HourView, ...]:
    """The last 24 hours from the first that was watched on; what is missing between was not."""
    if not summary.hours:
        return ()
    known: Mapping[int, HourRow] = {row.hour: row for row in summary.hours}
    return tuple(_hour(start, known.get(start)) for start in range(min(known), now + 1, HOUR_MS))


def facts_of(model: ModelView, price: Price | None, window: int | None) -> dict[str, object]:
    """The facts about one model in a list of models, by which a caller or a program chooses; None is not known.

    `window`: the tokens of its context.
    """
    wait, known, row = model.wait_seconds, modalities(model.name), model_row(model.name, model, price, window)
    reads, writes = known if known is not None else (None, None)
    return {
        "context_length": window,
        "pricing": pricing(price),
        "architecture": {"input_modalities": reads, "output_modalities": writes},
        "status": model.condition,
        "demand": model.demand,
        "wait_seconds": None if wait is None or not model.answers else round(wait, 1),
        "uptime": None if row.uptime is None else round(row.uptime, 6),
        "tokens_per_second": None if row.speed is None else round(row.speed, 1),
    }


def model_row(name: str, model: ModelView, price: Price | None, window: int | None) -> ModelRow:
    """A line of the pages on which a person chooses a model. `name`: its own, or another one for it."""
    priced = price is not None and price.id != UNPRICED.id
    reads, writes = modalities(model.name) or ((), ())
    return ModelRow(
        name=name,
        model=model,
        micro_usd_in=price.rates.input if price is not None and priced else None,
        micro_usd_out=price.rates.output if price is not None and priced else None,
        window=window,
        reads=reads,
        writes=writes,
        chats=chats(model.name),
    )


def notices(book: RuntimeConfig) -> list[Notice]:
    """The operator's notices, the latest first; one that cannot be read is left out."""
    found = []
    for record in book.notices:
        with suppress(ValueError):
            found.append(notice_of(record.id, record.body))
    return sorted(found, key=lambda notice: (-notice.since, notice.id))


def notice_view(notice: Notice) -> NoticeView:
    return NoticeView(notice.kind.value, notice.text, notice.since, notice.until)


def incident_view(incident: Incident) -> IncidentView:
    return IncidentView(title(incident), incident.began_at, incident.ended_at, detail(incident))


def _hour(start: int, row: HourRow | None) -> HourView:
    if row is None:
        return HourView(start, 0)
    return HourView(start, row.requests, min(1.0, row.running / row.slots) if row.slots else None)


def period_views(rows: Mapping[str, HourRow]) -> tuple[PeriodView, ...]:
    """One model over the periods that there is any record of."""
    return tuple(_period(name, rows[name]) for name in PERIODS if name in rows)


def _period(name: Period, row: HourRow) -> PeriodView:
    return PeriodView(
        period=name,
        requests=row.requests,
        failed=row.failed,
        uptime=uptime(row),
        watched=min(1.0, row.watched / (HOURS[name] * 3600)),
        wait=_ladder(row.waits),
        first_byte=_ladder(row.first_bytes),
        tokens_per_second=tokens_per_second(row),
    )


def _ladder(buckets: Mapping[int, int]) -> Ladder | None:
    count = sum(buckets.values())
    if not count:
        return None
    return Ladder(count, percentile(buckets, 0.5), percentile(buckets, 0.9), percentile(buckets, 0.99))
