"""The short way of a stream's pieces: from the upstream's socket to the client's within one call of the event loop.

Most pieces of a stream only go on with the text, to a client that reads. For these nothing has to be waited for, so
no task has to run: the upstream's connection hands them to `Straight` as they come. Whatever needs more (the end, a
charge, a client that does not keep up, a sign of life on its way) is held for the task of the request, which goes on
with it as if it had read it itself.
"""

from __future__ import annotations

from server.relay.keepalive import Keepalive
from server.wire.meter import Meter
from server.wire.relay import Relay
from server.wire.translate.passing import TranslatingRelay

CHARGE_EVERY = 64  # pieces of an answer, between two charges to its flow while it streams


class Straight:
    """Takes pieces of one stream. `until`: so many pieces of the answer may have come, and the next one is held."""

    __slots__ = ("_held", "_keepalive", "_meter", "_relay", "until")

    def __init__(self, relay: Relay | TranslatingRelay, meter: Meter, keepalive: Keepalive) -> None:
        self._relay, self._meter, self._keepalive = relay, meter, keepalive
        self._held: bytes | None = None
        self.until = CHARGE_EVERY

    def __call__(self, chunk: bytes) -> bool:
        """Pass on what this piece of the upstream completes; False: it is held. Raises StreamTooLong."""
        events, meter = self._relay.feed(chunk), self._meter
        if not (meter.finished or meter.failed or meter.output_pieces >= self.until) and (
            not events or self._keepalive.send_now(events, between=self._relay.between)
        ):
            return True
        self._held = events
        return False

    def held(self) -> bytes | None:
        """What was not passed on, once; None if there is nothing."""
        held, self._held = self._held, None
        return held
