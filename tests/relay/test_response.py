"""What an exchange does in which order: money before the last words, and a flow pays while it is served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from server.ledger.usage import Outcome
from server.relay.response import Response
from server.relay.straight import CHARGE_EVERY
from server.upstream import AttemptFailed, Broken
from server.wire.endpoints import ENDPOINTS

PATH = "/v1/chat/completions"
WORD = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"w"}}]}\n\n'
STOP = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}\n\n'
DONE = b"data: [DONE]\n\n"
EVENTS = "text/event-stream"
PLAIN = (
    b'{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":'
    b'"w"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}'
)


@dataclass
class Scene:
    """One exchange whose parts write down what happens to them."""

    pieces: list[bytes]
    media_type: str
    log: list[str] = field(default_factory=list)
    sent: bytes = b""
    started: bool = False
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    # The answer

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    async def pour(self, taker: Callable[[bytes], bool]) -> None:
        while self.pieces and taker(self.pieces.pop(0)):
            pass

    async def peek(self, most: int) -> bytes:
        return self.pieces[0][:most]

    async def whole(self, longest: int) -> bytes:
        return b"".join(self.pieces)

    # The sink

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.started = True

    async def send(self, chunk: bytes, *, between: bool = True) -> None:
        self.sent += chunk
        self.log.append("last words" if DONE in chunk or b"finish_reason" in chunk else "words")

    def send_now(self, chunk: bytes, *, between: bool) -> bool:
        self.sent += chunk
        self.log.append("words")
        return True

    def end(self) -> None:
        self.log.append("end")

    # The heart, the ledger and the lease

    async def stop(self) -> None:
        pass

    async def rest(self) -> None:
        pass

    async def settle(self, context: object) -> None:
        self.log.append("settled")

    def charge(self, output: int) -> None:
        self.log.append(f"charged {output}")

    def run(self) -> Any:
        endpoint = ENDPOINTS[PATH]
        request = SimpleNamespace(endpoint=endpoint, hides_usage=False, stream=self.media_type == EVENTS, added=())
        context = SimpleNamespace(
            call=SimpleNamespace(request=request, asked=request, reader=None),
            meter=endpoint.meter(),
            lease=SimpleNamespace(
                key=SimpleNamespace(id="k1"),
                answered=lambda limits: None,
                progress=self.charge,
                queue_seconds=0.0,
                position=0,
            ),
            trace=SimpleNamespace(attempts=[]),
            bill=SimpleNamespace(headers={}),
            runs_on=False,
            first_byte=None,
            outcome=None,
            shorter=None,
            room=None,
            streamed=False,
        )
        me = cast(Any, self)
        sent = cast(Any, context).call.request
        exchange = Response(cast(Any, context), sent, me, me, me, self.settle, 10**6, 30.0, lambda: 1.0, lambda: 1000)
        asyncio.run(exchange.run())
        return context


@pytest.mark.parametrize(
    "pieces",
    [[WORD, STOP, USAGE, DONE], [WORD + STOP + USAGE + DONE], [WORD, STOP + USAGE, DONE], [WORD, STOP, USAGE + DONE]],
    ids=["each apart", "all at once", "the usage with the stop", "the usage with the end"],
)
def test_the_ledger_has_a_stream_before_its_last_words_go_out(pieces: list[bytes]) -> None:
    scene = Scene(list(pieces), EVENTS)
    assert scene.run().outcome is Outcome.COMPLETED
    end = scene.sent.index(DONE)
    assert end >= 0, "the client has read it to its end"
    assert scene.log.count("settled") == 1
    assert scene.log.index("settled") < len(scene.log) - 1 - scene.log[::-1].index("last words")


@pytest.mark.parametrize("missing", [1, 2])
def test_a_last_word_without_the_empty_line_behind_it_ends_a_stream_as_well(missing: int) -> None:
    """And who did not ask for the usage sees none of it."""
    scene = Scene([WORD, STOP, USAGE[:-missing]], EVENTS)
    context = scene.run()
    assert context.outcome is Outcome.COMPLETED
    assert context.meter.usage is not None
    assert scene.log.count("settled") == 1


def test_the_ledger_has_a_plain_answer_before_any_of_it_goes_out() -> None:
    scene = Scene([PLAIN], "application/json")
    assert scene.run().outcome is Outcome.COMPLETED
    assert scene.log == ["settled", "last words", "end"]


def test_a_flow_is_charged_while_its_answer_still_comes() -> None:
    words = 3 * CHARGE_EVERY + 1
    scene = Scene([*[WORD] * words, STOP, USAGE, DONE], EVENTS)
    scene.run()
    charges = [each for each in scene.log if each.startswith("charged")]
    assert charges == [f"charged {number * CHARGE_EVERY}" for number in (1, 2, 3)]
    assert scene.log.index(charges[0]) < scene.log.index("settled")
    assert scene.log.index(charges[0]) == CHARGE_EVERY, "as soon as it has grown so far"


ROLE = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'
ERROR = b'{"error":{"message":"no","type":"server_error","code":"server_error"}}'
SAID = b"data: " + ERROR + b"\n\n"
WITH_FIGURES = ERROR[:-1] + b',"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}'
JSON = "application/json"


@dataclass
class Breaking(Scene):
    """One whose answer breaks off behind its pieces."""

    async def read(self) -> bytes:
        if not self.pieces:
            raise Broken
        return self.pieces.pop(0)

    async def whole(self, longest: int) -> bytes:
        raise Broken

    async def beginning(self) -> bytes:
        return b"".join(self.pieces)


# What came of an attempt's answer; whether it had begun, and whether nothing was heard of it.
FAILED: dict[str, tuple[Scene, bool, bool]] = {
    "a role, and an error": (Scene([ROLE, SAID], EVENTS), True, False),
    "a role, and the end": (Scene([ROLE], EVENTS), True, True),
    "a role, and the connection breaks": (Breaking([ROLE], EVENTS), True, False),
    "a good head, and the connection breaks": (Breaking([b": wait\n\n"], EVENTS), True, False),
    "half of a plain answer": (Breaking([], JSON), True, False),
    "a plain answer without its end": (Scene([PLAIN[:90]], JSON), True, False),
    "an error with figures": (Scene([WITH_FIGURES], JSON), True, False),
    "an error in place of a stream": (Scene([SAID], EVENTS), False, False),
    "an error in place of an answer": (Scene([ERROR], JSON), False, False),
    "a stream without an event": (Scene([b": wait\n\n"], EVENTS), False, True),
    "a web page": (Scene([b"<html>"], JSON), False, False),
    "500": (Breaking([ERROR], JSON, status=500), False, False),
    "503": (Breaking([ERROR], JSON, status=503), False, False),
    "504": (Breaking([b"<html>"], JSON, status=504), False, True),
    "524": (Breaking([b"<html>"], JSON, status=524), False, True),
}


@pytest.mark.parametrize("name", FAILED)
def test_a_failure_says_whether_an_answer_had_begun(name: str) -> None:
    scene, billed, gone = FAILED[name]
    with pytest.raises(AttemptFailed) as failed:
        scene.run()
    assert (failed.value.billed, failed.value.gone) == (billed, gone)
