"""The whole installation at one instant, for all readers: put together once a second at most, however many ask.

The pool, the runtime configuration and the history are in memory, and of the ledger only three sums are read
(`totals.py`). So the page costs the same whether one person looks at it or a thousand do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from keypool.pool import Ask
from keypool.queues import Forecast
from keypool.snapshot import KeySnapshot, ModelSnapshot, PoolSnapshot
from server.accounting.runtime_config import RuntimeConfig
from server.auth.accounts import EVERYONE, SHARED
from server.cluster.face import Load, Work
from server.config.settings import Settings
from server.config.settings_rows import Gatekeeper
from server.dispatching import Dispatching
from server.ledger.summaries import Summary
from server.policy.maintenance import maintenance
from server.single_flight import SingleFlight
from server.status.history import History
from server.status.thanks import Thanks
from server.status.totals import UsageTotals
from server.status.views import (
    demand,
    facts_of,
    hour_views,
    incident_view,
    model_row,
    notice_view,
    notices,
    period_views,
    quantile,
)
from server.wire.errors import PoolAway
from web import live_updates as live
from web import render
from web.languages import ENGLISH
from web.view import KeyView, ModelView, State, StatusView
from web.view_models import ModelRow

FRESH_SECONDS = 1.0
MOST_INCIDENTS = 20

ANYWHERE = "http://base-url.invalid"  # stands in what is made once for all, whatever they call us
_NEWCOMERS: dict[Gatekeeper, str] = {"user_token": "", "shared": SHARED.person_id, "none": EVERYONE.person_id}
_PRINTERS: dict[str, Callable[[StatusView], bytes]] = {
    "html": render.status_html,
    "json": render.status_json,
    "event": live.live_event,
}
Progress = Callable[[], tuple[int, int]]  # how many keys have been asked about since the start, and how many are to be


def nowhere() -> Load:
    """There is no other gateway."""
    return {}


@dataclass
class StatusSnapshot:
    """The data of the status page. `clock` is monotonic seconds, `wall` UTC milliseconds; `draining`: it stops soon.

    `elsewhere`: what the other gateways on this store have to do, by model.
    """

    settings: Settings
    dispatcher: Dispatching
    book: RuntimeConfig
    history: History
    usage_totals: UsageTotals
    progress: Progress
    clock: Callable[[], float]
    wall: Callable[[], int]
    started: float
    draining: bool = False
    elsewhere: Callable[[], Load] = nowhere
    thanks: Thanks | None = None
    _views: SingleFlight[str, StatusView] = field(init=False, repr=False)
    _printed: SingleFlight[tuple[str, str, str], bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._views = SingleFlight(self._view, FRESH_SECONDS, self.clock)
        self._printed = SingleFlight(self._print, FRESH_SECONDS, self.clock)

    async def view(self, base_url: str = "") -> StatusView:
        """Everything, as of a second ago or later. `base_url`: how the caller has reached us."""
        return replace(await self._views.get(""), base_url=self.settings.public_url or base_url)

    def drain(self) -> None:
        """Say from now on that the gateway is about to stop."""
        self.draining = True
        self.forget()

    def forget(self) -> None:
        """Let the next who ask see how it is now."""
        self._views.forget()
        self._printed.forget()

    async def facts(self) -> dict[str, dict[str, object]]:
        """The facts of each model in a list of models, by its name."""
        models, now = (await self.view()).models, self.wall()
        prices, window = self.book.prices, self.book.window
        return {each.name: facts_of(each, prices.of(each.name, now), window(each.name)) for each in models}

    async def rows(self, names: Iterable[str] | None = None) -> tuple[ModelRow, ...]:
        """The models of these names as pages list them, by name; without names all that lists show."""
        known, now, book = {each.name: each for each in (await self.view()).models}, self.wall(), self.book
        found = (
            (name, book.aliases.model(name)) for name in sorted(book.aliases.shown(known) if names is None else names)
        )
        return tuple(
            model_row(name, known[model], book.prices.of(model, now), book.window(model))
            for name, model in found
            if model in known
        )

    async def page(self, base_url: str, language: str) -> bytes:
        """The page in a language, UTF-8. `base_url` is scheme, host and port: nothing in it has to be escaped."""
        return addressed(await self._printed.get(("html", self._address, language)), base_url)

    async def json(self, base_url: str) -> bytes:
        """The same for programs."""
        return addressed(await self._printed.get(("json", self._address, ENGLISH)), base_url)

    @property
    def _address(self) -> str:
        return self.settings.public_url or ANYWHERE

    async def event(self, language: str) -> bytes:
        """The moving numbers in a language, as one line of JSON."""
        return await self._printed.get(("event", "", language))

    async def _print(self, asked: tuple[str, str, str]) -> bytes:
        manner, base_url, language = asked
        return _PRINTERS[manner](replace(await self.view(base_url), language=language))

    async def _view(self, name: str) -> StatusView:
        await self.usage_totals.refresh()
        now, pool = self.wall(), self.dispatcher.snapshot()
        summary = self.history.summary
        elsewhere = self.elsewhere()
        models = tuple(
            await asyncio.gather(
                *(self._model(each, summary, elsewhere.get(each.name, Work())) for each in pool.models)
            )
        )
        return StatusView(
            title=self.settings.title,
            languages=self.settings.page_languages,
            state=self._state(models, now),
            demo=self.settings.wants_demo,
            uptime_seconds=self.clock() - self.started,
            now_ms=now,
            models=models,
            requests_today=self.usage_totals.today.requests,
            tokens_in_today=self.usage_totals.today.tokens_in,
            tokens_out_today=self.usage_totals.today.tokens_out,
            base_url="",
            checking=self._checking(),
            cost_today_micro_usd=self.usage_totals.today.micro_usd,
            month=self.usage_totals.month,
            ever=self.usage_totals.ever,
            people_online=self.history.online(),
            keys=self._keys(pool, now),
            hours=hour_views(summary, now),
            history_since_ms=summary.since,
            incidents=tuple(map(incident_view, self.history.incidents()[:MOST_INCIDENTS])),
            thanks=() if self.thanks is None else await self.thanks.owners(),
            notices=tuple(notice_view(each) for each in notices(self.book) if each.shown_at(now)),
            zone=self.settings.timezone,
            login=self.settings.gatekeeper == "user_token" or bool(self.settings.oidc_issuer),
            leaderboard=self.settings.leaderboard,
        )

    def _state(self, models: tuple[ModelView, ...], now: int) -> State:
        if self.draining:
            return "draining"
        if maintenance(self.book.notices, now) is not None:
            return "maintenance"
        return "up" if any(model.answers for model in models) else "degraded"

    def _checking(self) -> tuple[int, int] | None:
        checked, total = self.progress()
        return (checked, total) if checked < total else None

    async def _model(self, model: ModelSnapshot, summary: Summary, elsewhere: Work) -> ModelView:
        waits, forecast = sorted(model.waits), await self._forecast(model.name)
        return ModelView(
            name=model.name,
            waiting=model.waiting + elsewhere.waiting,
            running=model.running + elsewhere.running,
            slots=model.slots + elsewhere.slots,
            keys={state.value: count for state, count in model.keys.items()},
            wait_p50_seconds=quantile(waits, 0.5),
            wait_p99_seconds=quantile(waits, 0.99),
            jain=model.jain,
            gap=model.gap / model.largest if model.largest else 0.0,
            gap_bound=model.bound / model.largest if model.largest else 0.0,
            wait_seconds=None if forecast is None else forecast.seconds,
            wait_latest_seconds=None if forecast is None else forecast.latest,
            forecasts=model.forecasts.made,
            forecasts_near=model.forecasts.near,
            demand=demand(model),
            periods=period_views(summary.periods.get(model.name, {})),
            uptime_days=summary.uptime_days.get(model.name, ()),
        )

    async def _forecast(self, model: str) -> Forecast | None:
        """The forecast for a newcomer who may use all its keys, for a short answer. None: no key, or not known.

        Where all callers are one person, a newcomer is that person too, and waits behind all that they have asked.
        """
        serving = [key for key in self.dispatcher.keyring.serving(model) if not key.whole.dead]
        if not serving:
            return None
        now = self.dispatcher.now()
        groups = frozenset(group for key in serving for group in key.groups)
        deadline = now + self.settings.queue_seconds
        newcomer = _NEWCOMERS[self.settings.gatekeeper]
        ask = Ask("", newcomer, model, min(serving[0].dialects), 0, None, deadline, groups=groups)
        try:
            return await self.dispatcher.forecast(ask)
        except PoolAway:
            return None

    def _keys(self, pool: PoolSnapshot, now: int) -> tuple[KeyView, ...]:
        """The keys, by their providers and then in an order that tells nothing."""
        models = {key.id: len(key.models) for key in self.dispatcher.keyring.keys.values()}
        clock = self.dispatcher.now()

        def seen(key: KeySnapshot) -> KeyView:
            since = now - round((clock - key.since) * 1000) if key.since else None
            return KeyView(key.upstream, key.state.value, since, models.get(key.id, 0))

        return tuple(sorted(map(seen, pool.keys), key=lambda key: (key.provider, key.state, key.since_ms or 0)))


@lru_cache(maxsize=64)
def addressed(made: bytes, base_url: str) -> bytes:
    """A page that was made once for all readers, with the address under which this reader came.

    Else each new address would have everything made anew.
    """
    return made.replace(ANYWHERE.encode(), base_url.encode())
