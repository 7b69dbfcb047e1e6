"""What people may use: every kind of limit, asked for over the wire."""

from __future__ import annotations

from collections import Counter

import aiohttp
import pytest
from tornado.ioloop import IOLoop

from keypool.health import KeyEvent, KeyState
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.prices import Price, Rates
from tests.accounting.books import USD, Place, budget, person_id, put_limits, put_prices
from tests.fakes.fates import context_too_long, revoked, server_error
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Heard, chat, hear, messages
from tests.faults.conftest import Opener
from tests.faults.stage import Stage
from tests.gateways import Running, gateway, spec

DEAR, FREE, CLAUDE = "gpt-4o", "llama-free", "claude-sonnet-4-5"
PRICES = (
    Price("dear", DEAR, 0, Rates(request=USD)),
    Price("free", FREE, 0, Rates()),
    Price("claude", CLAUDE, 0, Rates(request=USD)),
)
BUDGET = "x-fairgate-budget-remaining-usd"
FAR = 10**13  # milliseconds


@pytest.fixture(scope="module")
def open_shop(open_stage: Opener, io_loop: IOLoop) -> Stage:
    stage = open_stage(lambda fake: (spec(fake, models=(DEAR, FREE, CLAUDE)),))
    io_loop.run_sync(lambda: put_prices(stage.running.services, *PRICES))
    return stage


@pytest.fixture
def shop(open_shop: Stage, io_loop: IOLoop) -> Stage:
    io_loop.run_sync(open_shop.set)
    return open_shop


async def ask(running: Running, token: str, times: int = 1, model: str = DEAR) -> list[Heard]:
    """One after the other."""
    async with aiohttp.ClientSession() as session:
        return [await hear(session, running, chat("Hello.", stream=False, model=model), token) for _ in range(times)]


def told(heard: list[Heard]) -> list[int | str]:
    """Status 200, or the code of the refusal."""
    return [each.status if each.status == 200 else each.error["code"] for each in heard]


async def person(running: Running, name: str, *limits: Limit, groups: tuple[str, ...] = ()) -> str:
    """A new person with limits of their own (and "" in place of their id) and in these groups; their token."""
    token, services = await running.token_of(name), running.services
    own = await person_id(services.store, name)
    await services.store.update_person(own, {"groups": groups})
    await put_limits(services, *(budget(it.scope, own, it.unit, it.amount, **_rest(it)) for it in limits))
    return token


def mine(unit: Unit, amount: int, **more: object) -> Limit:
    return budget(Scope.PERSON, "whoever", unit, amount, **more)


def _rest(limit: Limit) -> dict[str, object]:
    return {"window": limit.window, "family": limit.family, "extra": limit.extra, "extra_until": limit.extra_until}


async def charged(stage: Stage, name: str) -> int:
    own = await person_id(stage.running.services.store, name)
    return sum(row.cost_micro_usd for row in await stage.rows() if row.person_id == own)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_of_twenty_requests_a_minute_the_twenty_first_is_told_when_to_come_again(shop: Stage) -> None:
    token = await person(shop.running, "twenty", mine(Unit.REQUESTS, 20, window=LimitWindow.MINUTE))
    heard = await ask(shop.running, token, 21)
    assert told(heard) == [200] * 20 + ["rate_limit_exceeded"]
    assert [each.headers["x-ratelimit-remaining-requests"] for each in heard] == [
        str(left) for left in [*range(19, -1, -1), 0]
    ]
    assert {each.headers["x-ratelimit-limit-requests"] for each in heard} == {"20"}
    assert heard[-1].status == 429
    assert 1 <= int(heard[-1].headers["retry-after"]) <= 60
    assert len(shop.records) == 20


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_anthropics_clients_are_told_in_anthropics_words(shop: Stage) -> None:
    token = await person(shop.running, "anthropic", mine(Unit.REQUESTS, 1, window=LimitWindow.MINUTE))
    async with aiohttp.ClientSession() as session:
        heard = [await hear(session, shop.running, messages("Hi.", stream=True), token) for _ in range(2)]
    assert [each.status for each in heard] == [200, 429]
    assert heard[-1].error["type"] == "rate_limit_error"
    assert [each.headers["anthropic-ratelimit-requests-remaining"] for each in heard] == ["0", "0"]


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("window", [LimitWindow.MINUTE, LimitWindow.EVER])
async def test_whoever_was_not_served_has_their_place_back(shop: Stage, window: LimitWindow) -> None:
    token = await person(shop.running, f"unlucky-{window}", mine(Unit.REQUESTS, 2, window=window))
    shop.fake.script(None, context_too_long(), context_too_long(), revoked(), revoked())
    failed = await ask(shop.running, token, 3) + await ask(shop.running, token, model="nobody-has-this")
    assert 200 not in told(failed)
    await shop.quiet()
    shop.renew_pool()
    assert told(await ask(shop.running, token, 2)) == [200, 200]
    assert told(await ask(shop.running, token)) != [200]


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_when_the_money_is_gone_what_costs_nothing_still_works(shop: Stage) -> None:
    token = await person(shop.running, "poor", mine(Unit.USD, 2 * USD + 1))
    heard = await ask(shop.running, token, 3)
    assert told(heard) == [200, 200, "insufficient_quota"]
    assert [each.headers[BUDGET] for each in heard] == ["1.000001", "0.000001", "0.000001"]
    assert heard[-1].headers["x-should-retry"] == "false"
    assert told(await ask(shop.running, token, 3, model=FREE)) == [200] * 3
    assert await charged(shop, "poor") == 2 * USD


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_a_pot_is_for_all_members_and_a_cap_for_each_head(shop: Stage) -> None:
    services = shop.running.services
    await put_limits(services, budget(Scope.GROUP, "lab", Unit.USD, 5 * USD))
    await put_limits(services, budget(Scope.MEMBER, "lab", Unit.USD, 3 * USD))
    one = await person(shop.running, "one", groups=("lab",))
    other = await person(shop.running, "other", groups=("lab",))
    outsider = await person(shop.running, "outsider")
    assert told(await ask(shop.running, one, 4)) == [200, 200, 200, "insufficient_quota"], "the cap"
    assert told(await ask(shop.running, other, 3)) == [200, 200, "insufficient_quota"], "the pot"
    assert told(await ask(shop.running, outsider, 6)) == [200] * 6


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_a_token_has_a_budget_of_its_own(shop: Stage) -> None:
    first = await person(shop.running, "tokens")
    limited, second = await shop.running.services.accounts.create_token("tokens", "limited")
    await put_limits(shop.running.services, budget(Scope.TOKEN, limited.id, Unit.USD, USD))
    assert told(await ask(shop.running, second, 2)) == [200, "insufficient_quota"]
    assert told(await ask(shop.running, first, 2)) == [200, 200]


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_a_persons_own_limit_stands_in_place_of_everyones_and_can_be_raised_for_a_while(shop: Stage) -> None:
    services = shop.running.services
    everyone = budget(Scope.EVERYONE, "", Unit.REQUESTS, 1, family=CLAUDE)
    await put_limits(services, everyone)
    usual = await person(shop.running, "usual")
    more = await person(shop.running, "more", mine(Unit.REQUESTS, 3, family=CLAUDE))
    raised = mine(Unit.REQUESTS, 1, family=CLAUDE, extra=1, extra_until=FAR)
    lucky = await person(shop.running, "lucky", raised)
    over = mine(Unit.REQUESTS, 1, family=CLAUDE, extra=1, extra_until=services.wall() - 1)
    late = await person(shop.running, "late", over)
    served = [await _claudes(shop.running, token) for token in (usual, more, lucky, late)]
    assert served == [1, 3, 2, 1]
    assert told(await ask(shop.running, usual, 2)) == [200, 200], "of another family"


async def _claudes(running: Running, token: str) -> int:
    """How many of five requests are served."""
    async with aiohttp.ClientSession() as session:
        heard = [await hear(session, running, messages("Hi.", stream=False), token) for _ in range(5)]
    return sum(each.status == 200 for each in heard)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_a_key_whose_owners_month_is_used_up_rests_and_the_others_serve_until_none_is_left(sqlite: Place) -> None:
    async with FakeUpstream() as fake:
        ours = [
            spec(fake, (f"sk-key-of-{name}",), name=name, models=(DEAR,), monthly_cap_micro_usd=cap * USD)
            for name, cap in (("ann", 2), ("ben", 1))
        ]
        async with gateway(fake, *ours, **sqlite.settings) as running:
            await put_prices(running.services, *PRICES)
            assert told(await ask(running, running.token, 5)) == [200] * 3 + ["no_upstream_key"] * 2
            rows = await Stage(running).rows()
            assert Counter(row.upstream for row in rows) == {"ann": 2, "ben": 1}
            assert {row.attempts for row in rows} == {1}, "a key that was passed over was sent nothing"
            states = [key.whole for key in running.services.dispatcher.pool.keys.values()]
            assert KeyState.EXHAUSTED not in {each.state for each in states}, "smaller requests of others may have room"
            assert told(await ask(running, await running.token_of("bob"), 1)) == ["no_upstream_key"]
            assert {each.state for each in states} == {KeyState.EXHAUSTED}
    assert len(fake.records) == 3
    async with sqlite.opened() as store:
        assert await store.reserved() == 0


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_the_cap_of_an_upstream_that_was_tried_before_is_charged_nothing(sqlite: Place) -> None:
    async with FakeUpstream() as fake:
        capped = spec(fake, ("sk-key-of-ann",), name="ann", models=(DEAR,), monthly_cap_micro_usd=USD)
        free = spec(fake, ("sk-key-of-ben",), name="ben", models=(DEAR,))
        async with gateway(fake, capped, free, **sqlite.settings) as running:
            await put_prices(running.services, *PRICES)
            fake.script("sk-key-of-ann", server_error())
            assert told(await ask(running, running.token)) == [200]
            (row,) = await Stage(running).rows()
            assert (row.upstream, row.attempts) == ("ben", 2), "ann was tried first, and failed"
            dispatcher = running.services.dispatcher
            for key in list(dispatcher.pool.keys.values()):
                dispatcher.learn(key.id, KeyEvent.PAUSE if key.upstream == "ben" else KeyEvent.ANSWERED, DEAR)
            assert told(await ask(running, running.token)) == [200], "ann's dollar is still there"
            assert told(await ask(running, running.token)) == ["no_upstream_key"], "and now it is spent"


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_another_try_with_another_key_is_charged_once(shop: Stage) -> None:
    token = await person(shop.running, "retried", mine(Unit.USD, 2 * USD))
    shop.fake.script(None, revoked())
    assert told(await ask(shop.running, token)) == [200]
    assert len(shop.records) == 2
    assert await charged(shop, "retried") == USD
    assert await shop.running.services.store.reserved() == 0
