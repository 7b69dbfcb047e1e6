"""Which incidents are noticed, and how they are reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from server.policy.incidents import (
    GRACE_MS,
    SAME_MS,
    STALE_MS,
    Incident,
    IncidentKind,
    IncidentWatch,
    ReportedKey,
    detail,
    merged_incidents,
    title,
)

MODEL = (IncidentKind.MODEL, "gpt-5")
BEGAN = Incident("i1", IncidentKind.MODEL, "gpt-5", 1_000_000, 1_000_000)


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"i{next(numbers)}"


def test_what_ails_for_a_minute_is_an_incident_from_its_beginning() -> None:
    watch = IncidentWatch(ids())
    assert watch.look({MODEL: True}, 1_000) == []
    assert watch.look({MODEL: True}, 1_000 + GRACE_MS - 1) == []
    begun = Incident("i1", IncidentKind.MODEL, "gpt-5", 1_000, 1_000 + GRACE_MS)
    assert watch.look({MODEL: True}, 1_000 + GRACE_MS) == [begun]
    assert watch.look({MODEL: True}, 200_000) == []
    assert watch.lasting(200_000) == [replace(begun, seen_at=200_000)]
    assert watch.look({MODEL: False}, 210_000) == [replace(begun, seen_at=210_000, ended_at=210_000)]
    assert watch.lasting(220_000) == []


def test_what_ails_for_less_is_none() -> None:
    watch = IncidentWatch(ids())
    for now in range(0, 600_000, 50_000):
        assert watch.look({MODEL: now % 100_000 == 0}, now) == []


def test_a_model_that_is_not_offered_any_more_ails_no_longer() -> None:
    watch = IncidentWatch(ids())
    watch.look({MODEL: True}, 0)
    watch.look({MODEL: True}, GRACE_MS)
    assert [each.ended_at for each in watch.look({}, 70_000)] == [70_000]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("ready", "exhausted", "exhausted"),
        ("cooling", "revoked", "revoked"),
        ("exhausted", "ready", "ready"),
        ("paused", "unchecked", "ready"),
        ("ready", "cooling", None),
        ("unchecked", "ready", None),
        ("exhausted", "exhausted", None),
    ],
)
def test_a_key_is_news_when_it_is_more_than_a_rest(before: str, after: str, said: str | None) -> None:
    watch = IncidentWatch(ids())
    assert watch.look_at_keys({"fingerprint": ReportedKey("openai", before)}, 1_000) == []
    found = watch.look_at_keys({"fingerprint": ReportedKey("openai", after)}, 2_000)
    assert [each.detail for each in found] == ([said] if said else [])
    assert "fingerprint" not in repr(found)


def test_a_key_that_comes_back_later_is_new() -> None:
    watch = IncidentWatch(ids())
    for keys in ({"k": ReportedKey("openai", "ready")}, {}, {"k": ReportedKey("openai", "revoked")}):
        assert watch.look_at_keys(keys, 1_000) == []


def test_what_two_gateways_saw_is_one_incident() -> None:
    other = replace(BEGAN, id="i2", began_at=1_010_000, seen_at=1_500_000, ended_at=1_500_000)
    over = replace(BEGAN, seen_at=1_400_000, ended_at=1_400_000)
    assert merged_incidents([other, over], 2_000_000) == [replace(over, seen_at=1_500_000, ended_at=1_500_000)]
    assert [each.ended_at for each in merged_incidents([other, replace(BEGAN, seen_at=1_490_000)], 1_500_000)] == [None]


def test_what_comes_again_after_a_while_is_another_one_and_the_newest_is_first() -> None:
    over = replace(BEGAN, ended_at=1_100_000)
    again = replace(BEGAN, id="i2", began_at=1_100_000 + SAME_MS + 1, seen_at=1_500_000, ended_at=1_500_000)
    elsewhere = replace(over, id="i3", subject="gpt-4o")
    assert [each.id for each in merged_incidents([over, again, elsewhere], 2_000_000)] == ["i2", "i1", "i3"]


def test_an_incident_that_is_not_seen_any_more_ended_when_it_was_seen_last() -> None:
    assert merged_incidents([BEGAN], BEGAN.seen_at + STALE_MS)[0].ended_at is None
    assert merged_incidents([BEGAN], BEGAN.seen_at + STALE_MS + 1)[0].ended_at == BEGAN.seen_at


def test_a_quick_restart_is_no_incident() -> None:
    restart = Incident("i1", IncidentKind.RESTART, "", 1_000, 1_000, 1_000 + GRACE_MS - 1)
    assert merged_incidents([restart], 9_000_000) == []
    assert merged_incidents([replace(restart, ended_at=1_000 + GRACE_MS)], 9_000_000) != []


@pytest.mark.parametrize("kind", IncidentKind)
def test_every_kind_has_words(kind: IncidentKind) -> None:
    incident = Incident("i1", kind, "openai", 0, 0, detail="exhausted")
    assert title(incident)
    assert isinstance(detail(incident), str)
    assert "i1" not in title(incident)
