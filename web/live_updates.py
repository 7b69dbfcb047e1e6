"""The numbers that move on the status page, by the ids of the elements that show them.

The page and the events that follow it take their texts from here, so that both say the same in the same words. What
moves otherwise (a key's state, a new model, an incident) changes `shape`: then the browser asks for the page again.
"""

from __future__ import annotations

import hashlib
import json

from web import charts
from web import formatting as words
from web.languages import reader, reading
from web.view import ModelView, StatusView

_OFTEN_ENOUGH = 300_000  # milliseconds until the slow parts of a page (charts, totals) are asked for again


def texts(view: StatusView) -> dict[str, str]:
    """Element id -> what it says now."""
    said = {
        "load": words.load(view),
        "online": words.online(view),
        "asof": words.clock(view.now_ms, view.zone),
        "requests-today": words.compact(view.requests_today),
        "tokens-in-today": words.compact(view.tokens_in_today),
        "tokens-out-today": words.compact(view.tokens_out_today),
    }
    if view.models:
        said["fairness"] = words.fairness(view)
        said["forecasts"] = words.forecasts(view)
    for place, model in enumerate(view.models):
        said[f"m{place}-running"] = words.grouped(model.running)
        said[f"m{place}-waiting"] = words.grouped(model.waiting)
        said[f"m{place}-wait"] = words.wait(model)
        said[f"m{place}-condition"] = words.word(model.condition)
    return said


def widths(view: StatusView) -> dict[str, str]:
    """Element id -> how wide its rectangle is now."""
    return {f"m{place}-used": f"{used(model)}%" for place, model in enumerate(view.models)}


def used(model: ModelView) -> float:
    """Slots in use, in per cent."""
    return charts.filled(model.running, model.slots) if model.slots else 0.0


def shape(view: StatusView) -> str:
    """A digest of everything on the page that is not a moving number."""
    slow = (
        words.headline(view),
        view.state,
        view.checking,
        view.notices,
        view.incidents,
        [(model.name, sorted(model.keys.items())) for model in view.models],
        [(key.provider, key.state, key.since_ms) for key in view.keys],
        view.now_ms // _OFTEN_ENOUGH,
    )
    return hashlib.sha256(repr(slow).encode("utf-8", "replace")).hexdigest()[:12]


def live_event(view: StatusView) -> bytes:
    """The data of one server-sent event: one line of JSON."""
    with reading(view.language or reader()):
        return json.dumps({"shape": shape(view), "text": texts(view), "width": widths(view)}).encode()
