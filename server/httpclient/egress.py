"""The way out of this network: proxies, and the authorities whose certificates are believed."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import lru_cache

from server.httpclient.proxies import Proxies


@dataclass(frozen=True, slots=True)
class Egress:
    """`ca_file`: certificates of authorities (PEM) that are believed beside the system's; empty: only those."""

    proxies: Proxies = field(default_factory=Proxies)
    ca_file: str = ""

    def but(self, proxies: Proxies | None, ca_file: str) -> Egress:
        """The same but for what is given."""
        return Egress(self.proxies if proxies is None else proxies, ca_file or self.ca_file)

    @property
    def tls(self) -> ssl.SSLContext:
        return tls_context(self.ca_file)


DIRECTLY = Egress()


@lru_cache(maxsize=64)
def tls_context(ca_file: str = "") -> ssl.SSLContext:
    """How certificates are checked: by name and chain, TLS 1.2 or later. Raises OSError if the file cannot be used."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
