"""For machines that watch this one: is the loop alive, and may requests be sent here."""

from __future__ import annotations

from keypool.health import KeyState
from server.http.base import AlsoHead, BaseHandler
from server.http.services import StatusServices
from server.store.base import StoreError

ALIVE = frozenset({KeyState.UNCHECKED, KeyState.READY, KeyState.COOLING})


class HealthHandler(AlsoHead, BaseHandler[StatusServices]):
    """`/healthz`: the event loop answers."""

    counted = False

    def get(self) -> None:
        self.finish({"status": "ok"})


class ReadyHandler(AlsoHead, BaseHandler[StatusServices]):
    """`/readyz`: the store can be written, a key is alive, the pool is there, nothing drains. Warnings are harmless."""

    counted = False

    async def get(self) -> None:
        problems = []
        if self.services.draining:
            problems.append("draining")
        if not self.services.dispatcher.connected:
            problems.append("the pool process is away")
        if not any(key.state in ALIVE for key in self.services.dispatcher.snapshot().keys):
            problems.append("no upstream key is alive")
        try:
            await self.services.store.ping()
        except StoreError:
            problems.append("the store cannot be written")
        if not self.services.book.known:
            problems.append("limits and prices have not been read from the store yet")
        self.set_status(503 if problems else 200)
        status = "unready" if problems else "ready"
        self.finish({"status": status, "problems": problems, "warnings": self.services.price_reload.warnings})
