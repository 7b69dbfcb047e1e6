"""Opens connections: directly or through a proxy, in plain or by TLS.

Addresses of both families are tried as RFC 8305 says (happy eyeballs, by aiohttp's own library: uvloop has none).
Through a proxy, TLS goes from end to end: CONNECT first, then the handshake with the server itself. The proxy's answer
to CONNECT is read as strictly as any other, and its body, which may hold anything, is not looked at.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence

import aiohappyeyeballs
from aiohappyeyeballs.types import AddrInfoType

from server.httpclient.addresses import Origin
from server.httpclient.answer_reader import AnswerReader
from server.httpclient.connection import Connection
from server.httpclient.egress import Egress
from server.httpclient.errors import CannotConnect, MalformedAnswer, ProxyRefused
from server.httpclient.proxies import Proxy

log = logging.getLogger("fairgate")

SILENT_SECONDS = 60  # of a connection, before the system asks whether it is still there
NEXT_ADDRESS_SECONDS = 0.25  # before the next address is tried beside the one before


async def connect(origin: Origin, egress: Egress, seconds: float) -> Connection:
    """A connection to this server. Raises CannotConnect, also when there is none in time."""
    try:
        async with asyncio.timeout(seconds):
            return await _connect(origin, egress)
    except (OSError, ssl.SSLError, ssl.CertificateError, UnicodeError) as error:  # TimeoutError is an OSError
        if isinstance(error, ssl.SSLCertVerificationError):
            log.warning("%s: %s", origin.host, untrusted(error))
        raise CannotConnect from error


def refused(status: int) -> ProxyRefused:
    """The failure, which the log says too: its operator can mend it, and a caller cannot."""
    failure = ProxyRefused(status)
    log.warning("%s", failure)
    return failure


def untrusted(error: ssl.SSLCertVerificationError) -> str:
    """The reason why a certificate is refused, and the setting that mends it."""
    return f"its certificate is not believed ({error.verify_message}); UPSTREAM_CA_FILE names further authorities"


async def _connect(origin: Origin, egress: Egress) -> Connection:
    loop, proxy = asyncio.get_running_loop(), egress.proxies.of(origin)
    connection = Connection(loop)
    opened = await _socket(loop, proxy.host if proxy else origin.host, proxy.port if proxy else origin.port)
    if proxy is not None and origin.secure:
        await _through(loop, opened, proxy, origin, egress, connection)
    elif origin.secure:
        await loop.create_connection(lambda: connection, sock=opened, ssl=egress.tls, server_hostname=origin.host)
    else:
        await loop.create_connection(lambda: connection, sock=opened)
    return connection


async def _through(
    loop: asyncio.AbstractEventLoop,
    opened: socket.socket,
    proxy: Proxy,
    origin: Origin,
    egress: Egress,
    connection: Connection,
) -> None:
    """Have the proxy connect us, and begin TLS with the server behind it."""
    transport, tunnel = await loop.create_connection(lambda: _Tunnel(loop), sock=opened)
    try:
        transport.write(_connect_head(origin, proxy))
        await tunnel.opened
        within = await loop.start_tls(transport, connection, egress.tls, server_hostname=origin.host)
    except BaseException:
        transport.abort()
        raise
    assert within is not None, "the transport is of TCP"
    connection.connection_made(within)


def _connect_head(origin: Origin, proxy: Proxy) -> bytes:
    lines = [f"CONNECT {origin.host_and_port} HTTP/1.1", f"Host: {origin.host_and_port}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "\r\n".join([*lines, "", ""]).encode()


class _Tunnel(asyncio.Protocol):
    """Reads the proxy's answer to CONNECT. `opened` is done when it lets us through, else it raises ProxyRefused."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.opened: asyncio.Future[None] = loop.create_future()
        self._answer = AnswerReader()

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            return
        try:
            self._answer.feed(data)
        except MalformedAnswer:
            self._refused(0)
            return
        if not self._answer.has_head:
            return
        if 200 <= self._answer.status < 300 and not self._answer.size:  # the server behind it does not speak first
            self.opened.set_result(None)
        else:
            self._refused(self._answer.status)

    def connection_lost(self, exc: Exception | None) -> None:
        self._refused(0)

    def _refused(self, status: int) -> None:
        if not self.opened.done():
            self.opened.set_exception(refused(status))


async def _socket(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    found = _numeric(host, port) or await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    opened = await aiohappyeyeballs.start_connection(
        found, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, interleave=1, loop=loop
    )
    _keep_alive(opened)
    return opened


def _keep_alive(opened: socket.socket) -> None:
    """A model may think for longer than a router remembers a silent connection."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):  # not every system has them
        if (option := getattr(socket, name, None)) is not None:
            opened.setsockopt(socket.IPPROTO_TCP, option, SILENT_SECONDS)


def _numeric(host: str, port: int) -> Sequence[AddrInfoType]:
    """The address itself, if it is one: no name has to be looked up then. Else nothing."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []
