"""The page's twin for programs: its keys are a promise."""

from __future__ import annotations

import json

import pytest

from tests.web.examples import BUSY, a_model, a_view
from web import render
from web.view import ModelView


def test_the_whole_document_is_as_promised() -> None:
    assert json.loads(render.status_json(a_view(models=(BUSY,)))) == {
        "title": "Library gateway",
        "state": "up",
        "demo": False,
        "uptime_seconds": 273_900,
        "now_ms": 1_790_000_000_000,
        "base_url": "https://llm.example.edu",
        "waiting": 4,
        "running": 14,
        "checking": None,
        "models": [
            {
                "name": "gpt-5.2",
                "condition": "busy",
                "waiting": 4,
                "running": 14,
                "slots": 16,
                "keys": {"ready": 5, "cooling": 1, "exhausted": 2, "unchecked": 0, "paused": 0, "revoked": 0},
                "wait_p50_seconds": 0.25,
                "wait_p99_seconds": 12.346,
                "jain": 0.9988,
                "gap": 1.2,
                "gap_bound": 33.0,
            }
        ],
        "today": {"requests": 4821, "tokens_in": 12_345_678, "tokens_out": 987_654},
    }


def test_the_first_look_at_the_keys_is_told_while_it_lasts() -> None:
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
