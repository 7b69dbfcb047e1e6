"""How a request to another server fails. None of these texts holds an address, a header or a byte of a body."""

from __future__ import annotations


class HttpFailure(Exception):
    """A request has no answer, or its answer has no end.

    `untouched`: its connection had been kept from an earlier request, and nothing came in answer to this one.
    """

    untouched = False


class CannotConnect(HttpFailure):
    """There is no connection: no such name, refused, no TLS, no way through the proxy, or not in time."""


class ProxyRefused(CannotConnect):
    """The proxy on the way does not let us through. `status` is its answer's; 0 if it gave none that can be read."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy refuses ({status})" if status else "the proxy does not answer in HTTP")
        self.status = status


class ConnectionDropped(HttpFailure):
    """The connection ended before its answer did."""


class MalformedAnswer(HttpFailure):
    """The bytes are no HTTP answer, or one whose end cannot be known for sure."""


class NoAnswerInTime(HttpFailure):
    """The server was silent for too long."""
