"""Requests that are nearly right: a seed gives one, by small changes at the places where servers differ."""

from __future__ import annotations

from random import Random

RIGHT = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /v1/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Y: z\r\n\r\nhello",
    b"POST /v1/chat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n"
    b"1\r\n\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
    b"HEAD /a?b=c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nAccept:\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil.example\r\n\r\n"[:-2],
)
PIECES = (
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b" ", b"\t", b":", b",", b";", b"\x00", b"\x0b", b"\x0c", b"\x1b",
    b"\x7f", b"\x85", b"\xa0", b"\xff", b"0", b"1", b"5", b"a", b"F", b"+", b"-", b"_", b"x", b"0x", b"#", b"?", b"/",
    b"*", b'"', b";a=b", b"chunked", b"Chunked", b"identity", b"gzip, ", b", chunked", b"HTTP/1.0", b"HTTP/1.1",
    b"HTTP/2.0", b"HTTP/0.9", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"content-length: 7\r\n",
    b"Content-Length : 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding : chunked\r\n",
    b"transfer-encoding:\tchunked\r\n", b"Transfer-Encoding:\r\n chunked\r\n", b"Host: b\r\n", b"Connection: close\r\n",
    b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"X: y\r\n", b" X: y\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n",
    b"5\r\nhello\r\n", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)  # fmt: skip


def nearly_right(seed: int) -> bytes:
    """What a client sends: one to three requests, changed at a place or two."""
    chance = Random(seed)
    data = bytearray(b"".join(chance.choices(RIGHT, k=chance.choice((1, 1, 2, 3)))))
    for _ in range(chance.choice((1, 1, 2, 3))):
        _change(data, chance)
    return bytes(data)


def cut(data: bytes, seed: int) -> list[bytes]:
    """The same in pieces, as a network might bring it."""
    chance = Random(seed)
    places = sorted(chance.choices(range(len(data) + 1), k=chance.choice((1, 2, 5, 20))))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def _change(data: bytearray, chance: Random) -> None:
    at, piece = _place(data, chance), chance.choice(PIECES)
    match chance.randrange(5):
        case 0 | 1:
            data[at:at] = piece
        case 2:
            data[at : at + len(piece)] = piece
        case 3:
            del data[at : at + chance.choice((1, 1, 2, 5))]
        case _:
            end = at + chance.randrange(1, 30)
            data[at:at] = data[at:end]


def _place(data: bytearray, chance: Random) -> int:
    """Anywhere, but more often at a line's end or at its colon, where it matters."""
    marks = [at for at, byte in enumerate(data) if byte in b"\r\n: "]
    if marks and chance.random() < 0.7:
        return chance.choice(marks) + chance.choice((0, 0, 1))
    return chance.randrange(len(data) + 1)
