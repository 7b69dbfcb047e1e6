"""The head of a request, as bytes."""

from __future__ import annotations

from collections.abc import Mapping

from server.httpclient.addresses import Target

# The headers that the client writes itself: the length of the body, and the server's name.
OWN = frozenset({"host", "content-length", "transfer-encoding", "connection", "proxy-authorization", "expect"})
BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})  # an empty body of these is not mentioned


def request_head(
    method: str, target: Target, headers: Mapping[str, str], length: int, proxy_authorization: str | None = None
) -> bytes:
    """The head of a request for a body of `length` bytes. Raises ValueError where a header would break out of its line.

    `proxy_authorization`: the request goes through a proxy that reads it, so it names the whole address (RFC 9112
    3.2.2); empty where that proxy wants no credential.
    """
    if not method.isalpha() or not OWN.isdisjoint(map(str.lower, headers)):
        raise ValueError("a method or a header that is not for callers")
    origin, where = target
    lines = [f"Host: {origin.authority}"]
    if proxy_authorization is not None:
        where = f"{'https' if origin.secure else 'http'}://{origin.authority}{where}"
        if proxy_authorization:
            lines.append(f"Proxy-Authorization: {proxy_authorization}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length or method not in BODILESS:
        lines.append(f"Content-Length: {length}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header breaks out of its line")
    return f"{method} {where} HTTP/1.1\r\n{text}\r\n\r\n".encode()
