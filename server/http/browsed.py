"""What a handler knows of the browser that asks: its cookies, and the address under which it came.

Cookies are `__Host-` and Secure, but on this machine without https, where a browser would not send them back.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from server.config.parsers import is_loopback
from server.http.base import BaseHandler
from server.http.services import S

SESSION = "fairgate-session"


class Browsed(BaseHandler[S]):
    """A handler that reads the cookies of a browser."""

    def cookie(self, name: str) -> str | None:
        return self.get_cookie(self.cookie_name(name))

    def origin(self) -> str:
        """Under which address the browser came here: `https://host`. Proxies are believed as far as they are ours."""
        scheme, host = self.request.protocol, self.request.host
        if hops := self.services.settings.trusted_proxy_hops:
            scheme = self._noted("X-Forwarded-Proto", hops) or scheme
            host = self._noted("X-Forwarded-Host", hops) or host
        return f"{'https' if scheme == 'https' else 'http'}://{host}"

    def is_secure(self) -> bool:
        address = urlsplit(self.services.settings.public_url or self.origin())
        return address.scheme == "https" or not is_loopback(address.hostname or "")

    def cookie_name(self, name: str) -> str:
        """The name under which the browser keeps a cookie of ours."""
        return f"__Host-{name}" if self.is_secure() else name

    def _noted(self, header: str, hops: int) -> str:
        """The value that the outermost of our proxies noted."""
        noted = ",".join(self.request.headers.get_list(header)).split(",")
        return noted[-min(hops, len(noted))].strip()
