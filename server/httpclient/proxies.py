"""The choice of the proxy that a request goes through, by the rules that curl and Go share.

    https://name...    HTTPS_PROXY: CONNECT to name:443, and TLS through it; the proxy sees the name and nothing else
    http://name...     HTTP_PROXY: the proxy gets the whole request, as RFC 9112 3.2.2 has it, and could read it
    NO_PROXY           names that are reached directly: `*`, `example.org` and all below it, `.example.org` (the same),
                       an address, a network (10.0.0.0/8), each with a port or without

This machine is always reached directly: a model on localhost is not the proxy's.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from server.httpclient.addresses import Origin

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is spoken to in plain HTTP. `authorization` is the header's value; empty: it wants none."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """Without the credential."""
        return f"http://{Origin(False, self.host, self.port).host_and_port}"


@dataclass(frozen=True, slots=True)
class Exemption:
    """One entry of NO_PROXY: a network, or the end of a name; `port` None is any."""

    name: str = ""
    network: Network | None = None
    port: int | None = None

    def covers(self, origin: Origin, address: Address | None) -> bool:
        if self.port not in (None, origin.port):
            return False
        if self.network is not None:
            return address is not None and address in self.network
        return self.name == "*" or origin.host == self.name or origin.host.endswith(f".{self.name}")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of this gateway for each scheme, and what is reached without them."""

    https: Proxy | None = None
    http: Proxy | None = None
    exempt: tuple[Exemption, ...] = ()

    def of(self, origin: Origin) -> Proxy | None:
        """The proxy for this server; None: it is reached directly."""
        found = self.https if origin.secure else self.http
        if found is None:
            return None
        address = _address(origin.host)
        local = address.is_loopback if address is not None else origin.host == "localhost"
        if local or any(each.covers(origin, address) for each in self.exempt):
            return None
        return found


def parse_proxy(text: str) -> Proxy | None:
    """Read `http://user:password@proxy.example.org:3128`; the scheme may be left out. Empty: None. Raises ValueError.

    No error repeats the text, which may hold a password.
    """
    if not (text := text.strip()):
        return None
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        host, port, parts = "", 0, urlsplit("http:")
    if parts.scheme != "http" or not host or parts.path not in ("", "/") or parts.query or not host.isascii():
        raise ValueError("expected http://proxy.example.org:3128, with user:password@ before the name if it wants that")
    if parts.username is None:
        return Proxy(host, port)
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(host, port, f"Basic {base64.b64encode(pair.encode()).decode()}")


def parse_exemptions(text: str) -> tuple[Exemption, ...]:
    """Read NO_PROXY: entries with commas between. Raises ValueError."""
    return tuple(_exemption(each) for each in text.replace(" ", ",").split(",") if each)


def _exemption(entry: str) -> Exemption:
    network = _network(entry)
    if network is not None:
        return Exemption(network=network)
    name, colon, port = entry.rpartition(":")
    if not colon:
        name, port = entry, ""
    if colon and (not port.isascii() or not port.isdigit()):
        raise ValueError("expected names, addresses or networks, with commas between")
    at = int(port) if port else None
    network = _network(name)
    if network is not None:
        return Exemption(network=network, port=at)
    return Exemption(name.lower().removeprefix("*.").lstrip("."), port=at)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
