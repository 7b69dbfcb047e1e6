"""Who lives is seen without clocks that agree, by heartbeats that move; an observer that was blind begins anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.cluster.membership import BLIND_SECONDS, DEAD_SECONDS, Membership
from server.store.base import GatewayRecord

ME, OTHER = GatewayRecord("me", 1, {}), GatewayRecord("other", 1, {})
SPARED = 90.0


def observer(*known_to_live: str) -> Membership:
    return Membership("me", lambda gateway_id: gateway_id in known_to_live, SPARED)


def watched(membership: Membership, seconds: float, records: tuple[GatewayRecord, ...]) -> list[GatewayRecord]:
    """Look each second for so long; who was dead at the last look."""
    dead: list[GatewayRecord] = []
    for second in range(int(seconds) + 1):
        dead = membership.looked(records, float(second))
    return dead


def test_a_heartbeat_that_moves_is_life_however_late_the_other_clock_is() -> None:
    membership = observer()
    for second in range(30):
        assert membership.looked((ME, replace(OTHER, beats=second, body={"since": 10**15})), float(second)) == []
        assert [each.id for each in membership.alive] == ["me", "other"]
        assert not membership.doubted


def test_one_that_does_not_move_is_dead_after_five_seconds() -> None:
    membership = observer()
    assert watched(membership, DEAD_SECONDS - 1, (ME, OTHER)) == []
    assert membership.doubted
    assert membership.looked((ME, OTHER), DEAD_SECONDS) == [OTHER]
    assert membership.alive == (ME,)


def test_this_gateway_is_never_dead_to_itself() -> None:
    assert watched(observer(), 100, (ME,)) == []


def test_one_whose_process_is_known_to_live_keeps_what_it_has_for_as_long_as_it_may_serve() -> None:
    membership = observer("other")
    assert watched(membership, SPARED - 1, (ME, OTHER)) == []
    assert [each.id for each in membership.alive] == ["me", "other"]
    assert membership.doubted
    assert membership.looked((ME, OTHER), SPARED) == [OTHER]


@pytest.mark.parametrize("blind", [BLIND_SECONDS + 0.1, 30.0])
def test_after_an_outage_of_the_store_no_one_is_taken_for_dead(blind: float) -> None:
    membership = observer()
    watched(membership, 4, (ME, OTHER))
    assert membership.looked((ME, OTHER), 4 + blind) == []
    for second in range(1, 5):
        assert membership.looked((ME, OTHER), 4 + blind + second) == []
    assert membership.looked((ME, OTHER), 4 + blind + 5) == [OTHER]


def test_one_that_is_marked_is_gone_until_it_beats_again() -> None:
    membership = observer()
    marked = replace(OTHER, gone_at=5)
    assert membership.looked((ME, marked), 0.0) == []
    assert (membership.alive, membership.gone, membership.doubted) == ((ME,), (marked,), True)
    back = replace(OTHER, beats=2)
    assert membership.looked((ME, back), 1.0) == []
    assert (membership.alive, membership.gone, membership.doubted) == ((ME, back), (), False)


def test_one_that_leaves_is_forgotten_and_its_name_may_come_again() -> None:
    membership = observer()
    watched(membership, 4, (ME, OTHER))
    membership.looked((ME,), 5.0)
    assert membership.looked((ME, OTHER), 6.0) == []
    assert membership.unmoved("other", 6.0) == 0.0
