"""Further public pages: the badge, the feed, and the leaderboard."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

from server.http.base import is_credited
from server.http.browsed import SESSION
from server.http.pages.base import BrowserHandler
from server.http.pages.public import PageHandler
from server.http.services import StatusServices
from server.status.leaderboard import ENERGY
from server.store.base import Person
from server.wire.errors import InvalidValue, UnknownUrl
from web import feeds, render
from web import formatting as words
from web.view import ModelView, StatusView, Tone, Visitor
from web.view_public import MEASURES, WINDOWS, LeaderboardView, Measure, Window

SLOW_SECONDS = 10  # for which anybody may keep a badge or the feed

Metric = Literal["status", "wait", "demand", "uptime"]
METRICS = ("status", "wait", "demand", "uptime")

_TONES: dict[str, Tone] = {
    "available": "good",
    "busy": "warn",
    "checking": "idle",
    "recovering": "warn",
    "unavailable": "bad",
    "low": "good",
    "medium": "good",
    "high": "warn",
    "very high": "bad",
}


class CachedHandler(PageHandler[StatusServices]):
    """An answer that may be a few seconds old."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", f"public, max-age={SLOW_SECONDS}")

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Bytes that are no UTF-8 name nothing; tornado would call them a fault of the body."""
        return value.decode("utf-8", "replace")


class Badge(CachedHandler):
    """`/badge.svg?model=&metric=`: without a model how the whole gateway is."""

    async def get(self) -> None:
        name, metric = self.get_query_argument("model", ""), self.get_query_argument("metric", "status")
        if metric not in METRICS:
            raise InvalidValue("metric")
        view = await self.services.status_service.status.view()
        if name:
            model = next((each for each in view.models if each.name == name), None)
            if model is None:
                raise InvalidValue("model")
            text, tone = _of_model(model, cast(Metric, metric))
        else:
            text, tone = _of_all(view)
        self.give(feeds.badge(name or view.title, text, tone), "image/svg+xml")


class Feed(CachedHandler):
    """`/feed.xml`"""

    async def get(self) -> None:
        self.give(feeds.feed(self.services.status_service.feed(self.base_url())), "application/atom+xml; charset=utf-8")


class LeaderboardPage(BrowserHandler):
    """`/leaderboard?window=&by=`: a person who has logged in, or presents a token, sees their own place."""

    async def get(self) -> None:
        services = self.services
        if not services.settings.leaderboard:
            raise UnknownUrl
        window, by = self.get_query_argument("window", "week"), self.get_query_argument("by", "requests")
        if window not in WINDOWS:
            raise InvalidValue("window")
        if by not in MEASURES:
            raise InvalidValue("by")
        person = await self._visitor()
        board = await services.status_service.leaderboard.board(cast(Window, window), cast(Measure, by))
        frame = (await services.status_service.status.view()).frame
        visitor = Visitor(person.name, person.admin) if person else None
        view = LeaderboardView(
            frame=replace(frame, visitor=visitor, zone=self.zone, language=self.language, path=str(self.request.uri)),
            window=cast(Window, window),
            by=cast(Measure, by),
            people=board.scores(person.id if person else None),
            groups=board.groups,
            since_ms=board.since_ms,
            place=board.place(person.id, person.nickname) if person else None,
            energy_formula=ENERGY,
        )
        self.give_page(render.leaderboard_html(view))

    async def _visitor(self) -> Person | None:
        """The person who looks, if a session or a token names one. Raises InvalidKey for a token that opens nothing."""
        if self.cookie(SESSION):
            return await self.person()
        headers = self.request.headers
        if is_credited(headers):
            return await self.services.store.person((await self.authenticate()).person_id)
        return None


def _of_model(model: ModelView, metric: Metric) -> tuple[str, Tone]:
    if metric == "wait":
        return f"wait {words.wait(model)}", "idle" if model.answers else "bad"
    if metric == "demand":
        demand = model.demand or "low"
        return f"demand {demand}", _TONES[demand]
    if metric == "uptime":
        month = model.over("30d")
        share = None if month is None else month.uptime
        return ("uptime not known", "idle") if share is None else (f"uptime {words.percent(share)}", _steadiness(share))
    return model.condition, _TONES[model.condition]


def _of_all(view: StatusView) -> tuple[str, Tone]:
    headline = words.headline(view)
    return headline.title.lower(), headline.tone


def _steadiness(share: float) -> Tone:
    return "good" if share >= 0.99 else "warn" if share >= 0.9 else "bad"
