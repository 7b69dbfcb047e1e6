"""Messages are the same wherever their bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.health import KeyEvent, KeyState
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.live import live
from keypool.messages import Ask
from keypool.pool import Pool
from keypool.verdict import Verdict
from server.workers import codec
from server.workers.frames import LENGTH, FrameError, Frames, frame, packed
from tests.keypool.making import a_key, an_ask

MESSAGES = [["hello", 1, 0, 1], ["submit", ["r1"], 0.5], ["joined"]]
BYTES = frame(map(packed, MESSAGES)) + frame([packed(["broke", "r1"])])


@settings(max_examples=25)
@given(st.lists(st.integers(0, len(BYTES)), max_size=8))
def test_frames_may_be_cut_anywhere(cuts: list[int]) -> None:
    frames, places = Frames(), [0, *sorted(cuts), len(BYTES)]
    heard = [each for start, end in pairwise(places) for each in frames.feed(BYTES[start:end])]
    assert heard == [*MESSAGES, ["broke", "r1"]]


def test_an_empty_frame_says_nothing() -> None:
    assert Frames().feed(frame([])) == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"[[]]", b"[[1]", b"\xff"])
def test_what_is_no_frame_of_ours_is_an_error(body: bytes) -> None:
    with pytest.raises(FrameError):
        Frames().feed(LENGTH.pack(len(body)) + body)


def test_a_frame_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(FrameError):
        Frames(most=100).feed(LENGTH.pack(101))


def said(value: object) -> object:
    """A value as the other side reads it."""
    ((_, read),) = Frames().feed(frame([packed(["x", value])]))
    return read


ASK = Ask(
    "r1", "ann", "m", "openai", 7, None, 99.5, 2.0, frozenset({"a", "b"}), b"\x00\xff", None, 3.0, True, 4, "g", 0.5
)


@pytest.mark.parametrize("ask", [ASK, ASK._replace(bound_to=frozenset({"k"}), conversation=b""), an_ask("r", "p")])
def test_an_ask_is_what_it_was(ask: Ask) -> None:
    assert codec.ask_in(said(codec.ask_out(ask))) == ask  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "verdict", [Verdict(None, final=True), Verdict(KeyEvent.FAILED, free=True, rest=1.5, sure=True, elsewhere=True)]
)
def test_a_verdict_is_what_it_was(verdict: Verdict) -> None:
    assert codec.verdict_in(said(verdict)) == verdict  # type: ignore[arg-type]


def test_limits_are_what_they_were() -> None:
    limits = {LimitMeasure.TOKENS: RateWindow(10.0, 3.0, None, 60.0), LimitMeasure.DAILY: RateWindow(1.0, 0.0, 2.0)}
    assert codec.limits_in(said(codec.limits_out(limits))) == limits  # type: ignore[arg-type]


def test_a_key_is_known_by_what_it_may_serve_and_by_how_it_stands() -> None:
    key = Key("k", "acme", frozenset({"openai"}), frozenset({"m", "n"}), 3, frozenset({"g"}), "host:org")
    key.apply(KeyEvent.KEY_REFUSED, "", 5.0)
    read = codec.key_in(said(codec.key_out(key)))  # type: ignore[arg-type]
    for name in ("id", "upstream", "dialects", "models", "slots", "groups", "organisation"):
        assert getattr(read, name) == getattr(key, name)
    assert (read.whole.state, read.whole.since, read.whole.dead) == (KeyState.REVOKED, 5.0, True)


def test_a_picture_of_the_pool_and_its_requests_are_what_they_were() -> None:
    pool = Pool([a_key("k1", slots=1), a_key("k2", slots=1, models=("n",))])
    for number in range(4):
        pool.submit(an_ask(f"r{number}", f"p{number}"), 1.0)
    ticket = pool.tickets["r0"]
    pool.answered(ticket, 2.0, {LimitMeasure.TOKENS: RateWindow(1000.0, 300.0, 6.0)})
    snapshot, requests = pool.snapshot(3.0), live(pool, 3.0)
    assert codec.snapshot_in(said(snapshot)) == snapshot  # type: ignore[arg-type]
    assert [codec.live_in(each) for each in said(requests)] == requests  # type: ignore[attr-defined]
