"""The outbox: once for all gateways, again after a failure, noted when it ends, and what it does without a store."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from server.notifications.outbox import MOST_WAITING, Outbox
from server.policy.notifications import (
    LEASE_MS,
    MOST_TRIES,
    Cause,
    Channel,
    Delivery,
    DeliveryState,
    Event,
    EventKind,
    Failure,
    Ways,
    addressed,
)
from server.store.base import StoreError
from tests.notifications.stores import MemoryStore

NOW = 1_795_262_400_000
EVENT = Event("key/1", EventKind.KEY, NOW, {"upstream": "university", "key": "0123abcd", "state": "revoked"}, NOW)
AWAY = Event("store/1", EventKind.STORE, NOW, {"since": NOW}, NOW)


class Post:
    """One gateway's outbox, and a receiver that gives these answers."""

    def __init__(self, store: MemoryStore, *answers: Failure | BaseException | None) -> None:
        self.store, self.answers = store, list(answers)
        self.sent: list[Delivery] = []
        self.now = NOW
        self.outbox = Outbox(
            store,  # type: ignore[arg-type]  # the verbs that are asked for
            {Channel.WEBHOOK: self},
            lambda event: addressed(event, {}, Ways(webhook=True)),
            lambda: self.now,
        )

    async def send(self, delivery: Delivery, now: int) -> Failure | None:
        self.sent.append(delivery)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def standing(self) -> list[tuple[DeliveryState, int, str]]:
        return [(each.state, each.tries, each.failure) for each in self.store.kept.values()]


@pytest.mark.gen_test
async def test_an_end_is_noted_with_what_it_was_and_nothing_else() -> None:
    post = Post(MemoryStore())
    await post.outbox.add([EVENT, EVENT])
    await post.outbox.send_due()
    assert post.standing() == [(DeliveryState.SENT, 1, "")]
    (entry,) = post.store.audits
    assert (entry.actor, entry.action, entry.target) == ("gateway", "message.sent", post.sent[0].id)
    assert entry.after == {"kind": "key.lost", "channel": "webhook", "receiver": "operator", "tries": 1}


@pytest.mark.gen_test
async def test_gateways_that_see_the_same_at_once_send_it_once() -> None:
    store = MemoryStore()
    posts = [Post(store) for _ in range(4)]
    await asyncio.gather(*(each.outbox.add([EVENT]) for each in posts))
    await asyncio.gather(*(each.outbox.send_due() for each in posts))
    assert sum(len(each.sent) for each in posts) == 1


@pytest.mark.gen_test
async def test_a_receiver_that_is_away_is_tried_again_later_and_given_up_in_the_end() -> None:
    post = Post(MemoryStore(), *[Failure(Cause.STATUS, 503)] * 99)
    await post.outbox.add([EVENT])
    for _ in range(3 * MOST_TRIES):
        await post.outbox.send_due()
        post.now += 6 * 3_600_000
    assert post.standing() == [(DeliveryState.FAILED, MOST_TRIES, "status 503")]
    assert [each.action for each in post.store.audits] == ["message.failed"]
    assert len({each.id for each in post.sent}) == 1


@pytest.mark.gen_test
async def test_nothing_is_asked_of_the_store_while_nothing_is_due() -> None:
    post = Post(MemoryStore(), Failure(Cause.UNREACHED))
    await post.outbox.add([EVENT])
    await post.outbox.send_due()
    jobs = post.store.jobs
    for _ in range(4):
        await post.outbox.send_due()
        await post.outbox.add([EVENT])
    assert post.store.jobs == jobs
    post.now += 60_000
    await post.outbox.send_due()
    assert post.standing() == [(DeliveryState.SENT, 2, "")]


@pytest.mark.gen_test
async def test_what_a_gateway_had_begun_when_it_died_another_one_sends_after_its_lease() -> None:
    store = MemoryStore()
    dead, other = Post(store, asyncio.CancelledError()), Post(store)
    await dead.outbox.add([EVENT])
    with pytest.raises(asyncio.CancelledError):
        await dead.outbox.send_due()
    await other.outbox.send_due()
    assert other.sent == []
    other.now += LEASE_MS
    await other.outbox.send_due()
    assert other.standing() == [(DeliveryState.SENT, 2, "")]


class Forgetful(MemoryStore):
    """Away whenever the end of a delivery is to be written."""

    away_at_ends = True

    def change(self, *arguments: object) -> None:
        if self.away_at_ends:
            raise StoreError("away")
        super().change(*arguments)  # type: ignore[arg-type]  # as they came


@pytest.mark.gen_test
async def test_what_was_sent_is_not_sent_again_because_the_store_was_away() -> None:
    store = Forgetful()
    post = Post(store)
    await post.outbox.add([EVENT])
    for _ in range(3):
        with pytest.raises(StoreError):
            await post.outbox.send_due()
        assert not post.outbox.reached
        post.now += LEASE_MS
    store.away_at_ends = False
    await post.outbox.send_due()
    assert post.outbox.reached
    assert (len(post.sent), post.standing()) == (1, [(DeliveryState.SENT, 1, "")])


@pytest.mark.gen_test
async def test_that_the_store_is_away_is_said_while_it_is_and_all_else_when_it_is_back() -> None:
    post = Post(MemoryStore())
    post.store.away = True
    await post.outbox.add([EVENT, AWAY])
    await post.outbox.add([AWAY])
    with pytest.raises(StoreError):
        await post.outbox.send_due()
    assert [each.kind for each in post.sent] == [EventKind.STORE]
    post.store.away = False
    await post.outbox.add([AWAY])
    await post.outbox.send_due()
    assert [each.kind for each in post.sent] == [EventKind.STORE, EventKind.KEY]
    assert post.standing() == [(DeliveryState.SENT, 1, "")] * 2
    assert len(post.store.audits) == 2


@pytest.mark.gen_test
async def test_what_waits_for_the_store_is_bounded() -> None:
    post = Post(MemoryStore())
    post.store.away = True
    for number in range(MOST_WAITING + 5):
        await post.outbox.add([replace(EVENT, id=f"key/{number}")])
    post.store.away = False
    await post.outbox.add([])
    assert len(post.store.kept) == MOST_WAITING


@pytest.mark.gen_test
async def test_a_way_that_is_gone_and_a_fault_of_ours_end_a_message_too() -> None:
    store = MemoryStore()
    post = Post(store, *[KeyError("x")] * MOST_TRIES)
    await post.outbox.add([EVENT])
    mail = replace(next(iter(store.kept.values())), id="msg_mail", channel=Channel.MAIL)
    store.kept["msg_mail"] = mail
    for _ in range(2 * MOST_TRIES):
        await post.outbox.send_due()
        post.now += 10 * 3_600_000
    assert post.standing() == [(DeliveryState.FAILED, MOST_TRIES, "unusable"), (DeliveryState.SKIPPED, 1, "no way")]
