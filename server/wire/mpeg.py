"""MPEG audio, layer III (MP3): how long it is, frame by frame.

A file may begin with a frame that claims a number of frames, and decoders may believe it or not. What a decoder cannot
doubt is the head of each frame: it says how many bytes and how many samples the frame has. So the frames are walked, as
long as that takes no more than some hundredths of a second; a file that is longer tells its rest by its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_FRAMES = 150_000  # an hour
MOST_GAPS = 1_000  # places where no frame begins: more is no recording

# kbit/s by the index in a frame's head: of MPEG 1, and of MPEG 2 and 2.5.
_FIRST = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LATER = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_HERTZ = (44_100, 48_000, 32_000)  # of MPEG 1; half of it of MPEG 2, a quarter of 2.5
_HALVED = {3: 0, 2: 1, 0: 2}  # by the version in a frame's head


@dataclass(frozen=True, slots=True)
class Walked:
    """Seconds of the frames that were seen, their bytes, and the bytes behind them."""

    seconds: float
    seen: int
    left: int


def walked(data: bytes) -> Walked | None:
    """The frames of a file; None if it has too few of them, or too much between them."""
    at, seconds, seen, frames, gaps = _behind_tag(data), 0.0, 0, 0, 0
    while at + 4 <= len(data) and frames < MOST_FRAMES:
        if (frame := _frame(data, at)) is not None:
            length, lasts = frame
            frames, seconds, seen, at = frames + 1, seconds + lasts, seen + length, at + length
            continue
        gaps, following = gaps + 1, data.find(b"\xff", at + 1)
        if gaps > MOST_GAPS:
            return None
        at = len(data) if following < 0 else following
    return Walked(seconds, seen, max(0, len(data) - at)) if frames > gaps else None


def _behind_tag(data: bytes) -> int:
    """Where an ID3 tag ends; its length has seven bits a byte."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))


def _frame(data: bytes, at: int) -> tuple[int, float] | None:
    """Bytes and seconds of the frame that begins here; None if none does."""
    first, second, third = data[at], data[at + 1], data[at + 2]
    version, layer, rate, pace = (second >> 3) & 3, (second >> 1) & 3, third >> 4, (third >> 2) & 3
    if first != 0xFF or second < 0xE0 or version == 1 or layer != 1 or rate in (0, 15) or pace == 3:
        return None
    hertz, samples = _HERTZ[pace] >> _HALVED[version], 1_152 if version == 3 else 576
    bits = (_FIRST if version == 3 else _LATER)[rate] * 1_000
    return samples // 8 * bits // hertz + ((third >> 1) & 1), samples / hertz
