"""No request, however it is made, keeps the event loop from its streams for a tenth of a second.

What is measured is the processor time that the loop's thread used between two looks at the clock, and not the time
that went by: a busy machine must not fail a test.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest

from tests.fakes.fates import context_too_long
from tests.hostile.http_raw import chunked, request
from tests.hostile.site import CHAT, ROUTES, Site, site
from tests.hostile.test_bodies import FIELDS, LIMIT, MODELS, NOT_JSON, TOO_COMPLEX, WRONG, document

pytestmark = pytest.mark.slow

BAR = 0.1  # seconds of processor time
LOOK = 0.001  # seconds between two looks
SPEECH = "/v1/audio/transcriptions"


class Ticker:
    """Looks at the clock on a loop, again and again."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last: float | None = None

    async def look(self) -> None:
        while True:
            now = time.thread_time()
            if self._last is not None:
                self.longest = max(self.longest, now - self._last)
            self._last = now
            await asyncio.sleep(LOOK)


@contextmanager
def ticking(services: Site) -> Iterator[Ticker]:
    """Have the gateway's loop watched; nothing that happens in here may hold it up.

    The collector of garbage rests: what it looks through are the objects of all tests before, not the gateway's.
    """
    ticker = Ticker()
    task = asyncio.run_coroutine_threadsafe(ticker.look(), services.inside.loop)
    gc.disable()
    try:
        yield ticker
    finally:
        gc.enable()
        task.cancel()
    assert ticker.longest < BAR


def padded(path: str, prefix: bytes, unit: bytes, suffix: bytes) -> bytes:
    """A proper body and one field more, as long as a body may be."""
    head = orjson.dumps(document(path))[:-1] + b',"x":' + prefix
    room = LIMIT - len(head) - len(suffix) - 1
    return head + unit * (room // len(unit)) + suffix + b"}"


def prompt(path: str, text: str) -> bytes:
    return orjson.dumps({"model": MODELS[path], "max_tokens": 5, "messages": [{"role": "user", "content": text}]})


LARGE = {
    "one long text": (b'"', b"x", b'"'),
    "backslashes": (b'"', b"\\\\", b'"'),
    "escaped quotes": (b'"', b'\\"', b'"'),
    "escaped characters": (b'"', b"\\u00e9", b'"'),
    "many short texts": (b'[""', b',""', b"]"),
    "many brackets": (b"", b"[", b""),
    "brackets in a text": (b'"', b"[{", b'"'),
    "colons": (b"{", b":", b"}"),
    "commas": (b"[", b",", b"]"),
    "blanks": (b"[", b" ", b"]"),
    "one long number": (b"", b"1", b""),
    "numbers": (b"[1", b",1", b"]"),
    "characters of four bytes": (b'"', "😀".encode(), b'"'),
    "bytes that are no text": (b'"', b"\xff", b'"'),
}
JUST_ALLOWED = {
    "50,000 objects": b"[" + b",".join([b"{}"] * 49_000) + b"]",
    "50,000 objects with members": b"[" + b",".join([b'{"a":1,"b":2}'] * 49_000) + b"]",
    "49,000 lists, each 60 deep": b"[" + b",".join([b"[" * 60 + b"]" * 60] * 800) + b"]",
    "190,000 texts": b"[" + b",".join([b'"a"'] * 190_000) + b"]",
    "190,000 members": b"{" + b",".join(b'"%d":1' % n for n in range(190_000)) + b"}",
    "590,000 numbers": b"[" + b",".join([b"1"] * 590_000) + b"]",
    "590,000 long numbers": b"[" + b",".join([b"1.23456789e5"] * 590_000) + b"]",
}


@pytest.fixture(scope="module")
def services() -> Iterator[Site]:
    """A gateway whose upstream refuses everything: the fake would think for a minute about a megabyte of blanks."""
    with site() as built:
        built.fake.script(None, context_too_long().for_ever())
        yield built


def ask(services: Site, data: bytes) -> None:
    """Send a request that goes as far as to the upstream, and wait until all is done."""
    before = len(services.fake.records)
    with ticking(services):
        reply = services.ask(data)
        services.rest()
    assert reply is not None
    assert reply.status == 400
    assert len(services.fake.records) == before + 1


@pytest.mark.parametrize("path", ROUTES)
def test_the_whole_list_of_bad_bodies(services: Site, path: str) -> None:
    bodies = [*NOT_JSON.values(), *TOO_COMPLEX.values()]
    bodies += [orjson.dumps(document(path, **FIELDS[name][0])) for where, name in WRONG if where == path]
    with services.untouched(), ticking(services):
        for body in bodies:
            reply = services.post(path, body)
            assert reply is not None
            assert 400 <= reply.status < 500


@pytest.mark.parametrize("in_chunks", [False, pytest.param(True, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", LARGE)
def test_bodies_of_eight_megabytes(services: Site, name: str, in_chunks: bool) -> None:
    send_large(services, name, in_chunks)


@pytest.mark.parametrize("name", ["one long text", "many brackets", "numbers"])
def test_bodies_of_eight_megabytes_in_chunks(services: Site, name: str) -> None:
    """Chunks are put together before anything looks at what is in them."""
    send_large(services, name, in_chunks=True)


def send_large(services: Site, name: str, in_chunks: bool) -> None:
    body = padded(CHAT, *LARGE[name])
    if in_chunks:
        data = request("POST", CHAT, services.headers(Transfer_Encoding="chunked")) + chunked(body)
    else:
        data = request("POST", CHAT, services.headers(), body)
    with ticking(services):
        reply = services.ask(data)
        assert reply is not None
        assert reply.status == 400
        services.rest()


@pytest.mark.parametrize(
    "field", ["tools", *(pytest.param(each, marks=pytest.mark.soak) for each in ("x", "metadata"))]
)
@pytest.mark.parametrize("name", JUST_ALLOWED)
def test_bodies_that_are_just_not_too_complex(services: Site, name: str, field: str) -> None:
    body = orjson.dumps(document(CHAT))[:-1] + b',"%b":%b}' % (field.encode(), JUST_ALLOWED[name])
    ask(services, request("POST", CHAT, services.headers(), body))


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", JUST_ALLOWED)
def test_messages_that_are_just_not_too_complex(services: Site, path: str, name: str) -> None:
    body = prompt(path, "PLACE").replace(b'"PLACE"', JUST_ALLOWED[name])
    ask(services, request("POST", path, services.headers(), body))


@pytest.mark.parametrize("text", ["x", "x ", "\n", "é", "漢", "<|endoftext|>", " "])
@pytest.mark.parametrize("path", ROUTES)
def test_prompts_of_a_megabyte(services: Site, path: str, text: str) -> None:
    ask(services, request("POST", path, services.headers(), prompt(path, text * (1_000_000 // len(text)))))


@pytest.mark.parametrize(
    "part",
    [
        b'Content-Disposition: form-data; x="' + b";" * 100_000 + b'"; name="a"\r\n\r\nb',
        b'Content-Disposition: form-data; x="' + b"\\" * 100_001 + b'"; name="a"\r\n\r\nb',
        b"Content-Disposition: form-data" + b"; a=b" * 100_000 + b"\r\n\r\nb",
        b"X: " + b"y" * 8_000_000 + b"\r\n\r\nb",
        b"\r\n" * 4_000_000,
        b"\r\n--1234" * 800_000,
    ],
    ids=["semicolons", "backslashes", "parameters", "a long head", "line breaks", "boundaries"],
)
def test_forms(services: Site, part: bytes) -> None:
    body = b"--1234\r\n" + part + b"\r\n--1234--\r\n"
    with services.untouched(), ticking(services):
        reply = services.post(SPEECH, body, Content_Type="multipart/form-data; boundary=1234")
        assert reply is not None
        assert reply.status == 400
