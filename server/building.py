"""Building a house: one storey after the other, and each is taken down again in the reverse order."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from contextlib import AsyncExitStack, suppress
from functools import partial

from keypool.pool import Pool
from server import wiring
from server.accesslog import AccessLog
from server.accounts import Accounts
from server.byo import OwnKeys
from server.demo import Demo
from server.dispatcher import Dispatcher
from server.gateway import Gateway
from server.handlers.base import House
from server.heart import Pulse
from server.housekeeping import Housekeeping
from server.intake import Intake
from server.keyroom import Keyroom
from server.ledger.usage import UsageRow
from server.metrics import Metrics
from server.opening import Opening
from server.prober import Prober
from server.running_keys import RunningKeys
from server.settings import Settings
from server.specs import UpstreamSpec
from server.store import store_for
from server.tokenizer import Tokenizer
from server.treasury import Treasury, open_treasury
from server.upstream import Upstreams
from server.vault import Vault


class Building:
    """What is built for these settings; `stack` takes it down."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings, self._stack = settings, stack
        self._store = store_for(settings.store_url, settings.store_driver)
        self._specs: list[UpstreamSpec] = list(settings.upstreams)

    async def house(self, pulse: Pulse) -> House:
        """Everything that serves requests, ready to be listened for."""
        settings, stack = self._settings, self._stack
        treasury, accounts = await self._books()
        await self._demo()
        for spec in self._specs:
            treasury.book.know(spec)
        await treasury.book.start(settings.keys_poll_seconds)
        upstreams = Upstreams({spec.name: spec.base_url for spec in self._specs}, wiring.patience(settings))
        stack.push_async_callback(upstreams.close)
        dispatcher, prober = await self._keys(upstreams, treasury)
        metrics = Metrics(dispatcher, lambda: treasury.poster.counts.refused) if settings.metrics else None
        gateway, intake = await self._gateway(treasury, dispatcher, upstreams, metrics, pulse)
        return House(
            settings=settings,
            gateway=gateway,
            intake=intake,
            accounts=accounts,
            dispatcher=dispatcher,
            store=self._store,
            book=treasury.book,
            cashier=treasury.cashier,
            calendar=treasury.calendar,
            access_log=self._access_log(),
            metrics=metrics,
            clock=time.monotonic,
            wall=_wall,
            started=time.monotonic(),
            demo=settings.wants_demo,
            prober=prober,
            price_watch=treasury.price_watch,
            own_keys=self._own_keys(treasury, upstreams),
        )

    async def _books(self) -> tuple[Treasury, Accounts]:
        """The store, the ledger and who may ask."""
        settings, store, stack = self._settings, self._store, self._stack
        opening = Opening(store, patient=not settings.store_url.startswith("sqlite:"))
        stack.push_async_callback(opening.close)
        treasury = await open_treasury(settings, store, wiring.own_prices(settings), stack)
        accounts = wiring.accounts(settings, store, treasury.guard)
        await opening.begin((accounts.prepare, partial(treasury.recover, store)))
        housekeeping = Housekeeping(store, treasury.calendar, settings.usage_days, _wall)
        stack.push_async_callback(_end, asyncio.create_task(housekeeping.keep()))
        return treasury, accounts

    async def _demo(self) -> None:
        if self._settings.wants_demo:
            demo = Demo()
            self._stack.push_async_callback(demo.stop)
            self._specs.append(await demo.start())

    async def _keys(self, upstreams: Upstreams, treasury: Treasury) -> tuple[Dispatcher, Prober]:
        """The pool; its keys are kept in step with the store, and what is known of them true."""
        settings, specs, stack = self._settings, self._specs, self._stack
        dispatcher = Dispatcher(Pool(wiring.keys(specs), wiring.limits(settings), wiring.costs(specs)), time.monotonic)
        stack.callback(dispatcher.close)
        keys = RunningKeys(dispatcher, upstreams, treasury.book.know)
        prober = Prober(keys, settings.probe_interval, random.random, time.monotonic)
        keyroom = Keyroom(self._store, Vault(settings.master_keys), keys, prober, specs)
        stack.push_async_callback(prober.close)
        stack.push_async_callback(keyroom.close)
        await keyroom.start(settings.keys_poll_seconds)
        await prober.start(specs)
        dispatcher.suspect = prober.suspect
        return dispatcher, prober

    async def _gateway(
        self, treasury: Treasury, dispatcher: Dispatcher, upstreams: Upstreams, metrics: Metrics | None, pulse: Pulse
    ) -> tuple[Gateway, Intake]:
        tokenizer = await asyncio.to_thread(Tokenizer.load)
        self._stack.callback(tokenizer.close)
        bounds = wiring.bounds(self._settings, pulse)
        intake = Intake(dispatcher, treasury.guard, tokenizer, treasury.book, bounds, time.monotonic, _wall)
        gateway = Gateway(
            dispatcher,
            upstreams,
            self._store,
            tokenizer,
            bounds,
            time.monotonic,
            _wall,
            treasury.cashier,
            intake,
            metrics.observe if metrics is not None else _unobserved,
        )
        return gateway, intake

    def _own_keys(self, treasury: Treasury, upstreams: Upstreams) -> OwnKeys | None:
        settings = self._settings
        if not settings.byo_keys:
            return None
        told = treasury.cashier.note, treasury.calendar, time.monotonic, _wall
        return OwnKeys(
            upstreams, wiring.providers(self._specs), *told, settings.total_seconds, settings.max_answer_bytes
        )

    def _access_log(self) -> AccessLog | None:
        if not self._settings.access_log:
            return None
        access_log = AccessLog(sys.stdout.write)
        self._stack.callback(access_log.flush)
        return access_log


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _unobserved(row: UsageRow) -> None:
    """Without metrics nobody counts."""


def _wall() -> int:
    return time.time_ns() // 1_000_000
