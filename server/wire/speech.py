"""Speech that comes back: sound, whose length is what some models are paid for and none of them reports."""

from __future__ import annotations

from server.wire.answers import Media


class Speech(Media):
    """`/v1/audio/speech`. `spoken` is the sound, where it came as such and not as events."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken = b""

    def answer(self, body: bytes) -> bool:
        if not body.startswith(b"{"):
            self.spoken = body
        return super().answer(body)
