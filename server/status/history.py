"""The history of this gateway and of those beside it: watched every few seconds, written every minute, read back.

What is written every minute is whole (`ledger/history.py`), so that a store that was away gets everything when it is
back; if the gateway dies, at most its last minute is missing. What the page shows is added up once a minute, beside the
event loop, from what all gateways have written.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from datetime import tzinfo

from keypool.health import KeyState
from keypool.snapshot import PoolSnapshot
from server.dispatching import HERE_SECONDS, Dispatching
from server.ledger.calendar import Calendar
from server.ledger.history import HOUR_MS, HistoryRecorder, HourRow, hour_of, merged
from server.ledger.summaries import DAYS, Summary, first_hour, summarise
from server.ledger.usage import UsageRow
from server.policy.incidents import Incident, IncidentKind, IncidentWatch, ReportedKey, Subject, merged_incidents
from server.store.base import Store, StoreError
from server.tasks import end

log = logging.getLogger("fairgate")

LOOK_SECONDS = 5
WRITE_SECONDS = 60
ONLINE_MS = int(HERE_SECONDS * 1000)
DAY_MS = 86_400_000
SERVABLE = frozenset({KeyState.READY, KeyState.UNCHECKED})

NOTHING = Summary()


class History:
    """`well` says whether the store can be reached as far as requests have noticed; `wall` gives UTC milliseconds.

    `restarts`: the end of this process is one of the gateway, and not of one of its workers.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatching,
        zone: tzinfo,
        well: Callable[[], bool],
        wall: Callable[[], int],
        *,
        restarts: bool = True,
    ) -> None:
        self._restarts = restarts
        self._store, self._dispatcher, self._well, self._wall = store, dispatcher, well, wall
        self._calendar = Calendar(zone)  # one of our own: this one is looked at beside the event loop
        self._writer = secrets.token_hex(6)
        self._recorder, self._watch = HistoryRecorder(), IncidentWatch(_new_id)
        self._rows: dict[tuple[int, str], HourRow] = {}  # of all gateways, as far as they are written
        self._read_until: int | None = None  # the hour up to which all has been read
        self._known: tuple[Incident, ...] = ()
        self._unwritten: dict[str, Incident] = {}
        self._seen: dict[str, int] = {}  # person -> when they were answered last
        self._reached = True
        self._looked_at: int | None = None
        self._task: asyncio.Task[None] | None = None
        self.summary = NOTHING

    async def start(self) -> None:
        """Read what has been, and watch from now on. A restart that was under way is over."""
        await self.exchange()
        ended = self._wall()
        for each in self._known:
            if each.kind is IncidentKind.RESTART and each.ended_at is None:
                self._note([_over(each, ended)])
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Write what is not written yet, and that the gateway has stopped."""
        await end(self._task)
        now = self._wall()
        if self._restarts:
            self._note([Incident(_new_id(), IncidentKind.RESTART, "", now, now)])
        await self._write(now)

    def observe(self, row: UsageRow) -> None:
        """A request has ended and is on the ledger."""
        now = self._wall()
        if not row.with_own_key:  # what callers' own keys meet says nothing of the pool
            self._recorder.observe(row, now)
        self._seen[row.person_id] = now

    def online(self) -> int:
        """How many different people are here: they wait, are being answered, or were a few minutes ago."""
        return len(self._dispatcher.persons() | self._seen.keys())

    def incidents(self) -> list[Incident]:
        """Of the last 30 days, the newest first."""
        mine = {each.id: each for each in (*self._known, *self._unwritten.values())}
        now = self._wall()
        mine |= {each.id: each for each in self._watch.lasting(now)}
        return merged_incidents(mine.values(), now)

    def look(self) -> None:
        """See how everything stands."""
        now, snapshot = self._wall(), self._dispatcher.snapshot()
        servable = {model.name: not SERVABLE.isdisjoint(model.keys) for model in snapshot.models}
        running, slots = sum(key.running for key in snapshot.keys), sum(key.slots for key in snapshot.keys)
        self._recorder.look(servable, running, slots, self._seconds_since_last(now), now)
        self._note(self._watch.look(self._ailing(servable), now))
        self._note(self._watch.look_at_keys(_states(snapshot), now))
        for person in [person for person, at in self._seen.items() if at < now - ONLINE_MS]:
            del self._seen[person]

    async def exchange(self) -> None:
        """Write what was seen here, read what all have seen, and add it up."""
        now = self._wall()
        if await self._write(now) and await self._read(now):
            self._recorder.forget(hour_of(now))
        rows = list(self._rows.values()) or merged(self._recorder.rows())
        self.summary = await asyncio.to_thread(summarise, rows, self._calendar, now)

    async def _keep(self) -> None:
        """Look and write, each when it is time."""
        written = self._wall()
        while True:
            self.look()
            if self._wall() - written >= WRITE_SECONDS * 1000:
                written = self._wall()
                await self.exchange()
            await asyncio.sleep(LOOK_SECONDS)

    async def _write(self, now: int) -> bool:
        """Whether the store has everything. An outage is logged once."""
        for each in self._watch.lasting(now):
            self._unwritten[each.id] = each
        incidents = list(self._unwritten.values())
        try:
            await self._store.put_hours(self._writer, self._recorder.rows())
            await self._store.put_incidents(incidents)
        except StoreError as error:
            if self._reached:
                log.warning("the store does not take the history, so it is kept for later: %s", error)
            self._reached = False
            return False
        self._reached = True
        for each in incidents:
            if self._unwritten.get(each.id) is each:
                del self._unwritten[each.id]
        return True

    async def _read(self, now: int) -> bool:
        """Everything when an hour has begun, else what may have changed since the last time."""
        hour = hour_of(now)
        whole = self._read_until != hour
        first = first_hour(now) if whole else hour - HOUR_MS
        try:
            found = await self._store.hours(first, hour)
            self._known = tuple(await self._store.incidents(now - DAYS * DAY_MS))
        except StoreError:
            return False
        kept: Mapping[tuple[int, str], HourRow] = {} if whole else self._rows
        self._rows = {**kept, **{(row.hour, row.model): row for row in merged(found)}}
        self._read_until = hour
        return True

    def _ailing(self, servable: Mapping[str, bool]) -> dict[Subject, bool]:
        ailing: dict[Subject, bool] = {(IncidentKind.MODEL, model): not well for model, well in servable.items()}
        ailing[IncidentKind.STORE, ""] = not (self._reached and self._well())
        return ailing

    def _note(self, incidents: list[Incident]) -> None:
        for each in incidents:
            self._unwritten[each.id] = each

    def _seconds_since_last(self, now: int) -> int:
        """The seconds that one look stands for; a longer gap (the machine was suspended) counts as three looks."""
        since, self._looked_at = self._looked_at, now
        passed = LOOK_SECONDS if since is None else round((now - since) / 1000)
        return max(0, min(passed, 3 * LOOK_SECONDS))


def _over(incident: Incident, at: int) -> Incident:
    return Incident(incident.id, incident.kind, incident.subject, incident.began_at, at, at, incident.detail)


def _states(snapshot: PoolSnapshot) -> dict[str, ReportedKey]:
    return {key.id: ReportedKey(key.upstream, key.state.value) for key in snapshot.keys}


def _new_id() -> str:
    return secrets.token_hex(8)
