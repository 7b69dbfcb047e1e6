"""The page's twin for programs: its keys are a promise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.web.examples import BUSY, a_model, a_view
from tests.web.samples import busy_status
from web import render
from web.view import ModelView


def test_the_whole_document_is_as_promised() -> None:
    assert json.loads(render.status_json(a_view(models=(BUSY,)))) == {
        "title": "Library gateway",
        "state": "up",
        "sentence": "The model answers.",
        "demo": False,
        "uptime_seconds": 273_900,
        "now_ms": 1_790_000_000_000,
        "timezone": "UTC",
        "base_url": "https://llm.example.edu",
        "waiting": 4,
        "running": 14,
        "people_online": None,
        "checking": None,
        "models": [
            {
                "name": "gpt-5.2",
                "condition": "busy",
                "demand": None,
                "waiting": 4,
                "running": 14,
                "slots": 16,
                "keys": {"ready": 5, "cooling": 1, "exhausted": 2, "unchecked": 0, "paused": 0, "revoked": 0},
                "wait_seconds": None,
                "wait_latest_seconds": None,
                "forecasts": 0,
                "forecasts_near": 0,
                "wait_p50_seconds": 0.25,
                "wait_p99_seconds": 12.346,
                "jain": 0.9988,
                "gap": 1.2,
                "gap_bound": 33.0,
                "periods": {"24h": None, "7d": None, "30d": None},
                "uptime_days": [],
            }
        ],
        "keys": [],
        "today": {"requests": 4821, "tokens_in": 12_345_678, "tokens_out": 987_654, "cost_micro_usd": None},
        "month": None,
        "ever": None,
        "hours": [],
        "history_since_ms": None,
        "incidents": [],
        "notices": [],
    }


def test_what_is_known_has_the_same_units() -> None:
    document = json.loads(render.status_json(busy_status()))
    assert document["models"][0]["periods"]["24h"] == {
        "requests": 1204,
        "failed": 3,
        "uptime": 0.99931,
        "watched": 1.0,
        "wait_seconds": {"count": 1204, "p50": 0.02, "p90": 3.1, "p99": 14.2},
        "first_byte_seconds": {"count": 1190, "p50": 0.61, "p90": 4.2, "p99": 18.5},
        "tokens_per_second": None,
    }
    assert document["keys"][4] == {
        "provider": "openai",
        "state": "exhausted",
        "since_ms": 1_790_000_000_000 - 31 * 3_600_000,
        "models": 3,
    }
    assert document["ever"]["cost_micro_usd"] == 8_120_440_000
    assert document["incidents"][0]["ended_ms"] is None
    assert document["timezone"] == "Europe/Berlin"
    assert len(document["hours"]) == 24


def test_every_field_is_in_the_documentation() -> None:
    documentation = (Path(__file__).parents[2] / "docs" / "status-json.md").read_text()
    missing = {
        name for name in _names(json.loads(render.status_json(busy_status()))) if f"`{name}`" not in documentation
    }
    assert not missing


def _names(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_names, value.values()))
    return set().union(*map(_names, value)) if isinstance(value, list) else set()


def test_the_first_look_at_the_keys_is_shown_while_it_lasts() -> None:
    document = json.loads(render.status_json(a_view(checking=(3, 12))))
    assert document["checking"] == {"done": 3, "of": 12}


def test_before_the_first_wait_there_is_no_figure_instead_of_a_zero() -> None:
    (model,) = json.loads(render.status_json(a_view(models=(a_model("m"),))))["models"]
    assert (model["wait_p50_seconds"], model["wait_p99_seconds"]) == (None, None)


def test_the_keys_are_the_same_with_and_without_models() -> None:
    empty, full = (json.loads(render.status_json(view)) for view in (a_view(models=()), a_view()))
    assert list(empty) == list(full)


@pytest.mark.parametrize("name", ["<script>", '"', "\u2028", "\ud800", "模型"])
def test_any_name_comes_back_as_it_was(name: str) -> None:
    document = json.loads(render.status_json(a_view(models=(a_model(name),))))
    assert document["models"][0]["name"] == name


def test_a_state_the_page_does_not_know_is_refused_and_not_left_out() -> None:
    with pytest.raises(ValueError, match="not a key state: READY"):
        ModelView("m", waiting=0, running=0, slots=1, keys={"READY": 1})
