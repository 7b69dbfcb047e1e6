"""What the handlers for other projects' clients share: small bodies, an outage's words, whose figures may be read."""

from __future__ import annotations

from typing import Any

from server.admin.makers import Maker
from server.http.base import BaseHandler
from server.http.services import CompatServices
from server.policy.authority import Power
from server.store.base import Caller, StoreError
from server.wire.errors import AccountingUnavailable, InvalidValue
from server.wire.strict import loads
from server.wire.trusted import within

LARGEST_BODY = 64 << 10  # bytes


class CompatHandler(BaseHandler[CompatServices]):
    """A handler that speaks another project's words. Its errors are ours."""

    @property
    def largest_body(self) -> int:
        return LARGEST_BODY

    def document(self) -> dict[str, Any]:
        """The JSON object in the body. Raises InvalidJson, TooComplex."""
        return loads(self.body())

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """What is no text names nothing; tornado would call it a fault of the body."""
        return value.decode("utf-8", "replace")

    def argument(self, name: str) -> str | None:
        """The value of a query parameter, which may stand there once."""
        values = self.get_query_arguments(name, strip=False)
        if len(values) > 1:
            raise InvalidValue(name)
        return values[0] if values else None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if isinstance(kwargs.get("exc_info", (None, None, None))[1], StoreError):
            self.refuse(AccountingUnavailable())
        else:
            super().write_error(status_code, **kwargs)

    def maker(self, caller: Caller) -> Maker:
        """The credential that asks, where it makes another one."""
        return Maker(self.services.authority(caller), caller.token_id)

    async def reader(self) -> Caller | None:
        """Whose figures may be read: this caller's; None is everybody's.

        Administrators read everything, and so does who asks without a credential from a network whose `X-User` is
        believed, where anybody may be anyone. Who is named by that header reads what is theirs: a service in front has
        told people apart.
        """
        headers = self.request.headers
        bare = not any(name in headers for name in ("Authorization", "X-Api-Key", "X-User"))
        if bare and within(self.address(), self.services.settings.user_header_networks):
            self.insist_on_own_site()
            return None
        caller = await self.authenticate()
        return None if self.services.authority(caller).may(Power.ADMINISTER) else caller
