"""The status page for programs (docs/status-json.md). Keys are never missing nor renamed; new ones may be added."""

from __future__ import annotations

import json
from typing import Any

from web import formatting as words
from web.view import KEY_STATES, PERIODS, Ladder, ModelView, StatusView, TotalsView


def status_json(view: StatusView) -> bytes:
    """The whole document, UTF-8."""
    return json.dumps(as_dict(view), indent=2).encode()


def as_dict(view: StatusView) -> dict[str, Any]:
    """The document. What is not known is null."""
    return {
        "title": view.title,
        "state": view.state,
        "sentence": words.headline(view).sentence,
        "demo": view.demo,
        "uptime_seconds": int(view.uptime_seconds),
        "now_ms": view.now_ms,
        "timezone": str(view.zone),
        "base_url": view.base_url,
        "waiting": view.waiting,
        "running": view.running,
        "people_online": view.people_online,
        "checking": None if view.checking is None else {"done": view.checking[0], "of": view.checking[1]},
        "models": [_model(model) for model in view.models],
        "keys": [
            {"provider": key.provider, "state": key.state, "since_ms": key.since_ms, "models": key.models}
            for key in view.keys
        ],
        "today": _totals(view.today),
        "month": _totals(view.month),
        "ever": _totals(view.ever),
        "hours": [
            {"start_ms": each.start_ms, "requests": each.requests, "busy": _rounded(each.busy)} for each in view.hours
        ],
        "history_since_ms": view.history_since_ms,
        "incidents": [
            {"title": each.title, "detail": each.detail, "began_ms": each.began_ms, "ended_ms": each.ended_ms}
            for each in view.incidents
        ],
        "notices": [
            {"kind": each.kind, "text": each.text, "since_ms": each.since_ms, "until_ms": each.until_ms}
            for each in view.notices
        ],
    }


def _model(model: ModelView) -> dict[str, Any]:
    return {
        "name": model.name,
        "condition": model.condition,
        "demand": model.demand,
        "waiting": model.waiting,
        "running": model.running,
        "slots": model.slots,
        "keys": {state: model.keys.get(state, 0) for state in KEY_STATES},
        "wait_seconds": _rounded(model.wait_seconds),
        "wait_latest_seconds": _rounded(model.wait_latest_seconds),
        "forecasts": model.forecasts,
        "forecasts_near": model.forecasts_near,
        "wait_p50_seconds": _rounded(model.wait_p50_seconds),
        "wait_p99_seconds": _rounded(model.wait_p99_seconds),
        "jain": round(model.jain, 4),
        "gap": round(model.gap, 3),
        "gap_bound": round(model.gap_bound, 3),
        "periods": {period: _period(model, period) for period in PERIODS},
        "uptime_days": [_share(day) for day in model.uptime_days],
    }


def _period(model: ModelView, period: str) -> dict[str, Any] | None:
    found = model.over(period)
    if found is None:
        return None
    return {
        "requests": found.requests,
        "failed": found.failed,
        "uptime": _share(found.uptime),
        "watched": _share(found.watched),
        "wait_seconds": _ladder(found.wait),
        "first_byte_seconds": _ladder(found.first_byte),
        "tokens_per_second": _rounded(found.tokens_per_second),
    }


def _ladder(ladder: Ladder | None) -> dict[str, float | int | None] | None:
    if ladder is None:
        return None
    return {
        "count": ladder.count,
        "p50": _rounded(ladder.p50),
        "p90": _rounded(ladder.p90),
        "p99": _rounded(ladder.p99),
    }


def _totals(totals: TotalsView | None) -> dict[str, int | None] | None:
    if totals is None:
        return None
    return {
        "requests": totals.requests,
        "tokens_in": totals.tokens_in,
        "tokens_out": totals.tokens_out,
        "cost_micro_usd": totals.micro_usd,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 6)
