"""Questions to the gateway itself: the trace of a request, and the expected wait of a new one."""

from __future__ import annotations

from server.http.base import BaseHandler
from server.http.services import ApiServices
from server.store.base import StoreError
from server.wire.anthropic import ANTHROPIC
from server.wire.dialect import Dialect
from server.wire.errors import AccountingUnavailable, InvalidValue, MissingParameter, UnknownId
from server.wire.openai import OPENAI

DIALECTS: dict[str, Dialect] = {"openai": OPENAI, "anthropic": ANTHROPIC}


class ExplainHandler(BaseHandler[ApiServices]):
    """`GET /api/explain/{request id}`: only for the person who made the request."""

    async def get(self, request_id: str) -> None:
        caller = await self.authenticate()
        try:
            trace = await self.services.everywhere.explain(caller, request_id)
        except StoreError:
            raise AccountingUnavailable from None
        if trace is None:
            raise UnknownId
        self.finish(trace)


class QueueHandler(BaseHandler[ApiServices]):
    """`GET /api/queue?model=NAME`: where a short request of the caller's would stand now."""

    guests = True

    async def get(self) -> None:
        caller = await self.authenticate()
        model = self.get_query_argument("model", "")
        if not model:
            raise MissingParameter("model")
        forecast = await self.services.admission.forecast(caller, model, self._asked_dialect())
        self.finish(
            {
                "model": model,
                "position": forecast.position,
                "wait_seconds": round(forecast.seconds, 1),
                "would_wait": forecast.position > 0,
            }
        )

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Bytes that are no UTF-8 name no model; tornado would call them a fault of the body."""
        return value.decode("utf-8", "replace")

    def _asked_dialect(self) -> Dialect:
        """The dialect in which the model would be asked; without a word the one that the caller speaks now."""
        name = self.get_query_argument("dialect", self.dialect.name)
        if name not in DIALECTS:
            raise InvalidValue("dialect")
        return DIALECTS[name]
