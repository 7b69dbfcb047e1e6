"""What happens to the gateway makes one message for all gateways that see it."""

from __future__ import annotations

from datetime import UTC
from itertools import count

from keypool.health import KeyState
from keypool.snapshot import KeySnapshot, ModelSnapshot, PoolSnapshot
from server.ledger.calendar import Calendar
from server.notifications.happenings import HappeningsWatch
from server.policy.notifications import Event, EventKind
from server.store.base import Record

NOON = 1_795_262_400_000  # 2026-11-21T12:00Z
MINUTE = 60_000


def pool(state: KeyState = KeyState.READY) -> PoolSnapshot:
    key = KeySnapshot.__new__(KeySnapshot)
    for name, value in (("id", "0123abcd"), ("upstream", "university"), ("state", state)):
        object.__setattr__(key, name, value)
    return PoolSnapshot((ModelSnapshot("gpt-5", 0, 0, 1, {state: 1}),), (key,))


def watch() -> HappeningsWatch:
    numbers = count()
    return HappeningsWatch(Calendar(UTC), lambda: f"id{next(numbers)}")


def ids(events: list[Event]) -> list[str]:
    return [each.id for each in events]


def test_a_key_that_is_lost_is_one_message_a_day_whoever_sees_it() -> None:
    one, other = watch(), watch()
    for each in (one, other):
        assert each.look(pool(), well=True, notices=[], now=NOON) == []
    (seen,) = one.look(pool(KeyState.REVOKED), well=True, notices=[], now=NOON + 1)
    assert ids(other.look(pool(KeyState.REVOKED), well=True, notices=[], now=NOON + 5_000)) == [seen.id]
    assert seen.facts == {"upstream": "university", "key": "0123abcd", "state": "revoked"}
    assert one.look(pool(KeyState.READY), well=True, notices=[], now=NOON + 6_000) == []
    assert ids(one.look(pool(KeyState.REVOKED), well=True, notices=[], now=NOON + 9_000)) == [seen.id]
    assert one.look(pool(KeyState.COOLING), well=True, notices=[], now=NOON + 9_000) == []


def test_a_model_and_the_store_are_away_after_a_minute() -> None:
    looked = watch()
    for seconds in (0, 30, 59):
        assert looked.look(pool(KeyState.PAUSED), well=False, notices=[], now=NOON + seconds * 1_000) == []
    events = looked.look(pool(KeyState.PAUSED), well=False, notices=[], now=NOON + MINUTE)
    assert [each.kind for each in events] == [EventKind.MODEL, EventKind.STORE]
    assert events[0].facts == {"since": NOON, "model": "gpt-5"}
    assert looked.look(pool(KeyState.PAUSED), well=False, notices=[], now=NOON + 2 * MINUTE) == []


def test_maintenance_that_lies_ahead_is_said_once_and_what_cannot_be_read_is_left_out() -> None:
    ahead = {"kind": "maintenance", "text": "disks", "since": NOON + MINUTE, "until": NOON + 2 * MINUTE}
    notices = [
        Record("notice", "n1", ahead),
        Record("notice", "n2", {**ahead, "kind": "announcement"}),
        Record("notice", "n3", {"kind": "maintenance"}),
        Record("notice", "n4", {**ahead, "since": NOON - 1, "until": None}),
    ]
    looked = watch()
    (event,) = looked.look(pool(), well=True, notices=notices, now=NOON)
    assert ids(looked.look(pool(), well=True, notices=notices, now=NOON + 5_000)) == [event.id]
    assert event.facts == {"text": "disks", "since": NOON + MINUTE, "until": NOON + 2 * MINUTE}
    assert looked.look(pool(), well=True, notices=notices, now=NOON + MINUTE) == []
