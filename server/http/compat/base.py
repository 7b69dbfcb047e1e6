"""The base of the handlers for other projects' clients: small bodies, an outage's words, the right to read figures."""

from __future__ import annotations

from typing import Any

from server.admin.makers import Maker
from server.http.base import BaseHandler, is_credited
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
        """Bytes that are no UTF-8 name nothing; tornado would call them a fault of the body."""
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
        """The caller whose figures may be read; None is all people's figures.

        Administrators read everything, and so does a caller without a credential from a network whose `X-User` is
        believed, since such a caller may take any name. A caller named by that header reads their own figures: a
        service in front has authenticated them.
        """
        headers = self.request.headers
        bare = not is_credited(headers) and "X-User" not in headers
        if bare and within(self.address(), self.services.settings.user_header_networks):
            self.insist_on_own_site()
            return None
        caller = await self.authenticate()
        return None if self.services.authority(caller).may(Power.ADMINISTER) else caller
