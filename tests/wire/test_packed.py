"""Packed bodies are unpacked as they come, in pieces of a bounded size."""

from __future__ import annotations

import gzip
import sys
import zlib

import brotli  # type: ignore[import-untyped]  # it has no stubs
import pytest

from server.wire.packed import LONGEST_PIECE, Damaged, Dropping, UnknownEncoding, Unpacker, unpacker_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b'data: {"choices":[]}\n\n' * 400


def raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "x-gzip": ("X-GZIP", gzip.compress(TEXT)),
    "gzip in two members": ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "gzip with zeros behind it": ("gzip", gzip.compress(TEXT) + bytes(512)),
    "gzip among others that are none": ("identity, gzip", gzip.compress(TEXT)),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "deflate without zlib's frame": ("deflate", raw(TEXT)),
    "zstd": ("zstd", zstd.compress(TEXT)),
    "zstd in two frames": ("zstd", zstd.compress(TEXT[:100]) + zstd.compress(TEXT[100:])),
    "zstd with zeros behind it": ("zstd", zstd.compress(TEXT) + bytes(512)),
    "br": ("br", brotli.compress(TEXT)),
}


def unpacked(unpacker: Unpacker, packed: bytes, size: int) -> bytes:
    out = b""
    for start in range(0, len(packed), size):
        unpacker.feed(packed[start : start + size])
        while piece := unpacker.take():
            assert len(piece) <= LONGEST_PIECE
            out += piece
    return out


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("name", PACKED)
def test_however_it_is_chopped_the_same_comes_out(name: str, size: int) -> None:
    encoding, packed = PACKED[name]
    unpacker = unpacker_of(encoding)
    assert unpacker is not None
    assert unpacked(unpacker, packed, size) == TEXT
    assert unpacker.complete


@pytest.mark.parametrize("encoding", ["", "identity", "none", "None", " identity , none"])
def test_what_names_no_encoding_is_not_packed(encoding: str) -> None:
    assert unpacker_of(encoding) is None


@pytest.mark.parametrize("encoding", ["compress", "gzip, gzip", "zstd, br", "aws-chunked", "utf-8"])
def test_an_encoding_that_cannot_be_read_is_said_to_be_one(encoding: str) -> None:
    with pytest.raises(UnknownEncoding):
        unpacker_of(encoding)


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate without zlib's frame", "zstd", "br"])
def test_a_body_that_breaks_off_is_not_complete(name: str) -> None:
    encoding, packed = PACKED[name]
    unpacker = Unpacker(encoding)
    assert unpacker.complete, "a body without a byte needs no end"
    assert TEXT.startswith(unpacked(unpacker, packed[:-9], 16))
    assert not unpacker.complete


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "br"])
def test_what_is_not_packed_is_damaged(encoding: str) -> None:
    unpacker = Unpacker(encoding)
    unpacker.feed(b'{"id": "chatcmpl-1"}' * 10)
    with pytest.raises(Damaged):
        unpacker.take()


ZEROS = bytes(10 << 20)
BOMBS = {
    "gzip": gzip.compress(ZEROS, 1),
    "deflate": zlib.compress(ZEROS, 1),
    "zstd": zstd.compress(ZEROS),
    "br": brotli.compress(ZEROS, quality=1),
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_a_bomb_goes_off_piece_by_piece(encoding: str) -> None:
    unpacker = Unpacker(encoding)
    unpacker.feed(BOMBS[encoding])
    taken = [len(unpacker.take()) for _ in range(4)]
    assert all(LONGEST_PIECE // 2 < each <= LONGEST_PIECE for each in taken), "no more is unpacked than is asked for"


@pytest.mark.parametrize("encoding", BOMBS)
def test_what_is_longer_than_a_piece_comes_out_whole(encoding: str) -> None:
    unpacker = Unpacker(encoding)
    assert len(unpacked(unpacker, BOMBS[encoding], len(BOMBS[encoding]))) == len(ZEROS)
    assert unpacker.complete


FLUSHING = {
    "gzip": (
        lambda: zlib.compressobj(wbits=31),
        lambda packer, text: packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH),
    ),
    "zstd": (zstd.ZstdCompressor, lambda packer, text: packer.compress(text, zstd.ZstdCompressor.FLUSH_BLOCK)),
    "br": (brotli.Compressor, lambda packer, text: packer.process(text) + packer.flush()),
}


@pytest.mark.parametrize("encoding", FLUSHING)
def test_an_event_comes_out_as_soon_as_it_was_flushed(encoding: str) -> None:
    make, flushed = FLUSHING[encoding]
    packer, unpacker = make(), Unpacker(encoding)
    for event in (b"data: one\n\n", b"data: two\n\n"):
        unpacker.feed(flushed(packer, event))
        assert unpacker.take() == event
        assert unpacker.take() == b""


def test_what_cannot_be_unpacked_can_be_read_to_its_end() -> None:
    dropping = Dropping()
    dropping.feed(b"\x8b" * 100)  # an unknown packing
    assert (dropping.take(), dropping.complete) == (b"", True)
