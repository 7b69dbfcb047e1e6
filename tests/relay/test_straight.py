"""Which pieces of a stream go straight from socket to socket, and which ones the request's task goes on with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from server.relay.straight import CHARGE_EVERY, Straight
from server.wire.endpoints import ENDPOINTS
from server.wire.relay import Relay, StreamTooLong

WORD = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"w"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
FAULT = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'


@dataclass
class Client:
    """A client behind its keepalive. `full`: it does not keep up."""

    full: bool = False
    sent: list[tuple[bytes, bool]] = field(default_factory=list)

    def send_now(self, piece: bytes, *, between: bool) -> bool:
        if not self.full:
            self.sent.append((piece, between))
        return not self.full


def straight(client: Client, longest: int = 10**6) -> Straight:
    meter = ENDPOINTS["/v1/chat/completions"].meter()
    return Straight(Relay(meter, hides_usage=True, longest=longest), meter, cast(Any, client))


def test_what_only_goes_on_with_the_text_passes_and_half_an_event_waits_for_its_end() -> None:
    client = Client()
    passing = straight(client)
    assert passing(WORD) and passing(WORD[:9]) and passing(WORD[9:] + WORD)
    assert [piece for piece, _ in client.sent] == [WORD, WORD + WORD]
    assert passing.held() is None


@pytest.mark.parametrize("last", [DONE, FAULT])
def test_the_end_is_held_for_the_task_which_settles_first(last: bytes) -> None:
    client = Client()
    passing = straight(client)
    assert passing(WORD) and not passing(WORD + last)
    assert (len(client.sent), passing.held(), passing.held()) == (1, WORD + last, None)


def test_a_client_that_does_not_keep_up_gets_nothing_by_this_way() -> None:
    client = Client(full=True)
    passing = straight(client)
    assert not passing(WORD)
    assert (client.sent, passing.held()) == ([], WORD)


def test_the_flow_is_charged_now_and_then() -> None:
    passing = straight(Client())
    assert all(passing(WORD) for _ in range(CHARGE_EVERY - 1))
    assert not passing(WORD)
    passing.until += CHARGE_EVERY
    assert passing.held() == WORD and passing(WORD)


def test_a_stream_without_an_end_is_too_long() -> None:
    passing = straight(Client(), longest=2 * len(WORD))
    assert passing(WORD) and passing(WORD)
    with pytest.raises(StreamTooLong):
        passing(WORD)
