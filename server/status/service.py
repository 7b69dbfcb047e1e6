"""The status service: the public pages, made once for all who look."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from server.accounting.assembly import Accounting
from server.accounting.runtime_config import RuntimeConfig
from server.cluster.face import Load
from server.config.settings import Settings
from server.dispatching import Dispatching
from server.single_flight import SingleFlight
from server.status.custom_page import CustomPage
from server.status.feed import feed_view
from server.status.history import History
from server.status.leaderboard import Leaderboard
from server.status.live import Live
from server.status.snapshot import ANYWHERE, Progress, StatusSnapshot, addressed
from server.status.thanks import Thanks
from server.status.totals import UsageTotals
from server.status.views import notices
from server.store.base import Store
from server.store.breaker import BreakerState
from web import render
from web.view import Frame
from web.view_public import DocsView, FeedView

SLOW_SECONDS = 10.0  # for what does not move
EXAMPLES = {"openai": "gpt-5.2", "anthropic": "claude-sonnet-4-5"}  # models of the examples, where there are none


@dataclass
class StatusService:
    """The parts, for the handlers. `clock` is monotonic seconds, `wall` UTC milliseconds."""

    settings: Settings
    dispatcher: Dispatching
    book: RuntimeConfig
    history: History
    status: StatusSnapshot
    leaderboard: Leaderboard
    live: Live
    clock: Callable[[], float]
    wall: Callable[[], int]
    own_page: CustomPage | None = None
    _docs: SingleFlight[tuple[str, str], bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._docs = SingleFlight(self._help, SLOW_SECONDS, self.clock)

    def feed(self, base_url: str) -> FeedView:
        """The feed, with links that begin with `PUBLIC_URL`, or else with this address."""
        news = self.history.incidents(), notices(self.book)
        return feed_view(self.settings.title, self.settings.public_url or base_url, *news, self.wall())

    async def docs(self, base_url: str, language: str) -> bytes:
        """`/docs` in a language, likewise."""
        return addressed(await self._docs.get((self.settings.public_url or ANYWHERE, language)), base_url)

    async def drain(self) -> None:
        """Say that we are about to stop, and let the listeners go."""
        self.status.drain()
        await self.live.close()

    async def _help(self, asked: tuple[str, str]) -> bytes:
        base_url, language = asked
        frame = replace((await self.status.view(base_url)).frame, language=language, path="/docs")
        return render.docs_html(self._docs_view(frame, base_url))

    def _docs_view(self, frame: Frame, base_url: str) -> DocsView:
        """The models are those that need no group."""
        named = {dialect: self.dispatcher.keyring.models_for(dialect, frozenset()) for dialect in EXAMPLES}
        return DocsView(
            frame,
            base_url,
            tuple(sorted({model for models in named.values() for model in models})),
            next(iter(named["openai"]), EXAMPLES["openai"]),
            next(iter(named["anthropic"]), EXAMPLES["anthropic"]),
        )


@dataclass(frozen=True)
class Clocks:
    """`clock` is monotonic seconds, `wall` UTC milliseconds; `started` is when the gateway was, by the clock."""

    clock: Callable[[], float]
    wall: Callable[[], int]
    started: float


def history_of(
    settings: Settings, store: Store, accounting: Accounting, dispatcher: Dispatching, clocks: Clocks, *, restarts: bool
) -> History:
    """The history, to be started when the keys are there. It hears of every request that has ended."""
    return History(
        store,
        dispatcher,
        settings.timezone,
        lambda: accounting.guard.state is BreakerState.CLOSED,
        clocks.wall,
        restarts=restarts,
    )


async def open_face(
    settings: Settings,
    store: Store,
    accounting: Accounting,
    dispatcher: Dispatching,
    progress: Progress,
    elsewhere: Callable[[], Load],
    history: History,
    clocks: Clocks,
    stack: AsyncExitStack,
) -> StatusService:
    """Everything that is public, from the start of the history on."""
    await history.start()
    stack.push_async_callback(history.close)
    clock, wall = clocks.clock, clocks.wall
    usage_totals = UsageTotals(store, accounting.calendar, settings.store_seconds, clock, wall)
    stack.push_async_callback(usage_totals.close)
    status = StatusSnapshot(
        settings, dispatcher, accounting.book, history, usage_totals, progress, clock, wall, clocks.started,
        elsewhere=elsewhere,
        thanks=Thanks(store, settings.upstreams, clock),
    )  # fmt: skip
    live = Live(status.event)
    stack.push_async_callback(live.close)
    leaderboard = Leaderboard(store, accounting.book, accounting.calendar, clock, wall)
    own_page = CustomPage(settings, dispatcher, status, leaderboard, clock) if settings.page else None
    return StatusService(
        settings, dispatcher, accounting.book, history, status, leaderboard, live, clock, wall, own_page
    )
