"""What is held is an upper bound: requests at once, answered as long as they may be, never settle more than a budget.

Seen on other gateways, and on this one before: a budget of 1 USD that spent 90, a pass of 0.30 USD that cost 81.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from server.ledger.limits import Scope, Unit, parse_limits
from server.ledger.prices import Price, Rates
from server.ledger.usage import Outcome, UsageRow
from tests.accounting.books import USD, budget, put_limits, put_prices
from tests.fakes.fates import Raw, held, ok
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Ask, Heard, chat, hear, messages
from tests.faults.stage import Stage, until
from tests.gateways import gateway, spec

pytestmark = pytest.mark.slow  # a gateway of its own for each

CALLERS = 20
LONGEST = 400  # tokens of an answer, where nobody bounds it
CHATTY, CLAUDE = "gpt-4o", "claude-sonnet-4-5"
# 1,000 tokens for a dollar: an answer of 400 costs 0.40, and a budget of a dollar has two of them and a shorter one.
DEAR = Rates(input=1_000_000, output=1_000_000_000)
PRICES = (Price("chatty", CHATTY, 0, DEAR), Price("claude", CLAUDE, 0, DEAR))
TOLD = "x-fairgate-max-tokens"


@asynccontextmanager
async def opened(limits: str = "1 usd/ever", **settings: Any) -> AsyncIterator[Stage]:
    async with FakeUpstream() as fake:
        fake.script(None, ok(words=100_000).for_ever())
        upstream = spec(fake, ["sk-upstream-one"], slots=CALLERS, models=(CHATTY, CLAUDE, "whisper-1", "by-picture"))
        async with gateway(
            fake, upstream, limits=parse_limits(limits), default_max_output=LONGEST, **settings
        ) as running:
            await put_prices(running.services, *PRICES)
            yield Stage(running)


async def ask_all(stage: Stage, asks: list[Ask], token: str | None = None) -> list[Heard]:
    async with aiohttp.ClientSession() as session:
        return await asyncio.gather(*(hear(session, stage.running, ask, token) for ask in asks))


def with_more(ask: Ask, **more: Any) -> Ask:
    return Ask(ask.dialect, ask.path, {**ask.document, **more})


def spent(rows: list[UsageRow]) -> int:
    return sum(row.cost_micro_usd for row in rows)


def outcomes(heard: list[Heard]) -> Counter[int | str]:
    return Counter(each.status if each.status == 200 else str(each.error.get("code")) for each in heard)


CROWDS = {
    "plain": [chat(f"{n}", stream=False) for n in range(CALLERS)],
    "streamed": [chat(f"{n}", stream=True) for n in range(CALLERS)],
    "several choices": [with_more(chat(f"{n}", stream=False), n=3) for n in range(CALLERS)],
    "predictions": [
        with_more(chat(f"{n}", stream=False), prediction={"type": "content", "content": "roads " * 40})
        for n in range(CALLERS)
    ],
    "long instructions": [
        with_more(
            chat(f"{n}", stream=True),
            messages=[{"role": "system", "content": "Be brief. " * 2_000}, {"role": "user", "content": f"{n}"}],
        )
        for n in range(CALLERS)
    ],
    "another bound that this API does not know": [
        with_more(chat(f"{n}", stream=False), max_output_tokens=1, max_tool_calls=0) for n in range(CALLERS)
    ],
    "bounds of their own": [with_more(chat(f"{n}", stream=False), max_tokens=300) for n in range(CALLERS)],
}


@pytest.mark.parametrize("asks", CROWDS.values(), ids=list(CROWDS))
@pytest.mark.gen_test(timeout=30)
async def test_a_crowd_never_settles_more_than_its_budget(asks: list[Ask]) -> None:
    async with opened() as stage:
        gate = asyncio.Event()
        stage.fake.forget_script()
        stage.fake.script(None, held(gate, words=100_000).for_ever())
        asking = asyncio.create_task(ask_all(stage, asks))
        await until(lambda: stage.waiting == 0 and stage.records and len(stage.pool.tickets) == len(stage.records))
        gate.set()
        heard = await asking
        rows = await stage.rows()
        assert 0 < len(rows) < CALLERS
        assert 0.3 * USD < spent(rows) <= USD
        assert outcomes(heard) == {200: len(rows), "insufficient_quota": CALLERS - len(rows)}


@pytest.mark.gen_test(timeout=20)
async def test_who_sets_no_bound_gets_one_that_the_budget_can_pay_and_is_told() -> None:
    async with opened() as stage:
        told = [(await ask_all(stage, [chat("go on", stream=stream)]))[0] for stream in (False, True)]
        assert [(each.status, each.headers[TOLD]) for each in told] == [(200, str(LONGEST))] * 2
        assert [json.loads(record.body)["max_completion_tokens"] for record in stage.records] == [LONGEST] * 2
        assert spent(await stage.rows()) <= USD


@pytest.mark.gen_test(timeout=20)
async def test_the_last_answer_is_as_short_as_what_is_left() -> None:
    async with opened(limits="0.7 usd/ever") as stage:
        first, second = [(await ask_all(stage, [chat("go on", stream=False)]))[0] for _ in range(2)]
        assert (first.headers[TOLD], first.status) == (str(LONGEST), 200)
        assert second.status == 200
        assert 256 <= int(second.headers[TOLD]) < 300
        assert 0.6 * USD < spent(await stage.rows()) <= 0.7 * USD


@pytest.mark.gen_test(timeout=20)
async def test_a_bound_of_the_caller_s_own_is_kept_or_refused() -> None:
    async with opened(limits="0.3 usd/ever") as stage:
        fits, greedy, claude = await ask_all(
            stage,
            [
                with_more(chat("a", stream=False), max_tokens=50),
                with_more(chat("b", stream=False), max_tokens=5_000),
                messages("c", stream=False),
            ],
        )
        assert (fits.status, TOLD in fits.headers) == (200, False)
        assert greedy.error["code"] == "insufficient_quota"
        assert claude.status == 402
        assert len(stage.records) == 1


@pytest.mark.parametrize("limits", ["1000 tokens/ever", "1000 tokens/day gpt-*"])
@pytest.mark.gen_test(timeout=20)
async def test_a_budget_in_tokens_bounds_answers_too(limits: str) -> None:
    async with opened(limits=limits) as stage:
        heard = await ask_all(stage, CROWDS["plain"])
        rows = await stage.rows()
        assert 1 <= outcomes(heard)[200] <= 3
        assert sum(row.usage.input + row.usage.output for row in rows) <= 1_000


@pytest.mark.parametrize("limits", ["", "100 requests/day", "100000 tokens/minute", "1 usd/ever o1*"])
@pytest.mark.gen_test(timeout=20)
async def test_where_no_budget_applies_nothing_is_put_into_the_body(limits: str) -> None:
    async with opened(limits=limits) as stage:
        stage.fake.forget_script()
        (heard,) = await ask_all(stage, [chat("hello", stream=False)])
        assert (heard.status, TOLD in heard.headers) == (200, False)
        assert "max_completion_tokens" not in json.loads(stage.records[0].body)


@pytest.mark.gen_test(timeout=20)
async def test_a_model_that_costs_nothing_is_not_bounded_by_money() -> None:
    async with opened(limits="0 usd/ever") as stage:
        await put_prices(stage.running.services, Price("chatty", CHATTY, 1, Rates()))
        stage.fake.forget_script()
        (heard,) = await ask_all(stage, [chat("hello", stream=False)])
        assert (heard.status, TOLD in heard.headers) == (200, False)


@pytest.mark.gen_test(timeout=20)
async def test_a_model_billed_in_another_unit_is_refused_where_a_budget_applies_only() -> None:
    by_sound = Price("sound", CHATTY, 1, Rates(audio_hour=360_000))
    for limits, expected in (("1 usd/ever", 403), ("", 200)):
        async with opened(limits=limits) as stage:
            await put_prices(stage.running.services, by_sound)
            stage.fake.forget_script()
            (heard,) = await ask_all(stage, [chat("hello", stream=False)])
            assert heard.status == expected
            if expected == 403:
                assert heard.error["code"] == "model_not_priced"
                assert not stage.records


@pytest.mark.gen_test(timeout=20)
async def test_a_cap_of_an_upstream_is_a_budget_too() -> None:
    async with opened(limits="") as stage:
        await put_limits(stage.running.services, budget(Scope.UPSTREAM, "fake", Unit.USD, USD))
        heard = await ask_all(stage, CROWDS["plain"])
        rows = await stage.rows()
        assert 1 <= outcomes(heard)[200] < CALLERS
        assert spent(rows) <= USD


@pytest.mark.gen_test(timeout=20)
async def test_an_upstream_that_refuses_the_name_of_our_bound_gets_it_under_the_other_one() -> None:
    async with opened() as stage:
        stage.fake.forget_script()
        error = {"error": {"message": "Unsupported parameter: 'max_completion_tokens'"}}
        no = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{json.dumps(error)}"
        stage.fake.script(None, Raw(name="refused", data=no.encode()), ok(words=9).for_ever())
        heard = [(await ask_all(stage, [chat("go on", stream=False)]))[0] for _ in range(2)]
        assert [(each.status, each.headers[TOLD]) for each in heard] == [(200, str(LONGEST))] * 2
        names = [[name for name in json.loads(record.body) if name.startswith("max")] for record in stage.records]
        assert names == [["max_completion_tokens"], ["max_tokens"], ["max_tokens"]], "learnt once"
        assert [json.loads(record.body)["max_tokens"] for record in stage.records[1:]] == [LONGEST] * 2
        assert sorted(row.attempts for row in await stage.rows()) == [1, 2]


TOO_LARGE = {
    "error": {
        "message": "max_tokens is too large: 400. This model supports at most 300 completion tokens, whereas you"
        " provided 400.",
        "type": "invalid_request_error",
        "param": "max_tokens",
        "code": "invalid_value",
    }
}


def refusing(error: dict[str, Any]) -> Raw:
    no = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{json.dumps(error)}"
    return Raw(name="refused", data=no.encode())


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.gen_test(timeout=20)
async def test_a_bound_of_ours_that_is_too_large_is_shortened_and_no_caller_hears_of_it(stream: bool) -> None:
    async with opened() as stage:
        stage.fake.forget_script()
        stage.fake.script(None, refusing(TOO_LARGE), ok(words=9).for_ever())
        heard = [(await ask_all(stage, [chat("go on", stream=stream)]))[0] for _ in range(2)]
        assert [(each.status, each.headers[TOLD]) for each in heard] == [(200, "300")] * 2
        bounds = [json.loads(record.body)["max_completion_tokens"] for record in stage.records]
        assert bounds == [LONGEST, 300, 300], "learnt once"
        assert sorted(row.attempts for row in await stage.rows()) == [1, 2]
        assert stage.pool.tally.retries == 0, "no key is to blame, and no retry is spent"


@pytest.mark.gen_test(timeout=20)
async def test_a_model_that_refuses_every_bound_is_asked_four_times_and_then_heard() -> None:
    async with opened() as stage:
        stage.fake.forget_script()
        never = {"error": {"message": "context length exceeded", "code": "context_length_exceeded"}}
        stage.fake.script(None, refusing(never).for_ever())
        (heard,) = await ask_all(stage, [chat("go on", stream=False)])
        assert (heard.status, heard.error["code"]) == (400, "context_length_exceeded")
        bounds = [json.loads(record.body)["max_completion_tokens"] for record in stage.records]
        assert bounds == [400, 200, 100, 50]
        assert [(row.status, row.cost_micro_usd) for row in await stage.rows()] == [(Outcome.REJECTED, 0)]


@pytest.mark.gen_test(timeout=20)
async def test_the_caller_hears_that_its_own_bound_is_too_large() -> None:
    async with opened() as stage:
        stage.fake.forget_script()
        stage.fake.script(None, refusing(TOO_LARGE), ok(words=9).for_ever())
        (heard,) = await ask_all(stage, [with_more(chat("go on", stream=False), max_tokens=400)])
        assert (heard.status, heard.error["param"], len(stage.records)) == (400, "max_tokens", 1)


@pytest.mark.gen_test
async def test_what_no_field_bounds_is_held_at_the_longest_that_the_model_writes() -> None:
    compact = Ask("openai", "/v1/responses/compact", {"model": CHATTY, "input": "hello"})
    async with opened("15 usd/ever") as stage:  # an answer of 16,384 tokens costs more
        heard = await ask_all(stage, [compact])
        assert (outcomes(heard), len(stage.fake.records)) == (Counter({"insufficient_quota": 1}), 0)
    async with opened("17 usd/ever") as stage:
        assert outcomes(await ask_all(stage, [compact, compact])) == Counter({200: 1, "insufficient_quota": 1})
