"""Gateways that share capacity: real pools, and a store that works."""

from __future__ import annotations

import pytest

from keypool.domains import Quota
from keypool.estimates import Tokens
from keypool.health import FOREVER
from keypool.keys import Key
from keypool.limits import LimitMeasure
from keypool.pool import Ask, Pool
from keypool.shares import WHOLE
from tests.keypool.cluster import Documents, Gateway

RATES, SLOTS = "rates of o/m", "slots of k"


def keys(slots: int = 8) -> list[Key]:
    quota = Quota(requests=60, tokens=40_000)
    return [Key("k", "u", frozenset({"openai"}), frozenset({"m"}), slots, organisation="o", quota=quota)]


def ask(name: str, person: str = "p", **more: object) -> Ask:
    return Ask(name, person, "m", "openai", 100, 100, FOREVER)._replace(**more)  # type: ignore[arg-type]


def cluster(*names: str) -> tuple[Documents, dict[str, Gateway]]:
    return Documents(), {name: Gateway(name, keys()) for name in names}


def beats(documents: Documents, gateways: dict[str, Gateway], start: int, number: int) -> None:
    for now in range(start, start + number):
        for gateway in gateways.values():
            gateway.beat(documents, gateways, float(now))
            assert_no_more_than_there_is(documents, gateways, float(now))


def assert_no_more_than_there_is(documents: Documents, gateways: dict[str, Gateway], now: float) -> None:
    pools = [gateway.pool for gateway in gateways.values()]
    assert sum(pool.keys["k"].slots for pool in pools) <= 8
    loads = [pool.activity.loads(now)[RATES] for pool in pools]
    pot = documents.stored[RATES][1].pot
    for measure in (LimitMeasure.REQUESTS.value, LimitMeasure.TOKENS.value):
        assert sum(load.levels[measure] for load in loads) + pot[measure] <= 1.0 + 1e-9
    for _, shares in documents.stored.values():
        assert shares.free >= 0


def part(documents: Documents, name: str) -> float:
    return documents.stored[RATES][1].entries[name].part / WHOLE


def test_a_divided_pool_serves_nothing_before_it_has_a_part_and_everything_when_it_is_alone() -> None:
    documents, gateways = cluster("a")
    pool = gateways["a"].pool
    ticket, decisions = pool.submit(ask("1"), 0.0)
    assert decisions == []
    gateways["a"].beat(documents, gateways, 1.0)
    assert ticket.key is not None
    assert pool.keys["k"].slots == 8
    assert pool.keyring.domains["o/m"].buckets[LimitMeasure.REQUESTS].level == 59.0


def test_a_second_gateway_gets_its_part_within_two_heartbeats_of_each_and_a_newcomer_can_serve_at_once() -> None:
    documents, gateways = cluster("a", "b")
    beats(documents, {"a": gateways["a"]}, 0, 3)
    assert part(documents, "a") == 1.0
    beats(documents, gateways, 3, 2)
    assert part(documents, "b") > 0.25
    assert gateways["b"].pool.submit(ask("1"), 5.0)[1] != []


def test_parts_follow_the_weight_that_is_active() -> None:
    documents, gateways = cluster("a", "b")
    beats(documents, gateways, 0, 3)
    for number in range(40):
        gateways["a"].pool.submit(ask(f"a{number}", "p"), 3.0)
        gateways["b"].pool.submit(ask(f"b{number}", f"q{number % 3}"), 3.0)
    beats(documents, gateways, 3, 8)
    assert part(documents, "a") == pytest.approx(0.25, rel=0.03)
    assert part(documents, "b") == pytest.approx(0.75, rel=0.03)


def test_a_person_at_two_gateways_counts_once() -> None:
    documents, gateways = cluster("a", "b")
    beats(documents, gateways, 0, 3)
    for number in range(40):
        gateways["a"].pool.submit(ask(f"a{number}", "p", running_cap=5), 3.0)
        gateways["b"].pool.submit(ask(f"b{number}", "p" if number % 2 else "q", running_cap=5), 3.0)
    beats(documents, gateways, 3, 8)
    assert part(documents, "a") == pytest.approx(0.25, rel=0.03)
    flows = [gateway.pool.areas.area("m").fair.flows["p"] for gateway in gateways.values()]
    assert [flow.weight for flow in flows] == [0.5, 0.5]
    assert sum(flow.cap or 0 for flow in flows) == 5


def test_the_share_of_a_dead_gateway_is_used_again_and_it_begins_anew_when_it_lives_on() -> None:
    documents, gateways = cluster("a", "b", "c")
    beats(documents, gateways, 0, 5)
    assert part(documents, "c") == pytest.approx(1 / 3, rel=0.03)
    rest = {name: gateways[name] for name in "ab"}
    for now in range(5, 12):
        for gateway in rest.values():
            gateway.beat(documents, gateways, float(now))
    assert "c" not in documents.stored[RATES][1].entries
    assert part(documents, "a") + part(documents, "b") == pytest.approx(1.0, abs=1e-5)
    held = gateways["c"].pool.activity.loads(12.0)[RATES].levels[LimitMeasure.REQUESTS.value]
    assert held == pytest.approx(1 / 3, rel=0.03)  # it goes on with what it had, and the others count that as spent
    gateways["c"].beat(documents, gateways, 12.0)
    assert gateways["c"].pool.activity.loads(12.0)[RATES].levels[LimitMeasure.REQUESTS.value] == 0.0
    beats(documents, gateways, 12, 6)
    assert part(documents, "c") == pytest.approx(1 / 3, rel=0.03)


def test_a_gateway_that_is_cut_off_is_refilled_little() -> None:
    documents, gateways = cluster("a", "b")
    beats(documents, gateways, 0, 5)
    domain = gateways["a"].pool.keyring.domains["o/m"]
    bucket = domain.buckets[LimitMeasure.REQUESTS]
    bucket.take(bucket.level, 4.0)
    bucket.refill(8.0)
    assert bucket.level == pytest.approx(2.0, rel=0.01)  # four seconds of half a request
    bucket.refill(16.0)
    assert bucket.level == pytest.approx(2.5, rel=0.01)


def test_an_older_document_than_one_seen_changes_nothing() -> None:
    documents, gateways = cluster("a", "b")
    old = dict(documents.stored)
    beats(documents, gateways, 0, 5)
    sharing, claims = gateways["a"].sharing, {"a": gateways["a"].sharing.report(5.0).claims}
    assert sharing.beat(old, claims, (), 5.0, 5.0, 5000).proposals == []
    assert gateways["a"].pool.keys["k"].slots == documents.stored[SLOTS][1].entries["a"].slots


def test_a_gateway_whose_record_is_not_written_takes_part_in_nothing() -> None:
    _, gateways = cluster("a")
    sharing = gateways["a"].sharing
    claims = {"a": sharing.report(0.0).claims}
    assert sharing.beat({}, claims, (), -FOREVER, 0.0, 0) == ([], [])
    assert len(sharing.beat({}, claims, (), 0.0, 0.0, 0).proposals) == 2


def test_who_comes_back_in_time_has_a_lease_again_when_its_entry_is_written_once_more() -> None:
    documents, gateways = cluster("a", "b")
    beats(documents, gateways, 0, 5)
    domain = gateways["a"].pool.keyring.domains["o/m"]
    assert domain.part.until == 8.0
    version = documents.stored[RATES][0]
    report = gateways["a"].sharing.report(9.0)
    claims = dict.fromkeys("ab", report.claims)
    beat = gateways["a"].sharing.beat(dict(documents.stored), claims, (), 9.0, 9.0, 9000)
    assert domain.part.until == -FOREVER
    for proposal in beat.proposals:
        assert documents.swap(proposal)
        gateways["a"].sharing.written(proposal, 9.0, 9.0)
    assert documents.stored[RATES][0] == version + 1
    assert domain.part.until == 13.0


def test_who_leaves_makes_room_at_once() -> None:
    documents, gateways = cluster("a", "b")
    beats(documents, gateways, 0, 5)
    for proposal in gateways["b"].sharing.leave(dict(documents.stored), 5.0, 5000):
        assert documents.swap(proposal)
    assert "b" not in documents.stored[RATES][1].entries
    assert gateways["b"].pool.submit(ask("1"), 5.0)[1] == []
    gateways["b"].report = None
    beats(documents, {"a": gateways["a"]}, 5, 1)
    assert part(documents, "a") == 1.0


def test_a_slot_in_use_is_given_up_when_it_is_free() -> None:
    documents, gateways = cluster("a", "b")
    beats(documents, {"a": gateways["a"]}, 0, 1)
    pool = gateways["a"].pool
    tickets = [pool.submit(ask(str(number), f"p{number}"), 0.0)[0] for number in range(8)]
    running = [ticket for ticket in tickets if ticket.key is not None]
    beats(documents, gateways, 1, 5)
    assert pool.keys["k"].slots == len(running)
    for ticket in running:
        pool.finish(ticket, Tokens(100, 0, 100), 6.0)
    beats(documents, gateways, 6, 5)
    assert gateways["b"].pool.keys["k"].slots > 0


def test_a_key_that_comes_later_waits_for_its_part() -> None:
    documents, gateways = cluster("a")
    beats(documents, gateways, 0, 1)
    pool: Pool = gateways["a"].pool
    pool.add(Key("l", "u", frozenset({"openai"}), frozenset({"n"}), 4), 1.0)
    ticket, _ = pool.submit(Ask("1", "p", "n", "openai", 1, 1, FOREVER), 1.0)
    assert ticket.key is None
    gateways["a"].beat(documents, gateways, 2.0)
    assert isinstance(ticket.key, Key)
