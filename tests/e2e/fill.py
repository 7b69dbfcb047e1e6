"""A gateway with a whole community in it, to look at: `python -m tests.e2e.fill --port 8000`.

50 people in three groups, one of them a course; 8 keys, one or more in every state; 1,200 requests of 30 days with
every outcome; limits that are near and used up, a notice, guest passes, an audit log, and requests that wait and run.
All of it is invented and the same each time, but for the clock. It prints the address and two ways to log in.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any

from aiohttp import ClientError, ClientSession

from keypool.health import KeyState
from server.auth.guest_passes import KIND, Pass, pass_body
from server.config.specs import Secret, UpstreamSpec
from server.ledger.calendar import Calendar
from server.ledger.history import HOUR_MS
from server.ledger.holds import NOTHING, Who, applying, claim
from server.ledger.limits import Limit, LimitSet, LimitWindow, Scope, Unit, limit_body
from server.ledger.quota import Settlement
from server.ledger.usage import UsageRow
from server.policy.groups import Group, group_body
from server.policy.incidents import Incident, IncidentKind
from server.policy.notices import Notice, NoticeKind, notice_body
from server.store import store_for
from server.store.base import Person, Record, Store
from server.store.records import Audit
from server.wire.usage import Usage
from tests.e2e import figures
from tests.e2e.figures import COURSE, DAY_MS, NAMES, STAFF, STUDENTS, Request
from tests.fakes.fates import hang, held, insufficient_quota, revoked, server_error
from tests.fakes.upstream import FakeUpstream
from tests.faults.stage import until
from tests.gateways import Running, gateway, spec
from tests.pages.visitors import ADMIN_KEY, MASTER

PEOPLE = tuple(f"usr_{place:016x}" for place in range(len(NAMES)))
ASKING = (4, 6, 8, 12, 18, 23, 32)  # whose requests run and wait while one looks
REQUEST = "req_5eed00000000"  # the first of the operator's own
CHANGES = ("limit.set", "person.update", "group.change", "token.revoke", "key.pause", "price.set")


@asynccontextmanager
async def filled(port: int = 0, **settings: Any) -> AsyncIterator[Running]:
    """The gateway. Its `token` is that of the first person, a student; the administrator logs in with ADMIN_KEY."""
    now = int(time() * 1000)
    with TemporaryDirectory() as folder:
        store_url = f"sqlite:///{Path(folder) / 'filled.db'}"
        async with store_for(store_url) as store:
            await _write(store, now)
        values: dict[str, Any] = {
            "admin_key": Secret(ADMIN_KEY),
            "master_keys": (MASTER,),
            "title": "University Library AI",
            "store_url": store_url,
            "port": port,
            **settings,
        }
        async with FakeUpstream() as fake:
            gate = asyncio.Event()
            _script(fake, gate)
            async with gateway(fake, *(_upstream(fake, name) for name in figures.KEYS), **values) as running:
                tasks = await _bring_to_life(running)
                _, token = await running.services.accounts.create_token(NAMES[0], "laptop")
                yield replace(running, token=token)
                gate.set()
                await asyncio.gather(*tasks)


def _upstream(fake: FakeUpstream, name: str) -> UpstreamSpec:
    served = [model for model, row in figures.MODELS.items() if row[0] == name] or ["gpt-5", "gpt-5-mini"]
    return spec(fake, figures.KEYS[name], name=name, models=tuple(served), slots=3, owner=NAMES[13])


def _script(fake: FakeUpstream, gate: asyncio.Event) -> None:
    """Each key meets what it is named after; who asks for two of the models waits for the gate."""
    fake.limit(*(key for keys in figures.KEYS.values() for key in keys), rpm=500, tpm=200_000)
    fake.script(figures.NO_CREDIT, insufficient_quota().for_ever())
    fake.script(figures.FAILING, server_error(503).for_ever())
    fake.script(figures.REFUSED, revoked().for_ever())
    fake.script(figures.SILENT, hang().for_ever())
    for model in ("gpt-5", "claude-sonnet-4-5"):
        fake.script(None, held(gate, after=1).for_ever(), model=model)


# --- what is on record before it starts


async def _write(store: Store, now: int) -> None:
    for place, name in enumerate(NAMES):
        await store.create_person(_person(place, name, now))
    requests, limits = figures.month(now), list(_limits())
    for record in (*_groups(now), *(Record("limit", each.id, limit_body(each)) for each in limits), *_others(now)):
        await store.put_record(record)
    calendar = Calendar(UTC)
    await asyncio.gather(*(store.settle(_settlement(each, limits, calendar)) for each in requests))
    await store.put_hours("earlier", list(figures.history(requests, now)))
    await store.put_incidents(list(_incidents(now)))
    for entry in _audit(now):
        await store.append_audit(entry)


def _person(place: int, name: str, now: int) -> Person:
    return Person(
        PEOPLE[place], name, place == 11, now - (300 + place) * DAY_MS, figures.groups_of(place),
        admin=name == figures.OPERATOR_PERSON, email=f"person{place:02}@students.university.example",
        last_login_at=now - place * 7 * HOUR_MS, nickname=name[:32] if place % 3 == 0 else None,
    )  # fmt: skip


def _groups(now: int) -> Iterator[Record]:
    teacher = (PEOPLE[NAMES.index(figures.TEACHER)],)
    course = Group(
        name=COURSE, teachers=teacher, since=now - 40 * DAY_MS, until=now + 80 * DAY_MS, join="f" * 64,
        models=("gpt-5*", "claude-sonnet-4-5", figures.LONG_MODEL), note="Thursdays, 14:15, lecture hall 3",
        guests=True,
    )  # fmt: skip
    for group in (Group(name=STUDENTS, running=4), Group(name=STAFF, weight=2.0, content_days=30), course):
        yield Record("group", group.name, group_body(group))


def _limits() -> Iterator[Limit]:
    """Easy, near and used up on any day: what a month has used depends on its day, so most of them last for ever."""
    usd, ever = Unit.USD, LimitWindow.EVER
    yield Limit("everyone/usd", Scope.EVERYONE, "", usd, LimitWindow.MONTH, 5_000_000)
    yield Limit("first/usd", Scope.PERSON, PEOPLE[0], usd, ever, 2_500_000)
    yield Limit("second/usd", Scope.PERSON, PEOPLE[1], usd, ever, 500_000)
    yield Limit("pot", Scope.GROUP, COURSE, usd, ever, 8_000_000)
    yield Limit("head", Scope.MEMBER, COURSE, Unit.TOKENS, ever, 400_000, "gpt-5*")
    yield Limit("opus", Scope.EVERYONE, "", Unit.REQUESTS, LimitWindow.WEEK, 5, "claude-opus-4-5")


def _others(now: int) -> Iterator[Record]:
    works = Notice(
        "works", NoticeKind.MAINTENANCE, "The network of the computing centre is renewed.", now + DAY_MS,
        now + DAY_MS + 2 * HOUR_MS,
    )  # fmt: skip
    model = Notice(
        "new", NoticeKind.ANNOUNCEMENT, "claude-opus-4-5 is here for staff.", now - HOUR_MS, now + 9 * DAY_MS
    )
    for notice in (works, model):
        yield Record("notice", notice.id, notice_body(notice))
    for number in range(3):
        whole = now // 1000 * 1000
        made = Pass(
            f"{number:016x}", PEOPLE[3], COURSE, ("gpt-5-mini",), 2_000_000, whole, whole + (3 + number) * DAY_MS
        )
        yield Record(KIND, made.id, pass_body(made))


def request_id(it: Request) -> str:
    return f"req_5eed{it.number:08x}"


def _settlement(it: Request, limits: list[Limit], calendar: Calendar) -> Settlement:
    person, group = PEOPLE[it.person], figures.groups_of(it.person)[-1]
    if it.number % 40 == 0:
        person = "operator"
    row = UsageRow(
        request_id=request_id(it), person_id=person, token_id=None, group=group, model_asked=it.model,
        model_served=it.model, endpoint="/v1/chat/completions", dialect="openai", upstream=it.upstream, key=it.key,
        status=it.status, started_at=it.at, day=calendar.day(it.at), queue_ms=it.queue_ms,
        first_byte_ms=it.first_byte_ms, duration_ms=it.duration_ms, attempts=1 + (it.number % 29 == 0), streamed=True,
        usage=Usage(input=it.tokens_in, output=it.tokens_out, estimated=it.number % 17 == 0),
        cost_micro_usd=it.micro_usd, price_id="seed",
    )  # fmt: skip
    who = Who(person, None, (group,))
    drawn = claim(applying(LimitSet(limits), who, it.model, it.at), who, NOTHING, calendar, it.at)
    return Settlement(row, drawn.charges(row))


def _incidents(now: int) -> Iterator[Incident]:
    for place, model in enumerate(list(figures.MODELS)[:3], 1):
        began = now - place * 4 * DAY_MS
        yield Incident(f"m{place}", IncidentKind.MODEL, model, began, now, began + place * 17 * 60_000)
    yield Incident("key", IncidentKind.KEY, "openai-chair-of-physics", now - 6 * HOUR_MS, now, now, "exhausted")


def _audit(now: int) -> Iterator[Audit]:
    """A month of changes."""
    for number in range(60):
        action, amount = CHANGES[number % len(CHANGES)], 1_000_000 * (number % 9 + 1)
        before, after = {"amount": amount, "unit": "usd"}, {"amount": 2 * amount, "unit": "usd"}
        actor = "operator" if number % 4 else PEOPLE[37]
        at = now - (60 - number) * 11 * HOUR_MS
        yield Audit(f"seed{number:04}", at, actor, action, PEOPLE[number % len(PEOPLE)], before, after)


# --- what happens while one looks


async def _bring_to_life(running: Running) -> list[asyncio.Task[None]]:
    """A key that is paused, tokens, requests that run and wait; returns when every key has met its fate."""
    services, tasks = running.services, []
    await services.keys.pause("operator", Secret(figures.PAUSED).fingerprint)
    await until(lambda: KeyState.PAUSED in _states(running))
    for place in ASKING:
        _, token = await services.accounts.create_token(NAMES[place], "notebook")
        tasks += [asyncio.create_task(_ask(running, token, model)) for model in ("gpt-5", "gpt-5", "claude-sonnet-4-5")]
    await until(lambda: _states(running) == set(KeyState))
    services.status_service.status.forget()
    return tasks


def _states(running: Running) -> set[KeyState]:
    return {key.state for key in running.services.dispatcher.snapshot().keys}


async def _ask(running: Running, token: str, model: str) -> None:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"Authorization": f"Bearer {token}"}
    with suppress(ClientError):  # the gateway may be stopped meanwhile
        async with (
            ClientSession() as session,
            session.post(f"{running.url}/v1/chat/completions", json=body, headers=headers) as answer,
        ):
            await answer.read()


async def _serve(port: int) -> None:
    async with filled(port) as running:
        print(f"{running.url}\nadministrator: {ADMIN_KEY}\na student: {running.token}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    arguments = argparse.ArgumentParser(description="A gateway with a whole community in it, to look at.")
    arguments.add_argument("--port", type=int, default=0)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments.parse_args().port))


if __name__ == "__main__":
    main()
