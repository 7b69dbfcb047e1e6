"""A stream on its way through that is translated: observed as it comes, and written as its caller understands it."""

from __future__ import annotations

from server.wire.relay import Relay
from server.wire.translate.translation import Reader


class TranslatingRelay:
    """A `Relay` whose caller asks in another dialect than the upstream answers in."""

    between = True  # what is written ends where an event does

    def __init__(self, relay: Relay, reader: Reader) -> None:
        self._relay, self._reader = relay, reader

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to write now, perhaps none. Raises StreamTooLong."""
        return self._reader.feed(self._relay.feed(chunk))

    def end(self) -> bytes:
        """What is left to write once the upstream has ended."""
        return self._reader.feed(self._relay.end()) + self._reader.close()
