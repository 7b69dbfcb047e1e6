"""Recordings for tests: plain WAV of any length, and heads of other containers."""

from __future__ import annotations

import struct


def wav(seconds: float, rate: int = 8_000, channels: int = 1, bits: int = 8, **lies: int) -> bytes:
    """Silence. `lies` replace what the head says: `bytes_a_second`, `length`; `before` puts another part in front."""
    size = int(seconds * rate) * channels * bits // 8
    a_second = lies.get("bytes_a_second", rate * channels * bits // 8)
    head = struct.pack("<HHIIHH", 1, channels, rate, a_second, channels * bits // 8, bits)
    parts = b"fmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", lies.get("length", size))
    if "before" in lies:  # a part that looks like another head
        decoy = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, 96_000, 768_000, 8, 32)
        parts = b"LIST" + struct.pack("<I", len(decoy)) + decoy + parts
    return b"RIFF" + struct.pack("<I", len(parts) + 4 + size) + b"WAVE" + parts + bytes(size)


def opus(seconds: int, padding: int = 0) -> bytes:
    """An Ogg file whose last page claims so many seconds, with as many more bytes."""
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 48_000, 0, 0)
    return _page(2, 0, head) + bytes(0) + _page(4, seconds * 48_000, bytes(200)) * 1 + bytes(padding)


def _page(flags: int, granule: int, payload: bytes) -> bytes:
    head = b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, 1, 0, 0, 1)
    return head + bytes([min(len(payload), 255)]) + payload


def mp3(seconds: float) -> bytes:
    """MPEG-1 layer III, 128 kbit/s, 44.1 kHz: frames of 417 bytes, 26 milliseconds each."""
    frame = b"\xff\xfb\x90\xc0" + bytes(413)
    return frame * round(seconds * 44_100 / 1_152)


def slow_mp3(seconds: float) -> bytes:
    """MPEG-2.5 layer III, 8 kbit/s, 8 kHz: frames of 72 bytes, 72 milliseconds each."""
    frame = b"\xff\xe3\x18\xc0" + bytes(68)
    return frame * round(seconds * 8_000 / 576)


def claims(frames: int) -> bytes:
    """A first frame of 417 bytes that claims a number of frames for the whole file (Xing)."""
    head = b"\xff\xfb\x90\xc0" + bytes(17) + b"Xing" + struct.pack(">II", 1, frames)
    return head + bytes(417 - len(head))
