"""Pages for people: the snapshot goes in, HTML comes out of `web`."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from keypool.snapshot import ModelSnapshot
from server.handlers.base import BaseHandler
from server.store.base import StoreError, Totals
from server.wire.errors import UnknownUrl
from web import render
from web.view import ModelView, StatusView

DAY_MS = 86_400_000


class PageHandler(BaseHandler):
    """A handler whose answers are for a browser."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Content-Security-Policy", render.CONTENT_SECURITY_POLICY)
        self.set_header("Referrer-Policy", "no-referrer")

    async def view(self) -> StatusView:
        house, now = self.house, self.house.wall()
        pool = house.dispatcher.snapshot()
        today = await self._today(now - now % DAY_MS)
        models = tuple(map(_model, pool.models))
        well = any(model.answers for model in models)
        return StatusView(
            title=house.settings.title,
            state="draining" if house.draining else "up" if well else "degraded",
            demo=house.demo,
            uptime_seconds=house.clock() - house.started,
            now_ms=now,
            models=models,
            requests_today=today.requests,
            tokens_in_today=today.input,
            tokens_out_today=today.output,
            base_url=house.settings.public_url or f"{self.request.protocol}://{self.request.host}",
            checking=self._checking(),
        )

    def _checking(self) -> tuple[int, int] | None:
        checked, total = self.house.prober.progress()
        return (checked, total) if checked < total else None

    async def _today(self, since: int) -> Totals:
        try:
            return await self.house.store.totals(since)
        except StoreError:
            return Totals(0, 0, 0, 0)


class StatusPage(PageHandler):
    """`/`"""

    async def get(self) -> None:
        page = render.status_html(await self.view())
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(page)


class StatusJson(PageHandler):
    """`/status.json`"""

    async def get(self) -> None:
        status = render.status_json(await self.view())
        self.set_header("Content-Type", "application/json")
        self.finish(status)


class StaticFile(PageHandler):
    """`/static/…`: files that were read once, at the start. No path of this machine is ever built from a request."""

    def get(self, name: str) -> None:
        found = render.static(name)
        if found is None:
            raise UnknownUrl
        body, content_type, etag = found
        self.set_header("Content-Type", content_type)
        self.set_header("ETag", etag)
        self.set_header("Cache-Control", "no-cache")
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
        else:
            self.finish(body)


def _model(model: ModelSnapshot) -> ModelView:
    waits = sorted(model.waits)
    return ModelView(
        name=model.name,
        waiting=model.waiting,
        running=model.running,
        slots=model.slots,
        keys={state.value: count for state, count in model.keys.items()},
        wait_p50_seconds=_quantile(waits, 0.5),
        wait_p99_seconds=_quantile(waits, 0.99),
        jain=model.jain,
        gap=model.gap / model.largest if model.largest else 0.0,
        gap_bound=model.bound / model.largest if model.largest else 0.0,
    )


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that so many do not exceed; None of none."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


class NoSuchPage(PageHandler):
    """Every route that does not exist: a page for a browser, a refusal in its dialect for everybody else."""

    def prepare(self) -> None:
        if self.request.method != "GET" or "text/html" not in self.request.headers.get("Accept", ""):
            raise UnknownUrl
        self.set_status(404)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(render.error_page(404, "There is nothing at this address."))
