"""A refusal is heard, whatever its request's body looks like and however much of it is still on its way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import openai
import pytest

from server.config.specs import Secret
from tests.hostile.catalogue import KEY, SIZE, URL, Answer, assert_is, not_allowed
from tests.hostile.http_raw import Wire, chunked, request
from tests.hostile.site import CHAT, MESSAGES, TRANSPORTS, Site, site
from tests.hostile.test_held_bytes import held

AUDIO = "/v1/audio/transcriptions"
LARGE = 6 << 20  # bytes: more than the sockets' buffers take


@pytest.fixture(scope="module", params=TRANSPORTS)
def patient(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A gateway that reads little behind a refusal, and small bodies only."""
    most = {"linger_bytes": 1 << 20, "linger_seconds": 0.3, "max_body_bytes": 1024}
    with site(transport=request.param, admin_key=Secret("k" * 32), **most) as built:
        yield built


REFUSED: dict[str, tuple[str, str, bool, Answer]] = {  # method, path, whether a token is shown, what is heard
    "no such route": ("POST", "/v1/files", True, URL),
    "no such route, put": ("PUT", "/nowhere", False, URL),
    "another method": ("PUT", CHAT, True, not_allowed("POST")),
    "another method of a page": ("DELETE", "/healthz", False, not_allowed("GET", "HEAD")),
    "no token": ("POST", CHAT, False, KEY),
    "no token, anthropic": ("POST", MESSAGES, False, KEY),
}


def headers_for(services: Site, known: bool, **more: str) -> dict[str, str]:
    given = services.headers() if known else services.from_elsewhere()
    return given | {name.replace("_", "-"): value for name, value in more.items()}


@pytest.mark.parametrize("media", ["application/json", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_small_body_is_read_first_and_the_connection_serves_on(
    services: Site, name: str, framing: str, media: str
) -> None:
    method, path, known, answer = REFUSED[name]
    headers, body = headers_for(services, known, Content_Type=media), b"x" * 5000
    if framing == "length":
        data = request(method, path, headers, body)
    else:
        data = request(method, path, headers | {"Transfer-Encoding": "chunked"}) + chunked(body)
    with services.untouched(), Wire(services.url) as wire:
        for _ in range(2):  # also the second one, which was sent behind the first
            wire.send(data + data)
            for _ in range(2):
                reply = wire.reply()
                assert_is(reply, answer, path)
                assert reply is not None
                assert "connection" not in reply.headers


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_large_body_is_read_behind_the_answer(services: Site, name: str, framing: str) -> None:
    """The client sends everything before it reads, as most do. What it sends behind that is no request any more."""
    method, path, known, answer = REFUSED[name]
    headers, body = headers_for(services, known), b"x" * LARGE
    if framing == "length":
        data = request(method, path, headers, body)
    else:
        data = request(method, path, headers | {"Transfer-Encoding": "chunked"}) + chunked(body)
    with services.untouched(), Wire(services.url) as wire:
        wire.send_all(data + request("GET", "/healthz", {}))
        reply = wire.reply()
        assert_is(reply, answer, path)
        assert reply is not None
        assert reply.headers["connection"] == "close"
        assert wire.rest() == b""


def test_a_body_that_is_too_large_is_refused_and_read(services: Site) -> None:
    body = b"x" * (9 << 20)
    with services.untouched(), Wire(services.url) as wire:
        wire.send_all(request("POST", CHAT, services.headers(), body))
        assert_is(wire.reply(), SIZE, CHAT)
    with services.untouched(), Wire(services.url) as wire:
        wire.send_all(request("POST", CHAT, services.headers(Transfer_Encoding="chunked")) + chunked(body))
        assert_is(wire.reply(), SIZE, CHAT)


def test_a_body_that_is_small_and_too_large_is_read_first(patient: Site) -> None:
    with patient.untouched(), Wire(patient.url) as wire:
        for _ in range(2):
            wire.send(request("POST", CHAT, patient.headers(), b"x" * 2000))
            reply = wire.reply()
            assert_is(reply, SIZE, CHAT)
            assert reply is not None
            assert "connection" not in reply.headers


@pytest.mark.parametrize("name", REFUSED)
def test_who_waits_to_be_allowed_to_send_is_refused_without_a_byte(services: Site, name: str) -> None:
    method, path, known, answer = REFUSED[name]
    headers = headers_for(services, known, Expect="100-continue", Content_Length="5000")
    with services.untouched(), Wire(services.url) as wire:
        wire.send(request(method, path, headers))
        assert_is(wire.reply(), answer, path)
        assert wire.rest() == b""


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["length", "chunks", "chunks without an end"])
def test_what_is_read_behind_a_refusal_is_bounded(patient: Site, framing: str) -> None:
    """Both in bytes and in time: who sends for ever is hung up on, and who says nothing more, too."""
    head = patient.from_elsewhere()
    if framing == "length":
        data = request("POST", "/nowhere", head | {"Content-Length": str(1 << 39)})
    else:
        data = request("POST", "/nowhere", head | {"Transfer-Encoding": "chunked"})
    with patient.untouched(), Wire(patient.url) as wire:
        wire.send(data)
        piece = b"10000\r\n" + b"x" * (1 << 16) + b"\r\n" if framing == "chunks without an end" else b"x" * (1 << 16)
        if framing == "chunks":
            wire.send(b"20000\r\n" + b"x" * (1 << 17))  # more than is small, and nothing more
            assert_is(wire.reply(), URL, "/nowhere")
            assert wire.rest() == b""
            return
        assert wire.sends_until_refused(piece, most=1 << 27)


@pytest.mark.slow
def test_a_small_body_that_does_not_come_is_not_waited_for(services: Site) -> None:
    for framing in ({"Content-Length": "100"}, {"Transfer-Encoding": "chunked"}):
        with services.untouched(), Wire(services.url) as wire:
            wire.send(request("POST", CHAT, services.from_elsewhere() | framing))
            assert_is(wire.reply(), KEY, CHAT)
            assert wire.rest() == b""


def test_many_who_upload_to_nowhere_hold_nothing_and_leave_nothing(services: Site) -> None:
    wires = [Wire(services.url) for _ in range(100)]
    with services.untouched():
        for wire in wires:
            wire.send(request("POST", "/nowhere", services.from_elsewhere() | {"Content-Length": str(26 << 20)}) + b"x")
        for wire in wires:
            assert_is(wire.reply(), URL, "/nowhere")
            assert held(services) == 0
            wire.close()


# The official SDK


def client_of(services: Site, prefix: str = "/v1") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{services.url}{prefix}", api_key=services.token, max_retries=0)


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, LARGE])
@pytest.mark.parametrize("prefix", ["", "/v1", "/v1/v2"])
def test_an_upload_of_the_sdk_to_an_unserved_url_says_that_it_is_not_served(
    services: Site, prefix: str, size: int
) -> None:
    with client_of(services, prefix) as client:
        with pytest.raises(openai.NotFoundError) as files:
            client.files.create(file=("a.jsonl", b"x" * size), purpose="batch")
        with pytest.raises(openai.NotFoundError) as parts:
            client.uploads.parts.create("upload_1", data=b"x" * size)
    for each in (files, parts):
        assert each.value.body is not None
        assert json.loads(each.value.response.content)["error"]["code"] == "unknown_url"


@pytest.mark.slow
def test_an_upload_of_the_sdk_without_a_token_or_too_large_says_so(services: Site) -> None:
    stranger = openai.OpenAI(base_url=f"{services.url}/v1", api_key="wrong", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError):
        stranger.audio.transcriptions.create(file=("a.mp3", b"x" * LARGE), model="whisper-1")
    with client_of(services) as client, pytest.raises(openai.APIStatusError) as large:
        client.audio.transcriptions.create(file=("a.mp3", b"x" * (27 << 20)), model="whisper-1")
    assert large.value.status_code == 413


def test_a_client_that_does_not_look_before_it_has_sent_hears_it_over_http1_streams(services: Site) -> None:
    """An upload as a stream comes in chunks: httpx knows no length of it."""

    def pieces() -> Iterator[bytes]:
        for _ in range(LARGE >> 16):
            yield b"x" * (1 << 16)

    with httpx.Client() as client:
        answer = client.post(f"{services.url}/v1/uploads", content=pieces(), headers=services.from_elsewhere())
    assert answer.status_code == 404


def holds(services: Site, size: int) -> bool:
    """Whether so many bytes come to be held within some seconds."""
    for _ in range(2000):
        if held(services) == size:
            return True
        time.sleep(0.005)  # the gateway runs in another thread, and announces no change of what it holds
    return False


def test_who_resets_the_connection_in_the_middle_leaves_nothing_behind(services: Site) -> None:
    with services.untouched():
        wire = Wire(services.url)
        wire.send(request("POST", CHAT, services.headers(Content_Length="1000000")) + b"x" * 1000)
        assert holds(services, 1_000_000)
        wire.reset()
        assert holds(services, 0)
        for path, headers in ((CHAT, services.headers()), ("/nowhere", services.from_elsewhere())):
            wire = Wire(services.url)
            wire.send(request("POST", path, headers | {"Content-Length": "1000000"}) + b"x" * 1000)
            wire.reset()  # before anybody has looked at it
        assert services.ask(request("GET", "/healthz", {})) is not None
        assert holds(services, 0)
