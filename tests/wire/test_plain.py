"""The short way of a request that is nothing but text: it is taken only where the long one finds the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from server.wire.extent import BESIDE_TURNS, NOTHING, extent_of
from server.wire.hosted import ASKING, hosted_of
from server.wire.tokens import SCHEMAS, prompt_of

TEXT = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": ""}]
PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}]


class Watched(dict[str, Any]):
    """A body that notes which of its fields are looked at."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(body)
        self.seen: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.seen.add(name)
        return super().get(name, default)


@pytest.mark.parametrize(
    ("read", "first", "known"),
    [
        (lambda body: hosted_of(body, "gpt-5", "chat"), "tools", ASKING),
        (lambda body: extent_of("chat", body), "tools", BESIDE_TURNS | {"messages", "system"}),
        (lambda body: prompt_of("chat", body), "tools", SCHEMAS | {"messages", "system"}),
    ],
    ids=["hosted", "extent", "prompt"],
)
def test_every_field_that_the_long_way_looks_at_leads_to_it(
    read: Callable[[Watched], object], first: str, known: frozenset[str]
) -> None:
    body = Watched({first: [], "messages": PICTURE})
    read(body)
    assert body.seen == known


def test_text_alone_asks_for_nothing_and_is_read() -> None:
    body = {"model": "gpt-5", "messages": TEXT, "temperature": 1}
    assert extent_of("chat", body) is NOTHING
    assert prompt_of("chat", body) == prompt_of("chat", {**body, "tools": []})
    assert prompt_of("chat", body).texts == ("Hello",)
    assert hosted_of(body, "gpt-5", "chat") == hosted_of({**body, "tools": []}, "gpt-5", "chat")


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": "text", "signature": "sealed" * 20},
        {"role": "assistant", "content": "text", "audio": {"type": "audio", "id": "audio_1"}},
        {"type": "document", "content": "text", "source": {"type": "base64", "data": "AAAA"}},
    ],
)
def test_a_text_with_something_beside_it_is_not_text_alone(turn: dict[str, Any]) -> None:
    assert extent_of("chat", {"messages": [*TEXT, turn]}) != NOTHING
