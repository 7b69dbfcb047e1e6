"""A gateway and its upstream, each on a loop in a thread of its own, so that a test stands outside like a stranger.

One gateway serves many tests: to start it takes longer than all of them. It stands behind one trusted proxy, so that
every visit may come from an address of its own and failures are not counted together.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway
from tests.hostile.http_raw import Reply, Wire, request

T = TypeVar("T")

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
ROUTES = (CHAT, MESSAGES)
TRANSPORTS = ("own", "tornado")  # what is asked of the wire is asked of both


class LoopThread:
    """An event loop in a thread of its own. Leaving it closes what was entered there."""

    def __enter__(self) -> Self:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._stack = AsyncExitStack()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.do(self._stack.aclose())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something there and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=30)

    def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Open something there for as long as this lives."""
        return self.do(self._stack.enter_async_context(context))


class Site:
    """A gateway that is visited through raw sockets."""

    def __init__(self, inside: LoopThread, running: Running) -> None:
        self.inside, self._running = inside, running
        self.url, self.token, self.fake, self.services = running.url, running.token, running.fake, running.services
        self._visits = count(1)
        self._log = _Warnings()

    def do(self, verb: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Have the gateway do something on its own loop."""

        async def done() -> T:
            return await verb(*arguments)

        return self.inside.do(done())

    def from_elsewhere(self) -> dict[str, str]:
        """The header by which our proxy says that this visitor was never seen before."""
        visit = next(self._visits)
        return {"X-Forwarded-For": f"198.51.{visit // 250}.{visit % 250 + 1}"}

    def headers(self, **more: str) -> dict[str, str]:
        """The headers of a proper request."""
        proper = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return {**self.from_elsewhere(), **proper, **{name.replace("_", "-"): more[name] for name in more}}

    def ask(self, data: bytes) -> Reply | None:
        """Send bytes on a new connection; the first answer."""
        with Wire(self.url) as wire:
            wire.send(data)
            return wire.reply()

    def post(self, path: str, body: bytes, **headers: str) -> Reply | None:
        """Send a body as a proper client would."""
        return self.ask(request("POST", path, self.headers(**headers), body))

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """What happens in here reaches no upstream and no ledger, leaves nothing behind and alarms nobody."""
        self.rest()  # an answer may be here before its row is on the ledger
        before = self._traces()
        with self._log:
            yield
            self.rest()
        assert self._traces() == before
        assert self._log.lines == []

    def rest(self) -> None:
        """Return when everything that was asked has been done and written down; nothing may be left over."""
        self.do(self._idle)

    async def _idle(self) -> None:
        await self.services.pipeline.quiet(5)
        for _ in range(1000):  # who has gone in the middle of a body is noticed a moment later
            if self.services.occupancy.bodies.total:
                await asyncio.sleep(0.005)
        self._running.assert_idle()

    def _traces(self) -> tuple[int, int]:
        rows = self.do(self.services.store.usage_rows, 0, 10_000)
        return len(self.fake.records), len(rows)


@contextmanager
def site(**settings: Any) -> Iterator[Site]:
    """A gateway with these settings, and the fake upstream behind it."""
    with LoopThread() as outside, LoopThread() as inside:
        fake = outside.enter(FakeUpstream())
        running = inside.enter(gateway(fake, **{"trusted_proxy_hops": 1, **settings}))
        yield Site(inside, running)


class _Warnings(logging.Handler):
    """Everything that is logged as a warning or worse while it is entered."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        self.lines = []
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
