"""How long a recording is, as its own head says, within what its bytes allow.

tinytag reads the head (MIT, pure Python, no requirements; mutagen, the other well-kept reader, is under the GPL). A
head may lie. So each container has a lowest and a highest plausible rate of bits, and what the head claims is held
within these: `least_ms` is how long it is at the highest rate, `most_ms` at the lowest. Plain WAV cannot lie, because
its decoder takes the same figures: its bytes over its bytes a second are its length, whatever it says of that.

The frames of MP3 are walked instead (`mpeg.py`).

Where the head can be read, `ms` is what it claims, and `most_ms` twice that, for one that claims too little. Where it
cannot (WebM, or anything else), both are what the lowest rate allows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from tinytag import TinyTag

from server.wire.mpeg import Walked, walked

INLINE_SOUND = 64 << 10  # bytes that are looked at in a millisecond or two
LOWEST_RATE = 6_000  # bits a second: speech in Opus at its least
HIGHEST_RATE = 6_144_000  # two channels of 32 bits at 96 kHz
MARGIN = 2
MOST_CHUNKS = 1_000  # before the sound itself: more is no recording
_PLAIN = (1, 3, 0xFFFE)  # the codes of uncompressed sound in WAV


@dataclass(frozen=True, slots=True)
class Sound:
    """Milliseconds: at least, as it seems, at most."""

    least_ms: int
    ms: int
    most_ms: int


@dataclass(frozen=True, slots=True)
class _Rates:
    """Bits a second of a container, lowest and highest."""

    lowest: int
    highest: int


# By the first bytes. MPEG audio has frames of 8 to 320 kbit/s, and FLAC packs silence without end.
_MPEG = (b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2")
_SLOWEST_FRAMES = 8_000
_CONTAINERS: tuple[tuple[bytes, _Rates], ...] = (
    *((head, _Rates(_SLOWEST_FRAMES, 320_000)) for head in _MPEG),
    (b"OggS", _Rates(LOWEST_RATE, 512_000)),
    (b"fLaC", _Rates(8_000, HIGHEST_RATE)),
)
_OTHER = _Rates(LOWEST_RATE, HIGHEST_RATE)


def sound_of(data: bytes) -> Sound:
    """How long a recording is. Never raises on odd bytes."""
    if (plain := _plain_wav(data)) is not None:
        return Sound(plain, plain, plain)
    if data.startswith(_MPEG) and (frames := walked(data)) is not None:
        return _of_frames(frames)
    rates = next((rates for head, rates in _CONTAINERS if data.startswith(head)), _OTHER)
    least, most = _ms(data, rates.highest), _ms(data, rates.lowest)
    claimed = _claimed(data)
    if claimed is None:
        return Sound(least, most, most)
    believed = min(max(claimed, least), most)
    return Sound(least, believed, min(most, MARGIN * believed))


def _of_frames(frames: Walked) -> Sound:
    """The length by the frames that were read; the rest is as dense as they are, or as slow as a frame can be."""
    seen = round(frames.seconds * 1_000)
    ms = seen + round(frames.seconds * 1_000 * frames.left / frames.seen)
    return Sound(seen, ms, max(ms, seen + frames.left * 8_000 // _SLOWEST_FRAMES))


def _ms(data: bytes, rate: int) -> int:
    return -(-len(data) * 8_000 // rate)


def _claimed(data: bytes) -> int | None:
    try:
        seconds = TinyTag.get(file_obj=BytesIO(data), tags=False).duration
    except Exception:  # whatever a foreign parser makes of foreign bytes: then nothing is known
        return None
    return round(seconds * 1000) if seconds is not None and 0 < seconds < 1e9 else None


def _plain_wav(data: bytes) -> int | None:
    """The length of uncompressed WAV; None if it is something else.

    Its bytes a second are reckoned from rate, channels and bits, as decoders do, and not read from the field of that
    name; and all that follows the head of the data counts, whatever length that claims.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    a_second = 0
    for name, begins, length in _chunks(data):
        if name == b"fmt " and length >= 16 and begins + 16 <= len(data):
            form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, begins)
            a_second = rate * channels * -(-bits // 8) if form in _PLAIN else 0
        elif name == b"data":
            return -(-(len(data) - begins) * 1_000 // a_second) if a_second else None
    return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of the parts of a RIFF file."""
    at = 12
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(data):
            return
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, length
        at += 8 + length + length % 2
