"""A gateway with something on each of its public pages: a month of history, incidents, notices and a leaderboard.

Its texts are harmless by default. `HOSTILE` are those of an attacker who wants to run code in other people's browsers;
the gateway refuses most of them, so they are written into the store directly.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any

from keypool.health import KeyState
from server.ledger.history import HOUR_MS, HOUSE, HourRow, hour_of
from server.ledger.quota import Settlement
from server.policy.groups import Group, group_body
from server.policy.incidents import Incident, IncidentKind
from server.policy.notices import Notice, notice_body
from server.policy.notices import NoticeKind as NoticeKind
from server.store import store_for
from server.store.base import Record
from tests.fakes.upstream import FakeUpstream
from tests.faults.stage import until
from tests.gateways import KEYS, MODELS, Running, gateway, spec
from tests.store.samples import usage_row

PEOPLE = ("Ωmega", "ada l.", "The Librarian", "grace", "名前", "a name of thirty-two letters, yes")
HOSTILE = (
    "<script>hostile=1</script>",
    '"><img src=x onerror=hostile=1>',
    "'><svg/onload=hostile=1>",
    "</bdi></h3></th></table><script>hostile=1</script>",
    "</title></textarea></style><script>hostile=1</script>",
    "javascript:hostile=1",
    "<a href=javascript:hostile=1>me</a>",
    "<iframe srcdoc='<script>parent.hostile=1</script>'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example/>",
    "<style>*{display:none}</style>",
    "<!--",
    "]]><script>hostile=1</script>",
    "&lt;script&gt;hostile=1&lt;/script&gt;",
    "{{ 7*7 }}{% raw %}{user:data}{JSON}",
    "${hostile=1}`'\"\\n",
    "\u202etxet denrut\u202c",
    "Z" + "\u0335\u0321\u0334" * 20,
    "W" * 300,
    "<form action=https://evil.example><input autofocus onfocus=hostile=1>",
)
GROUP = "physics/lab-2"


@asynccontextmanager
async def public_gateway(
    models: Sequence[str] = MODELS, people: Sequence[str] = PEOPLE, notice: str = "Back on Monday", **settings: Any
) -> AsyncIterator[Running]:
    """`people` are nicknames: the first has used the most, `ada` (whose token it is) less than all, unlisted."""
    with TemporaryDirectory() as folder:
        store_url = f"sqlite:///{Path(folder) / 'test.db'}"
        async with store_for(store_url) as store:
            now = int(time() * 1000)
            await store.put_hours("yesterday", _history(models, hour_of(now)))
            await store.put_incidents(_incidents(models, now))
        async with FakeUpstream() as fake:
            upstream = spec(fake, KEYS, models=tuple(models))
            async with gateway(fake, upstream, store_url=store_url, **settings) as running:
                await _furnish(running, people, notice)
                yield running


def _history(models: Sequence[str], now: int) -> list[HourRow]:
    """The last day by the hour, and four hours of each day of the month before."""
    ages = [*range(1, 25), *range(27, 29 * 24, 6)]
    rows = [_hour(model, now - age * HOUR_MS, age + place) for age in ages for place, model in enumerate(models)]
    return rows + [_hour(HOUSE, now - age * HOUR_MS, 4 * age) for age in ages]


def _hour(model: str, hour: int, seed: int) -> HourRow:
    """One that differs from the next; every 40th was an outage."""
    requests = 20 + (seed * 37) % 90
    return HourRow(
        hour=hour,
        model=model,
        requests=requests,
        completed=requests - 1,
        failed=1,
        tokens_in=requests * 900,
        tokens_out=requests * 250,
        cost_micro_usd=requests * 4_000,
        people=seed % 9,
        watched=3600,
        served=1800 if seed % 40 == 0 else 3600,
        running=requests * 30,
        slots=8 * 3600,
        waits={0: requests // 2, 20 + seed % 9: requests // 3, 40: requests // 6},
        first_bytes={20: requests // 2, 28 + seed % 5: requests // 2},
    )


def _incidents(models: Sequence[str], now: int) -> list[Incident]:
    """One of each kind; that of the last model lasts."""
    day, minutes = 24 * HOUR_MS, 5 * 60_000
    ailed = [
        Incident(f"m{place}", IncidentKind.MODEL, model, now - (place + 1) * day, now, now - place * day - minutes)
        for place, model in enumerate(models[:-1])
    ]
    return [
        *ailed,
        Incident("last", IncidentKind.MODEL, models[-1], now - 2 * minutes, now),
        Incident("key", IncidentKind.KEY, "fake", now - 2 * HOUR_MS, now, now - 2 * HOUR_MS, "exhausted"),
        Incident("store", IncidentKind.STORE, "", now - 3 * day, now - 3 * day + minutes, now - 3 * day + minutes),
    ]


async def _furnish(running: Running, people: Sequence[str], notice: str) -> None:
    services, now = running.services, running.services.wall()
    for kind in (NoticeKind.ANNOUNCEMENT, NoticeKind.INCIDENT):  # during maintenance no visitor would be answered
        body = notice_body(Notice(f"of-{kind}", kind, notice, now - 60_000, now + HOUR_MS))
        await services.store.put_record(Record("notice", f"of-{kind}", body))
    await services.store.put_record(Record("group", GROUP, group_body(Group(name=GROUP))))
    await services.book.sync()
    for place, nickname in enumerate(people):
        person = await services.accounts.create_person(f"person-{place}")
        await services.store.update_person(person.id, {"nickname": nickname})
        await _use(running, person.id, len(people) - place + 1)
    (ada,) = [person for person in await services.store.people() if person.name == "ada"]
    await _use(running, ada.id, 1)
    await until(lambda: all(key.state is KeyState.READY for key in services.dispatcher.snapshot().keys))
    services.status_service.status.forget()


async def _use(running: Running, person_id: str, times: int) -> None:
    """Put so many requests of a person on the ledger."""
    now = running.services.wall()
    whose = {"person_id": person_id, "group": GROUP, "started_at": now, "day": running.services.calendar.day(now)}
    for number in range(times):
        await running.services.store.settle(Settlement(usage_row(f"{person_id}-{number}", **whose)))
