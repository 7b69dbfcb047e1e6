"""A client that sends any bytes at all, and takes an answer apart without being kind to it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

PATIENCE = 10.0  # seconds without a byte, after which a test has failed


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """One connection to a server."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        self._socket = socket.create_connection((address.hostname, address.port), timeout=PATIENCE)
        self._came = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send as much as the server wants to have: it may answer and close before the end."""
        with suppress(ConnectionError):
            self._socket.sendall(data)

    def send_all(self, data: bytes) -> None:
        """Send everything before anything is read; the server has to take it all."""
        self._socket.sendall(data)

    def sends_until_refused(self, piece: bytes, most: int) -> bool:
        """Send again and again; whether the server has made an end of it before so many bytes."""
        try:
            for _ in range(most // len(piece)):
                self._socket.sendall(piece)
        except ConnectionError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Close at once, as a client that has crashed."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def reply(self) -> Reply | None:
        """The next answer; None if the connection is closed instead."""
        while b"\r\n\r\n" not in self._came:
            if not self._more():
                assert not self._came, "half an answer"
                return None
        head, _, self._came = self._came.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), "a header that comes twice"
        return Reply(int(first.split(" ")[1]), headers, self._body(headers))

    def rest(self) -> bytes:
        """Everything that still comes until the server closes."""
        while self._more():
            pass
        rest, self._came = self._came, b""
        return rest

    def closes_within(self, seconds: float) -> bool:
        """Whether the server closes in that time without having said anything."""
        self._socket.settimeout(seconds)
        try:
            return not self._more()
        except TimeoutError:
            return False

    def waits_again(self) -> None:
        """Be as patient as in the beginning."""
        self._socket.settimeout(PATIENCE)

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            return b"".join(iter(self._chunk, b""))
        return self._take(int(headers.get("content-length", "0")))

    def _chunk(self) -> bytes:
        while b"\r\n" not in self._came:
            assert self._more(), "half a chunk"
        size, _, self._came = self._came.partition(b"\r\n")
        return self._take(int(size, 16) + 2)[:-2]

    def _take(self, length: int) -> bytes:
        while len(self._came) < length:
            assert self._more(), "half a body"
        taken, self._came = self._came[:length], self._came[length:]
        return taken

    def _more(self) -> bool:
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        self._came += data
        return bool(data)


def request(method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """The bytes of a request; with a body comes its Content-Length."""
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway.test", *(f"{name}: {headers[name]}" for name in headers)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunked(body: bytes, size: int = 1 << 16) -> bytes:
    """A body in chunks, its end included."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
