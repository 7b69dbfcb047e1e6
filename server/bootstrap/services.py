"""Builds the services: one floor after the other, and takes each down again in the reverse order."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TypedDict

from server.accounting.assembly import Accounting, open_accounting
from server.accounting.housekeeping import Housekeeping
from server.accounting.metrics import AccountingMetrics
from server.accounting.minute_rates import MinuteRates
from server.accounting.price_reload import PriceReload
from server.accounting.reservations import Reservations
from server.accounting.runtime_config import RuntimeConfig
from server.accounting.store_startup import StoreStartup
from server.admin.changes import Changes
from server.admin.commands.courses import CourseCommands
from server.admin.commands.guest_passes import GuestPassCommands
from server.admin.commands.invitations import InvitationCommands
from server.admin.commands.keys import KeyCommands
from server.admin.commands.notifications import NotificationCommands
from server.admin.commands.people import PeopleCommands
from server.admin.commands.people_import import PeopleTable
from server.admin.commands.privacy import PrivacyCommands
from server.admin.commands.tokens import TokenCommands
from server.auth.accounts import Accounts
from server.auth.guest_passes import Passes
from server.auth.oidc.client import Oidc, oidc_of
from server.auth.sessions import Sessions
from server.bootstrap import from_settings as wiring
from server.bootstrap.cluster import (
    RATES,
    Member,
    among_others,
    farewell,
    names_of_counters,
    open_follower,
    open_heartbeat,
    share_rates,
)
from server.bootstrap.demo import Demo
from server.bootstrap.keys import OpenPool, PoolBuilder
from server.bootstrap.notifications import open_messages
from server.bootstrap.observers import Observe, observers
from server.bootstrap.ownership import alone, confirm
from server.cluster.changes import ChangeFollower, Remembered
from server.cluster.face import Face
from server.cluster.metrics import GatewayMetrics
from server.config.settings import Settings
from server.dispatcher import Dispatcher
from server.dispatching import Dispatching, Peers
from server.http.services import GatewayServices, Lifecycle
from server.keys.encryption import KeyEncryption
from server.keys.registry import UpstreamRegistry
from server.keys.wishes import KeyWishes
from server.ledger.calendar import Calendar
from server.notifications.notifier import Messages
from server.observability.access_log import AccessLog
from server.observability.metrics import Metrics
from server.observability.occupancy_metrics import Occupancy, OccupancyMetrics
from server.observability.tracing import Tracing, open_tracing
from server.relay.admission import Admission
from server.relay.everywhere import Everywhere
from server.relay.keepalive import KeepaliveTiming
from server.relay.pipeline import Pipeline
from server.relay.refused import RefusedRequests
from server.relay.under_way import UnderWay
from server.spool import Spool
from server.status.service import Clocks, StatusService, history_of, open_face
from server.store import store_for
from server.tasks import run_until_closed
from server.tokenizer import Tokenizer
from server.upstream import Upstreams
from server.wire.errors import PoolAway
from server.wire.filters import Origins
from server.workers.role import Role
from server.workers.whole_lines import writer_to


class CommonParts(TypedDict):
    """The parts that are built before the commands: the fields of `GatewayServices` of the same names."""

    settings: Settings
    accounts: Accounts
    book: RuntimeConfig
    occupancy: Occupancy
    access_log: AccessLog | None
    metrics: Metrics | None
    clock: Callable[[], float]
    wall: Callable[[], int]
    lifecycle: Lifecycle
    status_service: StatusService
    dispatcher: Dispatching
    pipeline: Pipeline
    everywhere: Everywhere
    admission: Admission
    reservations: Reservations
    calendar: Calendar
    price_reload: PriceReload
    follower: ChangeFollower
    gateways: Face | None
    refused: RefusedRequests
    messages: Messages


class ServicesBuilder:
    """Builds the services of these settings; `stack` takes them down. `role`: of a worker; None if there is but one."""

    def __init__(self, settings: Settings, stack: AsyncExitStack, role: Role | None = None) -> None:
        self._settings, self._stack, self._role = settings, stack, role
        self._store = store_for(settings.store_url, settings.store_driver)
        self._registry = UpstreamRegistry(settings.upstreams)
        self._oidc: Oidc | None = None

    async def services(self, timing: KeepaliveTiming) -> GatewayServices:
        """Everything that serves requests, ready to be listened for."""
        settings, store, stack = self._settings, self._store, self._stack
        accounting, accounts = await self._books()
        upstreams = self._upstreams()
        pool = await self._pool(upstreams, accounting)
        dispatcher, clocks = pool.dispatcher, Clocks(time.monotonic, _wall, time.monotonic())
        history = history_of(settings, store, accounting, dispatcher, clocks, restarts=self._role is None)
        gateways = await self._gateways(accounting, pool.here, clocks)
        occupancy = wiring.occupancy(settings)
        metrics, access_log = self._metrics(dispatcher, accounting, occupancy, gateways), self._access_log()
        messages = open_messages(settings, store, accounting, dispatcher, _wall, stack, watches=self._is_first)
        observe = observers((history, metrics, messages.budgets), (access_log, self._tracing()))
        pipeline, admission = await self._pipeline(accounting, dispatcher, upstreams, observe, timing, occupancy.spool)
        face = partial(open_face, settings, store, accounting, dispatcher, pool.progress, (gateways or pool).elsewhere)
        status_service = await face(history, clocks, stack)
        remembered = Remembered(pool.sync_keys, accounting.book.sync, accounts.forget, status_service.status.forget)
        common = CommonParts(
            settings=settings,
            accounts=accounts,
            book=accounting.book,
            occupancy=occupancy,
            access_log=access_log,
            metrics=metrics,
            clock=clocks.clock,
            wall=clocks.wall,
            lifecycle=Lifecycle(),
            status_service=status_service,
            dispatcher=dispatcher,
            pipeline=pipeline,
            everywhere=Everywhere(pipeline, pool.peers, dispatcher, _wall, gateways.requests if gateways else None),
            admission=admission,
            reservations=accounting.reservations,
            calendar=accounting.calendar,
            price_reload=accounting.price_reload,
            follower=await open_follower(store, remembered, stack, others=self._among_others),
            gateways=gateways,
            refused=RefusedRequests(store, accounts.token_check).begun(stack),
            messages=messages,
        )
        return self._with_commands(common)

    def _with_commands(self, parts: CommonParts) -> GatewayServices:
        """The services with those that administration and logins need."""
        settings, store, pepper = self._settings, self._store, wiring.pepper(self._settings)
        accounts, upstreams = parts["accounts"], [spec.name for spec in self._registry.configured]
        changes = Changes(store, _wall, partial(secrets.token_hex, 8), accounts.forget, upstreams)
        sessions = Sessions(store, pepper, _wall, settings.session_hours, settings.admin_key)
        key_wishes = KeyWishes(store, KeyEncryption(settings.master_keys), self._registry, _wall)
        people = PeopleCommands(store, changes, accounts)
        passes = GuestPassCommands(store, changes, Passes(pepper), _wall)
        return GatewayServices(
            **parts,
            store=store,
            sessions=sessions,
            oidc=self._oidc,
            changes=changes,
            courses=CourseCommands(store, changes, pepper, time.monotonic, _wall),
            passes=passes,
            people=people,
            people_table=PeopleTable(store, changes, people),
            invitations=InvitationCommands(store, changes, accounts, pepper, time.monotonic, _wall),
            tokens=TokenCommands(store, changes, accounts, _wall),
            keys=KeyCommands(key_wishes, settings.key_slots, wiring.trial(settings)),
            privacy=PrivacyCommands(store, changes, accounts, sessions, passes, _wall, parts["refused"].forget),
            notifications=NotificationCommands(store, changes, parts["messages"].outbox, _wall),
            own_keys=wiring.providers(self._registry.configured) if settings.byo_keys else None,
            origins=Origins.of(settings.blocked_origins),
        )

    async def _books(self) -> tuple[Accounting, Accounts]:
        """The store, the ledger and the accounts of callers."""
        settings, store, stack = self._settings, self._store, self._stack
        if self._role is None:
            stack.enter_context(alone(settings))
        opening = StoreStartup(store, patient=not settings.store_url.startswith("sqlite:"))
        stack.push_async_callback(opening.close)
        last_word = AsyncExitStack()  # behind the accounting's own last words
        await stack.enter_async_context(last_word)
        accounting = await open_accounting(settings, store, wiring.own_prices(settings), stack)
        if among_others(settings):
            last_word.push_async_callback(farewell, store, accounting)
        self._oidc = self._login()
        accounts = wiring.accounts(settings, store, accounting.guard, self._oidc)
        whose = partial(confirm, store, settings)
        await opening.begin((whose, accounts.prepare, partial(accounting.recover, store)))
        if self._is_first:
            housekeeping = Housekeeping(store, accounting.calendar, settings.usage_days, _wall, (accounts.retire,))
            run_until_closed(stack, housekeeping.keep())
        await self._book(accounting)
        return accounting, accounts

    async def _book(self, accounting: Accounting) -> None:
        """What is decided at run time, from now on in step with the store, for all upstreams of the configuration."""
        if self._settings.wants_demo:
            demo = Demo()
            self._stack.push_async_callback(demo.stop)
            self._registry.configure(await demo.start())
        for spec in self._registry.configured:
            accounting.book.know(spec)
        await accounting.book.start(self._settings.keys_poll_seconds)

    @property
    def _is_first(self) -> bool:
        """Whether this process does what one process of a gateway does for all."""
        return self._role is None or self._role.number == 0

    @property
    def _among_others(self) -> bool:
        """Whether what this process remembers may be changed by another one."""
        return self._role is not None or among_others(self._settings)

    def _upstreams(self) -> Upstreams:
        settings = self._settings
        upstreams = Upstreams(self._registry.route, wiring.patience(settings), wiring.egress(settings))
        self._stack.push_async_callback(upstreams.close)
        return upstreams

    async def _pool(self, upstreams: Upstreams, accounting: Accounting) -> OpenPool:
        """The pool of this process, or the one that it shares with other workers."""
        settings, registry, book = self._settings, self._registry, accounting.book
        builder = PoolBuilder(settings, self._store, registry, upstreams, book.know, book.forget, self._stack)
        if self._role is None:
            return await builder.own()
        pool = await builder.shared(self._role)
        rates = accounting.reservations.rates
        if among_others(settings):
            rates.name_by(names_of_counters(settings))
        await _share_rates(rates, pool.peers, self._role.workers, self._stack)
        return pool

    async def _gateways(self, accounting: Accounting, here: Dispatcher | None, clocks: Clocks) -> Face | None:
        """The gateways beside this one; None for a worker, which is none by itself, and where there can be no other."""
        if here is None or not among_others(self._settings):
            return None
        journal, adopt = accounting.journal, partial(accounting.adopt, self._store)
        member = Member(journal.holder, journal.lives, adopt)
        shared = share_rates(self._settings, member, accounting.reservations.rates, clocks)
        return await open_heartbeat(self._settings, self._store, member, here, shared, clocks, self._stack)

    async def _pipeline(
        self,
        accounting: Accounting,
        dispatcher: Dispatching,
        upstreams: Upstreams,
        observe: Observe,
        timing: KeepaliveTiming,
        spool: Spool,
    ) -> tuple[Pipeline, Admission]:
        tokenizer = await asyncio.to_thread(Tokenizer)
        self._stack.callback(tokenizer.close)
        bounds = wiring.bounds(self._settings, timing)
        under_way = UnderWay(bounds.stateful, _wall)
        admission = Admission(dispatcher, accounting.guard, accounting.book, bounds, time.monotonic, _wall, under_way)
        pipeline = Pipeline(
            dispatcher,
            upstreams,
            self._store,
            tokenizer,
            bounds,
            time.monotonic,
            _wall,
            accounting.reservations,
            admission,
            under_way,
            observe,
            spool,
        )
        self._stack.push_async_callback(pipeline.close)
        return pipeline, admission

    def _login(self) -> Oidc | None:
        """The organisation's login, whose tokens may open the API, too."""
        settings = self._settings
        way_out = wiring.egress(settings)
        oidc = oidc_of(settings, self._store, wiring.pepper(settings), time.monotonic, _wall, way_out)
        if oidc is not None:
            self._stack.push_async_callback(oidc.close)
        return oidc

    def _metrics(
        self, dispatcher: Dispatching, accounting: Accounting, occupancy: Occupancy, gateways: Face | None
    ) -> Metrics | None:
        """The figures of this process; those of a pool process are its own."""
        if not self._settings.metrics:
            return None
        others = AccountingMetrics(accounting), OccupancyMetrics(occupancy), GatewayMetrics(gateways)
        return Metrics(dispatcher, *others, has_pool=self._role is None)

    def _access_log(self) -> AccessLog | None:
        if not self._settings.access_log:
            return None
        write = sys.stdout.write if self._role is None else writer_to(sys.stdout.fileno())  # others write there, too
        access_log = AccessLog(write, self._settings.log_format)
        self._stack.callback(access_log.flush)
        return access_log

    def _tracing(self) -> Tracing | None:
        tracing = open_tracing(self._settings.otel_exporter_otlp_endpoint, self._settings.title)
        if tracing is not None:
            self._stack.push_async_callback(asyncio.to_thread, tracing.close)
        return tracing


async def _share_rates(rates: MinuteRates, peers: Peers, workers: int, stack: AsyncExitStack) -> None:
    """The limits per minute hold over all workers: each hears what the others take, and first what they have taken."""
    announced = rates.announced(workers, partial(peers.announce, RATES), asyncio.get_running_loop().call_later)
    stack.callback(announced.say)
    peers.hears(RATES, announced.heard)
    peers.answers(RATES, rates.counting)
    with suppress(PoolAway):
        found = [each for each in await peers.ask(RATES, None) if each]  # one that begins as well has no answer yet
        for each in max(found, key=len, default=()):
            rates.note(*each)


def _wall() -> int:
    return time.time_ns() // 1_000_000
