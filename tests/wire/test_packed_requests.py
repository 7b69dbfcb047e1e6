"""Packed bodies: what honest clients send is unpacked, and never more than is allowed."""

from __future__ import annotations

import gzip
import sys
import zlib

import brotli  # type: ignore[import-untyped]  # it has no stubs
import pytest

from server.wire.errors import InvalidValue, TooLarge, UnsupportedMedia
from server.wire.packed import MOST_MEMBERS, coding_of, unpacked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PLAIN = b'{"model": "m", "input": "' + b"x" * 5_000 + b'"}'


def bare(plain: bytes) -> bytes:
    """Deflate without zlib's head, as some clients send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(plain) + packer.flush()


PACKED = {
    "gzip": ("gzip", gzip.compress(PLAIN)),
    "gzip by its old name": ("x-gzip", gzip.compress(PLAIN)),
    "gzip in members": ("gzip", gzip.compress(PLAIN[:99]) + gzip.compress(b"") + gzip.compress(PLAIN[99:])),
    "deflate": ("deflate", zlib.compress(PLAIN)),
    "deflate, hardly packed": ("deflate", zlib.compress(PLAIN, 0)),
    "bare deflate": ("deflate", bare(PLAIN)),
    "zstd": ("zstd", zstd.compress(PLAIN)),
    "zstd in frames": ("zstd", zstd.compress(PLAIN[:99]) + zstd.compress(PLAIN[99:])),
    "br": ("br", brotli.compress(PLAIN)),
}
EVERY = pytest.mark.parametrize(("coding", "body"), PACKED.values(), ids=PACKED)
BOMBS = {
    "gzip": gzip.compress(bytes(1 << 24)),
    "deflate": zlib.compress(bytes(1 << 24)),
    "zstd": zstd.compress(bytes(1 << 24)),
    "br": brotli.compress(bytes(1 << 24), quality=1),
}


@EVERY
def test_a_packed_body_is_unpacked_up_to_the_very_bound(coding: str, body: bytes) -> None:
    assert unpacked(body, coding, len(PLAIN)) == PLAIN
    with pytest.raises(TooLarge):
        unpacked(body, coding, len(PLAIN) - 1)


@EVERY
@pytest.mark.parametrize("damage", ["cut", "longer", "empty", "another thing"])
def test_what_is_damaged_is_refused(coding: str, body: bytes, damage: str) -> None:
    damaged = {"cut": body[:-1], "longer": body + b"x", "empty": b"", "another thing": b"{}"}[damage]
    with pytest.raises(InvalidValue) as refusal:
        unpacked(damaged, coding, 1 << 20)
    assert refusal.value.param == "body"


@pytest.mark.parametrize("coding", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(coding: str) -> None:
    with pytest.raises(TooLarge):
        unpacked(BOMBS[coding], coding, 1 << 16)


def test_a_body_of_many_members_is_refused() -> None:
    member = gzip.compress(b"")
    assert unpacked(member * MOST_MEMBERS, "gzip", 10) == b""
    with pytest.raises(TooLarge):
        unpacked(member * (MOST_MEMBERS + 1), "gzip", 10)


@pytest.mark.parametrize(
    ("header", "coding"),
    [(None, ""), ("", ""), ("identity", ""), ("GZIP ", "gzip"), ("zstd", "zstd"), ("br", "br"), ("deflate", "deflate")],
)
def test_a_coding_is_known_by_its_name(header: str | None, coding: str) -> None:
    assert coding_of(header) == coding
    assert unpacked(b"{}", "", 0) == b"{}", "a plain body has been measured already"


@pytest.mark.parametrize("header", ["compress", "gzip, gzip", "gzip;q=1", "x" * 1_000, "gz\x00ip"])
def test_any_other_coding_is_refused(header: str) -> None:
    with pytest.raises(UnsupportedMedia):
        coding_of(header)
