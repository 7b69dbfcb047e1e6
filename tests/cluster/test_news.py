"""What one gateway has found out about a key, the others know with their next heartbeat; and what all have to do."""

from __future__ import annotations

import logging

import pytest

from keypool.domains import Quota
from keypool.health import FOREVER, KeyEvent, KeyState
from keypool.keys import Key
from keypool.messages import Ask
from keypool.pool import Pool
from server.cluster.face import Face, Gateway, Identity, Work
from server.cluster.membership import Membership
from server.cluster.news import SharedNews
from server.dispatcher import Dispatcher
from server.store.base import GatewayRecord
from tests.cluster.simulated import EPOCH


class One:
    """A gateway's pool, its news and its face. Time stands still unless it is moved."""

    def __init__(self, name: str) -> None:
        quota = Quota(requests=60)
        keys = [Key(each, "u", frozenset({"openai"}), frozenset({"m"}), 4, quota=quota) for each in ("k", "l")]
        self.name, self.now, self.beats, self.pool = name, 100.0, 0, Pool(keys)
        dispatcher = Dispatcher(self.pool, lambda: self.now)
        self.membership = Membership(name, lambda other: False, 90.0)
        self.news = SharedNews(name, dispatcher, lambda: self.now, lambda: EPOCH + round(self.now * 1000))
        self.face = Face(Identity(name, "1", "here:1", EPOCH), self.membership, dispatcher, lambda: self.now)

    def record(self) -> GatewayRecord:
        self.beats += 1
        return GatewayRecord(self.name, self.beats, {**self.news.said(), **self.face.said()})

    def state(self, key: str, model: str = "") -> KeyState:
        found = self.pool.keys[key]
        return found.standing(model).state if model else found.whole.state


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("event", "model", "state"),
    [
        (KeyEvent.KEY_REFUSED, "", KeyState.REVOKED),
        (KeyEvent.OUT_OF_QUOTA, "", KeyState.EXHAUSTED),
        (KeyEvent.FAILED, "m", KeyState.COOLING),
    ],
)
async def test_a_key_that_failed_at_one_rests_at_the_other(event: KeyEvent, model: str, state: KeyState) -> None:
    one, other = One("a"), One("b")
    one.pool.learn("k", KeyEvent.LISTED, one.now)
    one.now += 1.0
    other.now += 1.0
    one.pool.learn("k", event, one.now, model)
    await other.news.heard([one.record(), other.record()], other.now)
    assert (one.state("k", model), other.state("k", model)) == (state, state)
    assert other.state("l") is KeyState.UNCHECKED


@pytest.mark.gen_test
async def test_a_newcomer_hears_of_what_was_found_out_long_ago_also_from_those_who_only_heard_it() -> None:
    one, other, newcomer = One("a"), One("b"), One("c")
    one.pool.learn("k", KeyEvent.KEY_REFUSED, one.now)
    await other.news.heard([one.record()], other.now)
    for each in (other, newcomer):
        each.now += 3_600.0
    await newcomer.news.heard([other.record()], newcomer.now)
    assert newcomer.state("k") is KeyState.REVOKED


@pytest.mark.gen_test
async def test_news_of_another_version_are_left_out_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    one = One("a")
    with caplog.at_level(logging.WARNING, "fairgate"):
        for beats in range(3):
            await one.news.heard([GatewayRecord("z", beats, {"news": [["unheard of", beats]]})], one.now)
    assert len(caplog.records) == 1
    assert one.state("k") is KeyState.UNCHECKED


def test_what_all_have_to_do_is_added_up_by_model() -> None:
    one, other, third = One("a"), One("b"), One("c")
    for number in range(6):
        other.pool.submit(Ask(str(number), "ada", "m", "openai", 1, 1, FOREVER), other.now)
    one.membership.looked([one.record(), other.record(), third.record()], one.now)
    own = one.pool.snapshot(one.now).models[0].slots
    assert one.face.elsewhere() == {"m": Work(6, 0, 2 * own)}
    assert [(each.id, each.running, each.waiting) for each in one.face.gateways()] == [
        ("a", 0, 0),
        ("b", 6, 0),
        ("c", 0, 0),
    ]


def test_a_gateway_of_another_version_that_says_nothing_is_shown_all_the_same() -> None:
    one = One("a")
    one.membership.looked([one.record(), GatewayRecord("z", 1, {})], one.now)
    assert Gateway("z", "", "", 0, 0.0, {}) in one.face.gateways()
