"""Figures for Prometheus: true, in its format, with labels that are known in advance and name no person."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from keypool.keys import Key
from keypool.pool import Pool
from server.dispatcher import Dispatcher
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.usage import Outcome, attempt_id
from server.observability.metrics import Metrics
from server.store.base import Person
from server.wire.usage import Usage
from tests.fakes.fates import ok, server_error
from tests.faults.asks import chat, embeddings
from tests.faults.conftest import Opener, io_loop, open_stage
from tests.faults.stage import Stage
from tests.gateways import spec
from tests.store.samples import usage_row
from tests.waiting.services import ask, full, get, one_slot, queued

__all__ = ["io_loop", "open_stage"]

ROOT = Path(__file__).parents[2]
Figures = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage(one_slot, queue_seconds=0.2)


def figures(text: str) -> dict[str, Figures]:
    """Each sample by its name, and there by the values of its labels in the order of their names."""
    found: dict[str, Figures] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {}), "no series comes twice"
            found[sample.name][labels] = sample.value
    return found


async def scrape(stage: Stage) -> dict[str, Figures]:
    async with aiohttp.ClientSession() as session, session.get(f"{stage.running.url}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return figures(await answer.text())


async def ada_of(stage: Stage) -> Person:
    person = await stage.running.services.store.person_by_name("ada")
    assert person is not None
    return person


def key(name: str, upstream: str = "university", **more: Any) -> Key:
    values: dict[str, Any] = {"dialects": frozenset({"openai"}), "models": frozenset({"small"}), "slots": 4, **more}
    return Key(id=name, upstream=upstream, **values)


def metrics_of(*keys: Key) -> tuple[Metrics, Dispatcher]:
    dispatcher = Dispatcher(Pool(keys), lambda: 1000.0)
    return Metrics(dispatcher), dispatcher


# What has happened


def test_a_settled_row_is_counted_by_model_outcome_and_dialect() -> None:
    metrics, _ = metrics_of(key("0123abcd"))
    for status in (Outcome.COMPLETED, Outcome.COMPLETED, Outcome.CUT):
        metrics.observe(usage_row("r", status=status, queue_ms=700, first_byte_ms=1_200, duration_ms=4_000))
    now = figures(metrics.text().decode())
    assert now["fairgate_requests_ended_total"] == {
        ("openai", "small", "completed"): 2,
        ("openai", "small", "cut"): 1,
    }
    assert now["fairgate_queue_waited_seconds_sum"] == {("small",): pytest.approx(2.1)}
    assert now["fairgate_queue_waited_seconds_bucket"]["0.25", "small"] == 0
    assert now["fairgate_queue_waited_seconds_bucket"]["1.0", "small"] == 3
    assert now["fairgate_answer_begun_seconds_sum"] == {("small",): pytest.approx(3.6)}
    assert now["fairgate_request_lasted_seconds_count"] == {("small", "completed"): 2, ("small", "cut"): 1}


def test_tokens_are_counted_by_kind() -> None:
    metrics, _ = metrics_of(key("0123abcd"))
    metrics.observe(usage_row("r", usage=Usage(input=100, cached=60, cache_write=10, output=40, reasoning=30)))
    assert figures(metrics.text().decode())["fairgate_tokens_used_total"] == {
        ("input", "small"): 100,
        ("cached", "small"): 60,
        ("cache_write", "small"): 10,
        ("output", "small"): 40,
        ("reasoning", "small"): 30,
    }


def test_money_is_counted_in_micro_usd_by_model() -> None:
    metrics, _ = metrics_of(key("0123abcd"))
    for cost in (1_250_000, 7, 0):
        metrics.observe(usage_row("r", cost_micro_usd=cost))
    assert figures(metrics.text().decode())["fairgate_cost_micro_usd_total"] == {("small",): 1_250_007}


def test_an_attempt_that_failed_costs_money_and_is_no_request() -> None:
    metrics, _ = metrics_of(key("0123abcd"))
    metrics.observe(usage_row("r", cost_micro_usd=5))
    metrics.observe(usage_row(attempt_id("r", 1), status=Outcome.FAILED, cost_micro_usd=3, usage=Usage(input=7)))
    now = figures(metrics.text().decode())
    assert now["fairgate_cost_micro_usd_total"] == {("small",): 8}
    assert now["fairgate_tokens_used_total"]["input", "small"] >= 7
    assert now["fairgate_requests_ended_total"] == {("openai", "small", "completed"): 1}
    assert now["fairgate_request_lasted_seconds_count"] == {("small", "completed"): 1}


def test_refusals_are_counted_by_their_codes() -> None:
    metrics, _ = metrics_of(key("0123abcd"))
    for code in ("insufficient_quota", "rate_limit_exceeded", "insufficient_quota"):
        metrics.refused(code)
    assert figures(metrics.text().decode())["fairgate_requests_rejected_total"] == {
        ("insufficient_quota",): 2,
        ("rate_limit_exceeded",): 1,
    }


def test_an_answer_without_a_first_byte_has_no_time_to_it() -> None:
    metrics, _ = metrics_of(key("0123abcd"))
    metrics.observe(usage_row("r", first_byte_ms=None))
    assert "fairgate_answer_begun_seconds_count" not in figures(metrics.text().decode())


def test_a_model_that_the_pool_does_not_know_makes_no_series_of_its_own() -> None:
    metrics, _ = metrics_of(key("0123abcd"))
    for number in range(50):
        metrics.observe(usage_row("r", model_asked=f"model-{number}", model_served=f"model-{number}"))
    now = figures(metrics.text().decode())
    assert now["fairgate_requests_ended_total"] == {("openai", "other", "completed"): 50}
    assert "model-" not in metrics.text().decode()


def test_no_person_token_or_key_is_named() -> None:
    row = usage_row("req_1")
    metrics, _ = metrics_of(key(row.key))
    metrics.observe(row)
    text = metrics.text().decode()
    for name in (row.key, row.person_id, str(row.token_id), row.request_id):
        assert name not in text


def test_every_name_says_the_noun_the_verb_and_the_unit() -> None:
    metrics, _ = metrics_of(key("0123abcd"))
    families = list(text_string_to_metric_families(metrics.text().decode()))
    assert len(families) >= 20
    for family in families:
        assert family.name.startswith("fairgate_")
        assert family.name.count("_") >= 2, family.name
        assert family.documentation.endswith(".")
        assert not family.name.endswith("_created")


# How things stand


def test_a_domain_is_named_by_its_organisation_or_by_its_upstream_and_a_number_that_stays() -> None:
    keys = [
        key("aaaa"),
        key("bbbb"),
        key("cccc", organisation="org/chemistry"),
        key("dddd", organisation="org/chemistry"),
    ]
    metrics, dispatcher = metrics_of(*keys)

    def known() -> set[tuple[str, ...]]:
        return set(figures(metrics.text().decode())["fairgate_domain_running_requests"])

    shared = ("org/chemistry", "small")
    assert known() == {("university#1", "small"), ("university#2", "small"), shared}
    dispatcher.pool.remove("aaaa", 1000.0)
    dispatcher.pool.add(key("eeee"), 1000.0)
    assert known() == {("university#2", "small"), ("university#3", "small"), shared}


@pytest.mark.gen_test
async def test_a_scrape_shows_queue_slots_and_keys_of_each_model(stage: Stage) -> None:
    await stage.set()
    async with full(stage) as gate:
        waiting = asyncio.create_task(ask(stage, chat("me, too", stream=False)))
        await queued(stage)
        now = await scrape(stage)
        gate.set()
        assert (await waiting).status == 200
    assert now["fairgate_queue_waiting_requests"]["gpt-4o",] == 1
    assert now["fairgate_queue_running_requests"]["gpt-4o",] == 1
    assert now["fairgate_keys_offered_slots"]["gpt-4o",] == 1
    assert now["fairgate_keys_standing_count"]["gpt-4o", "unchecked"] == 1
    assert now["fairgate_keys_standing_count"]["gpt-4o", "revoked"] == 0
    assert now["fairgate_domain_running_requests"]["fake#1", "gpt-4o"] == 1
    assert now["fairgate_shares_differ_cost"]["gpt-4o",] <= now["fairgate_shares_bounded_cost"]["gpt-4o",]
    assert now["fairgate_shares_compared_ratio"]["gpt-4o",] == 1.0


@pytest.mark.gen_test
async def test_a_scrape_shows_refusals_by_reason_and_retries_beside_their_budget(stage: Stage) -> None:
    await stage.set()
    async with full(stage):
        assert (await ask(stage, chat("not at all", stream=False), X_Max_Wait="0")).status == 429
        assert (await ask(stage, chat("in vain", stream=False))).status == 503
    now = await scrape(stage)
    assert now["fairgate_requests_refused_total"] == {
        ("queue_full",): 0,
        ("timed_out",): 1,
        ("too_long",): 1,
        ("no_key",): 0,
        ("too_large",): 0,
    }
    assert now["fairgate_retries_spent_count"] == {(): 0}
    assert now["fairgate_retries_allowed_count"] == {(): 3}


@pytest.mark.gen_test
async def test_a_scrape_shows_the_used_share_of_a_limit_and_of_the_input_that_was_cached(stage: Stage) -> None:
    await stage.set()
    stage.fake.limit("sk-upstream-one", rpm=10)
    stage.fake.script(None, ok(cached=3))
    assert (await ask(stage, chat("one two three four five six", stream=False))).status == 200
    await stage.quiet()
    now = await scrape(stage)
    assert now["fairgate_domain_used_ratio"]["fake#1", "requests", "gpt-4o"] == pytest.approx(0.1, abs=0.01)
    assert now["fairgate_input_cached_ratio"] == {(): pytest.approx(3 / stage.records[0].usage.input)}


@pytest.fixture(scope="module")
def two_keys(open_stage: Opener) -> Stage:
    return open_stage(lambda fake: (spec(fake),))


@pytest.mark.gen_test
async def test_a_paid_retry_is_counted(two_keys: Stage) -> None:
    await two_keys.set()
    two_keys.fake.script(None, server_error(500))
    assert (await ask(two_keys, chat("again", stream=False))).status == 200
    now = await scrape(two_keys)
    assert now["fairgate_requests_retried_total"] == {(): 1}
    assert now["fairgate_retries_spent_count"] == {(): 1}
    assert now["fairgate_keys_standing_count"]["gpt-4o", "cooling"] == 0  # one request proves nothing


@pytest.mark.gen_test
async def test_a_key_that_fails_one_persons_requests_is_counted_as_suspected(two_keys: Stage) -> None:
    await two_keys.set()
    two_keys.fake.script(None, *[replace(server_error(500), seen_by_probes=False)] * 12)
    for _ in range(6):
        assert (await ask(two_keys, chat("again", stream=False))).status >= 500
    now = await scrape(two_keys)
    assert now["fairgate_keys_suspected_count"]["gpt-4o",] >= 1
    assert now["fairgate_keys_standing_count"]["gpt-4o", "cooling"] == 0


@pytest.mark.gen_test
async def test_what_the_gateway_settles_is_counted(two_keys: Stage) -> None:
    await two_keys.set()
    before = (await scrape(two_keys)).get("fairgate_requests_ended_total", {})
    await ask(two_keys, embeddings("one two"))
    await two_keys.quiet()
    after = (await scrape(two_keys))["fairgate_requests_ended_total"]
    name = ("openai", "text-embedding-3-small", "completed")
    assert after[name] == before.get(name, 0) + 1


@pytest.mark.gen_test
async def test_a_scrape_shows_how_the_books_stand(two_keys: Stage) -> None:
    await two_keys.set()
    services = two_keys.running.services
    await two_keys.quiet()
    before = await scrape(two_keys)
    none_left = Limit("lim_0", Scope.PERSON, (await ada_of(two_keys)).id, Unit.REQUESTS, LimitWindow.DAY, 0)
    await services.changes.set_limit("operator", none_left)
    await services.take_effect()
    assert (await ask(two_keys, chat("not today", stream=False))).status == 429
    await services.changes.remove_limit("operator", "lim_0")
    await services.take_effect()
    assert (await ask(two_keys, embeddings("one two"))).status == 200
    await two_keys.quiet()
    now = await scrape(two_keys)
    assert now["fairgate_store_standing_count"] == {("closed",): 1, ("open",): 0, ("trial",): 0}
    assert now["fairgate_budgets_exceeded_total"]["person", "requests"] == 1
    assert now["fairgate_requests_rejected_total"]["insufficient_quota",] == 1
    assert now["fairgate_rows_written_total"][()] == before["fairgate_rows_written_total"][()] + 1
    for nothing in (
        "fairgate_rows_waiting_count",
        "fairgate_rows_unsettled_total",
        "fairgate_journal_waiting_count",
        "fairgate_journal_damaged_lines",
        "fairgate_reservations_held_count",
        "fairgate_escrow_live_count",
        "fairgate_store_breaker_opened_total",
    ):
        assert now[nothing] == {(): 0}, nothing


@pytest.mark.gen_test
async def test_what_may_cost_something_is_shown_while_it_is_held(stage: Stage) -> None:
    await stage.set()
    services = stage.running.services
    enough = Limit("lim_1", Scope.PERSON, (await ada_of(stage)).id, Unit.REQUESTS, LimitWindow.DAY, 1000)
    await services.changes.set_limit("operator", enough)
    await services.take_effect()
    async with full(stage):
        assert (await scrape(stage))["fairgate_reservations_held_count"] == {(): 1}
    await stage.quiet()
    assert (await scrape(stage))["fairgate_reservations_held_count"] == {(): 0}
    await services.changes.remove_limit("operator", "lim_1")
    await services.take_effect()


def test_every_figure_is_explained_in_the_handbook() -> None:
    explained = set(re.findall(r"`(fairgate_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    sources = "".join(path.read_text() for path in (ROOT / "server").rglob("*metrics.py"))
    assert explained == set(re.findall(r'"(fairgate_\w+)"', sources))


@pytest.fixture(scope="module")
def unwatched(open_stage: Opener) -> Stage:
    return open_stage(lambda fake: (spec(fake),), metrics=False)


@pytest.mark.gen_test
async def test_where_they_are_off_there_is_no_such_page(unwatched: Stage) -> None:
    assert (await ask(unwatched, embeddings("one two"))).status == 200
    status, body = await get(unwatched.running, "/metrics")
    assert (status, body["error"]["code"]) == (404, "unknown_url")


# The same on the page


@pytest.mark.gen_test
async def test_the_status_tells_waits_and_fairness_of_each_model(two_keys: Stage) -> None:
    await two_keys.set()
    _, before = await get(two_keys.running, "/status.json")
    assert {(model["wait_p50_seconds"], model["wait_p99_seconds"]) for model in before["models"]} == {(None, None)}
    for number in range(3):
        await ask(two_keys, chat(f"{number}", stream=False))
    await two_keys.quiet()
    two_keys.running.services.status_service.status.forget()
    _, after = await get(two_keys.running, "/status.json")
    (model,) = [model for model in after["models"] if model["name"] == "gpt-4o"]
    assert 0 <= model["wait_p50_seconds"] <= model["wait_p99_seconds"] < 1
    assert (model["jain"], model["gap"]) == (1.0, 0.0)
    assert model["gap_bound"] == 1 + 2 * model["slots"], "in requests of the largest size: one, and all slots twice"
    assert after["checking"] is None
