"""The embedded store: one SQLite file, the standard library's driver, no server to install.

* **One writer.** SQLite has one writer at a time, so one thread writes. It commits all that is waiting as a group: at
  50 concurrent requests the wait for the disk is shared by dozens. A verb returns after the COMMIT, never before.
* **Two readers**, one for look-ups by key and one for reports: with the write-ahead log no reader waits for a writer,
  nor a look-up or a settlement for a long report.
* **synchronous=FULL**: what was acknowledged is on the disk and survives a power cut. NORMAL is faster but may forget
  the last commits then, and among them may be a revoked token or a bill. The writes come after the answer, where a
  millisecond is not felt, and group commit makes up for the rest (measured on a small virtual machine: 0.8 ms for a
  reservation alone and 2.1 ms for one among 50; settlements, with their counters, sums and indices, 18,000 a second,
  5 us of each on the event loop's thread). A reservation stands before an answer, so that it does not linger.
* **Several processes** (the gateway and the command line) may share the file on a local disk; a writer waits for the
  other for at most `BUSY_SECONDS`. The write-ahead log does not work on a network file system.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from server.ledger.history import HourRow
from server.ledger.quota import Escrowed, Exceeded, Letter, Reservation, Reserved, Settlement
from server.ledger.refused import RefusedRequest
from server.ledger.reports import By, Cursor, Days, Ranking, Sum, SumMeasure, Which
from server.ledger.usage import UsageRow
from server.policy.incidents import Incident
from server.store.acts import Act
from server.store.base import (
    Audit,
    Content,
    Credential,
    Person,
    Record,
    Session,
    StoreError,
    Token,
    Totals,
)
from server.store.sqlite import book as book_queries
from server.store.sqlite import changes as change_queries
from server.store.sqlite import history as history_queries
from server.store.sqlite import ledger as ledger_queries
from server.store.sqlite import people as people_queries
from server.store.sqlite import refused as refused_queries
from server.store.sqlite import sums as sum_queries
from server.store.sqlite import usage as report_queries
from server.store.sqlite.cluster import SqliteCluster
from server.store.sqlite.deliveries import SqliteDeliveries
from server.store.sqlite.key_verbs import SqliteKeys
from server.store.sqlite.schema import migrate
from server.store.sqlite.worker import Worker, WorkGroup, in_one_transaction, one_by_one

SCHEME = "sqlite:///"
BUSY_SECONDS = 10.0
GROUP = 500  # works in one transaction: bounds the time until the first of them is answered
CACHE_KIB = 16_384  # of the writer: the pages that today's settlements go to, an index of people among them
LINGER = 0.02  # seconds that a busy writer waits for more, so that one wait for the disk serves them all
MOST_WAITING = 10_000  # works in one queue; a request has at most one there, so that only an outage fills it


class SqliteStore(SqliteCluster, SqliteDeliveries, SqliteKeys):
    """The `Store` in a SQLite file. `url` is `sqlite:///relative/path` or `sqlite:////absolute/path`."""

    def __init__(self, url: str, most_waiting: int = MOST_WAITING) -> None:
        self._path = database_path(url)
        self._writer = Worker(self._connect_writer, in_one_transaction, GROUP, most_waiting, LINGER)
        self._lookups = Worker(self._connect_reader, one_by_one, GROUP, most_waiting)
        self._reports = Worker(self._connect_reader, one_by_one, 1, most_waiting)

    # People, their tokens and their logins.

    async def token_by_hash(self, digest: bytes) -> Credential | None:
        return await self._lookups.do(lambda db: people_queries.token_by_hash(db, digest))

    async def create_person(self, person: Person) -> None:
        await self._writer.do(lambda db: people_queries.create_person(db, person))

    async def people(self) -> list[Person]:
        return await self._reports.do(people_queries.people)

    async def person(self, person_id: str) -> Person | None:
        return await self._lookups.do(lambda db: people_queries.person(db, person_id))

    async def person_by_name(self, name: str) -> Person | None:
        return await self._lookups.do(lambda db: people_queries.person_by_name(db, name))

    async def person_by_login(self, login: str) -> Person | None:
        return await self._lookups.do(lambda db: people_queries.person_by_login(db, login))

    async def set_person_disabled(self, person_id: str, disabled: bool) -> bool:
        return await self._writer.do(lambda db: people_queries.set_person_disabled(db, person_id, disabled))

    async def update_person(self, person_id: str, changes: Mapping[str, Any]) -> bool:
        return await self._writer.do(lambda db: people_queries.update_person(db, person_id, changes))

    async def add_token(self, digest: bytes, token: Token) -> None:
        await self._writer.do(lambda db: people_queries.add_token(db, digest, token))

    async def tokens(self, person_id: str | None = None) -> list[Token]:
        return await self._reports.do(lambda db: people_queries.tokens(db, person_id))

    async def revoke_token(self, token_id: str, revoked_at: int) -> bool:
        return await self._writer.do(lambda db: people_queries.revoke_token(db, token_id, revoked_at))

    async def narrow_token(self, before: Token, after: Token) -> bool:
        return await self._writer.do(lambda db: people_queries.narrow_token(db, before, after))

    async def forget_tokens(self, person_id: str, revoked_at: int) -> int:
        return await self._writer.do(lambda db: people_queries.forget_tokens(db, person_id, revoked_at))

    async def open_session(self, session: Session) -> None:
        await self._writer.do(lambda db: people_queries.open_session(db, session))

    async def session(self, digest: bytes) -> Session | None:
        return await self._lookups.do(lambda db: people_queries.session(db, digest))

    async def sessions_of(self, person_id: str) -> list[Session]:
        return await self._lookups.do(lambda db: people_queries.sessions_of(db, person_id))

    async def close_session(self, digest: bytes) -> bool:
        return await self._writer.do(lambda db: people_queries.close_session(db, digest))

    async def close_sessions_of(self, person_id: str) -> int:
        return await self._writer.do(lambda db: people_queries.close_sessions_of(db, person_id))

    async def use_once(self, mark: str, expires_at: int) -> bool:
        return await self._writer.do(lambda db: people_queries.use_once(db, mark, expires_at))

    async def note_address(self, token_id: str, address: str, most: int) -> bool:
        return await self._writer.do_at_once(lambda db: people_queries.note_address(db, token_id, address, most))

    async def forget_expired(self, now: int) -> int:
        return await self._writer.do(lambda db: people_queries.forget_expired(db, now))

    # Upstream keys, wishes for them, and what providers keep.

    # The ledger.

    async def reserve(self, reservation: Reservation) -> Reserved | Exceeded:
        return await self._writer.do_at_once(lambda db: ledger_queries.reserve(db, reservation))

    async def release(self, request_id: str) -> bool:
        return await self._writer.do(lambda db: ledger_queries.release(db, [request_id]) == 1)

    def settle(self, settlement: Settlement) -> Awaitable[bool]:
        return self._writer.do(lambda db: ledger_queries.settle(db, [settlement])[0])

    def write(self, letters: Sequence[Letter]) -> Awaitable[list[bool | Exception]]:
        return self._writer.do(WorkGroup(partial(_write, letters), [partial(_write_one, letter) for letter in letters]))

    async def escrowed(self, counters: Sequence[str]) -> list[Escrowed]:
        return await self._lookups.do(lambda db: ledger_queries.escrowed(db, counters))

    async def call_back(self, counter: str) -> None:
        await self._writer.do_at_once(lambda db: ledger_queries.call_back(db, counter))

    async def release_holder(self, holder: str) -> int:
        return await self._writer.do(lambda db: ledger_queries.release_holder(db, holder))

    async def release_expired(self, now: int) -> int:
        return await self._writer.do(lambda db: ledger_queries.release_expired(db, now))

    async def taken(self, counters: Sequence[str]) -> list[int]:
        return await self._lookups.do(lambda db: ledger_queries.taken(db, counters))

    async def settled(self, counters: Sequence[str]) -> list[int]:
        return await self._reports.do(lambda db: ledger_queries.settled(db, counters))

    async def reserved(self) -> int:
        return await self._lookups.do(ledger_queries.reserved)

    async def forget_counters(self, before: str) -> int:
        return await self._writer.do(lambda db: ledger_queries.forget_counters(db, before))

    # Reports on it.

    async def usage(self, request_id: str) -> UsageRow | None:
        return await self._lookups.do(lambda db: report_queries.usage(db, request_id))

    async def usage_rows(self, since: int, limit: int) -> list[UsageRow]:
        return await self.usage_before(Which(after=since), None, limit)

    async def usage_after(self, which: Which, cursor: Cursor | None, limit: int) -> list[UsageRow]:
        return await self._reports.do(lambda db: report_queries.usage_after(db, which, cursor, limit))

    async def usage_before(self, which: Which, cursor: Cursor | None, limit: int) -> list[UsageRow]:
        return await self._reports.do(lambda db: report_queries.usage_before(db, which, cursor, limit))

    async def usage_ranked(self, which: Which, ranking: Ranking, behind: Cursor | None, limit: int) -> list[UsageRow]:
        return await self._reports.do(lambda db: report_queries.usage_ranked(db, which, ranking, behind, limit))

    async def usage_place(self, which: Which, place: int) -> int | None:
        return await self._reports.do(lambda db: report_queries.usage_place(db, which, place))

    async def usage_sums(self, which: Which, by: Sequence[By]) -> list[Sum]:
        return await self._reports.do(lambda db: report_queries.usage_sums(db, which, by))

    async def billed(self, after: int, before: int) -> list[Sum]:
        return await self._reports.do(lambda db: report_queries.billed(db, after, before))

    async def sums(self, days: Days, by: Sequence[By]) -> list[Sum]:
        return await self._reports.do(lambda db: sum_queries.sums(db, days, by))

    async def leaders(self, days: Days, measure: SumMeasure, limit: int) -> list[tuple[str, Sum]]:
        return await self._reports.do(lambda db: sum_queries.leaders(db, days, measure, limit))

    async def totals(self, since: int) -> Totals:
        return await self._reports.do(lambda db: report_queries.totals(db, since))

    async def resum(self, first: str, last: str) -> int:
        return await self._writer.do(lambda db: sum_queries.resum(db, first, last))

    async def reprice(self, prices: Sequence[tuple[str, int, str | None]]) -> int:
        return await self._writer.do(lambda db: report_queries.reprice(db, prices))

    async def purge_usage(self, before: int, limit: int) -> int:
        return await self._writer.do(lambda db: report_queries.purge_usage(db, before, limit))

    # The operator's records, their changes, and contents.

    async def change(self, entry: Audit, acts: Sequence[Act]) -> None:
        await self._writer.do(lambda db: change_queries.change(db, entry, acts))

    async def put_record(self, record: Record) -> None:
        await self._writer.do(lambda db: book_queries.put_record(db, record))

    async def swap_record(self, before: Record | None, after: Record | None) -> bool:
        return await self._writer.do(lambda db: book_queries.swap_record(db, before, after))

    async def remove_record(self, kind: str, record_id: str) -> bool:
        return await self._writer.do(lambda db: book_queries.remove_record(db, kind, record_id))

    async def record(self, kind: str, record_id: str) -> Record | None:
        return await self._lookups.do(lambda db: book_queries.record(db, kind, record_id))

    async def records(self, kind: str) -> list[Record]:
        return await self._lookups.do(lambda db: book_queries.records(db, kind))

    async def book_version(self) -> int:
        return await self._lookups.do(book_queries.book_version)

    async def append_audit(self, entry: Audit) -> None:
        await self._writer.do(lambda db: book_queries.append_audit(db, entry))

    async def rewrite_audit(self, entry: Audit) -> None:
        await self._writer.do(lambda db: book_queries.rewrite_audit(db, entry))

    async def audit(self, entry_id: str) -> Audit | None:
        return await self._lookups.do(lambda db: book_queries.audit(db, entry_id))

    async def audits(self, cursor: Cursor | None, limit: int) -> list[Audit]:
        return await self._reports.do(lambda db: book_queries.audits(db, cursor, limit))

    async def audits_about(self, target: str, action: str, limit: int) -> list[Audit]:
        return await self._reports.do(lambda db: book_queries.audits_about(db, target, action, limit))

    async def keep_content(self, content: Content) -> None:
        await self._writer.do(lambda db: book_queries.keep_content(db, content))

    async def contents(self, person_id: str) -> list[Content]:
        return await self._reports.do(lambda db: book_queries.contents(db, person_id))

    async def forget_contents(self, person_id: str) -> int:
        return await self._writer.do(lambda db: book_queries.forget_contents(db, person_id))

    # History.

    async def put_hours(self, writer: str, rows: Sequence[HourRow]) -> None:
        await self._writer.do(lambda db: history_queries.put_hours(db, writer, rows))

    async def hours(self, first: int, last: int) -> list[HourRow]:
        return await self._reports.do(lambda db: history_queries.hours(db, first, last))

    async def put_incidents(self, incidents: Sequence[Incident]) -> None:
        await self._writer.do(lambda db: history_queries.put_incidents(db, incidents))

    async def incidents(self, since: int) -> list[Incident]:
        return await self._reports.do(lambda db: history_queries.incidents(db, since))

    async def forget_history(self, before: int) -> int:
        return await self._writer.do(lambda db: history_queries.forget_history(db, before))

    async def put_refused(self, refused: Sequence[RefusedRequest]) -> None:
        await self._writer.do(lambda db: refused_queries.put_refused(db, refused))

    async def refused_before(self, which: Which, cursor: Cursor | None, limit: int) -> list[RefusedRequest]:
        return await self._reports.do(lambda db: refused_queries.refused_before(db, which, cursor, limit))

    async def refused_request(self, request_id: str) -> RefusedRequest | None:
        return await self._lookups.do(lambda db: refused_queries.refused_request(db, request_id))

    async def forget_refused(self, before: int) -> int:
        return await self._writer.do(lambda db: refused_queries.forget_refused(db, before))

    async def forget_refused_of(self, person_id: str) -> int:
        return await self._writer.do(lambda db: refused_queries.forget_refused_of(db, person_id))

    # Itself.

    async def ping(self) -> None:
        await self._writer.do(_beat)

    async def scrub(self) -> bool:
        """The file's own pages are overwritten (`secure_delete`); here the log of changes goes, which has them all."""
        return await asyncio.to_thread(_without_log, self._path)

    async def open(self) -> None:
        """Make the file if there is none, readable for its owner only, and bring its tables up to date."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            for worker in (self._writer, self._lookups, self._reports):
                await worker.start()
        except (OSError, sqlite3.Error) as error:
            await self.close()
            raise StoreError(f"the database cannot be opened: {error}") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """The writer goes last: the last connection to close folds the write-ahead log into the file."""
        for worker in (self._lookups, self._reports, self._writer):
            await worker.stop()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _connect_writer(self) -> sqlite3.Connection:
        return _connected(self._path, _set_up_writer)

    def _connect_reader(self) -> sqlite3.Connection:
        return _connected(self._path, _set_up_reader)


def database_path(url: str) -> Path:
    """The file that a STORE_URL names. `ValueError`, without repeating the URL, if it names none."""
    if not url.startswith(SCHEME) or url == SCHEME:
        raise ValueError("the store's URL has to be sqlite:///path or sqlite:////absolute/path")
    return Path(url.removeprefix(SCHEME))


def _connected(path: Path, set_up: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    # No isolation level: transactions begin where this code says so.
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up_writer(connection: sqlite3.Connection) -> None:
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # an erasure leaves nothing in free pages
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    migrate(connection)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on. Of those who open a new file at once, SQLite tells one that it is locked, without
    the wait it was asked for, since both might wait for each other: that one tries again."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.005)  # at the start only, before any thread or request waits for it


def _without_log(path: Path) -> bool:
    """Fold the write-ahead log into the file and empty it, on a connection of its own: no transaction may run there.
    Readers and the writer are waited for."""
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"the database failed: {error}") from error
    return not busy


def _write(letters: Sequence[Letter], connection: sqlite3.Connection) -> list[bool]:
    return ledger_queries.write(connection, letters)


def _write_one(letter: Letter, connection: sqlite3.Connection) -> bool:
    return ledger_queries.write(connection, [letter])[0]


def _beat(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE pulse SET beats = beats + 1")


def _set_up_reader(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")
