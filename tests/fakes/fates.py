"""What can happen to a request at the fake upstream.

A test scripts a queue of fates for a key. Each fate serves one request, `.repeat(n)` of them or, with `.for_ever()`,
all that follow; when the queue is empty, requests are answered well. Three kinds: `Answer` (well, or spoilt on the
way), `Refuse` (the provider's own error) and `Raw` (bytes, perhaps none, and then an `Ending`).

Requests that cost nothing (`GET /v1/models`, `count_tokens`) never use up a fate; they meet the one at the front of the
queue if it concerns the whole upstream or the key, not the work (`seen_by_probes`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Self


class Ending(Enum):
    """How an answer ends."""

    COMPLETE = "the body is ended as HTTP demands, and the connection stays open"
    CLOSE = "FIN"
    RESET = "RST"
    BAD_CHUNK = "a chunk whose size is no number, then FIN"
    STALL = "silence, until the client leaves"


@dataclass(frozen=True, slots=True)
class Content:
    """What the answer says. Without `text` and `words` it echoes the last message. Figures are tokens."""

    text: str | None = None
    words: int | None = None  # that many numbered words
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the answer travels. Times are seconds; places are counted in events of the stream."""

    first_byte: float = 0.0
    per_chunk: float = 0.0
    per_byte: float | None = None
    gate: asyncio.Event | None = None
    gate_after: int = 0  # 0: before the head
    stop_after: int | None = None
    torn: bool = False  # half of the next event is written before the end
    error_after: int | None = None  # an error event takes the place of the rest
    ending: Ending = Ending.COMPLETE
    gzip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """Something that happens to `left` requests (None: for ever)."""

    name: str
    left: int | None = 1
    seen_by_probes: bool = False

    def repeat(self, times: int) -> Self:
        """The same fate for the next `times` requests."""
        return replace(self, left=times)

    def for_ever(self) -> Self:
        """The same fate for every request from here on."""
        return replace(self, left=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Fate):
    """An answer with status 200."""

    content: Content = field(default_factory=Content)
    delivery: Delivery = field(default_factory=Delivery)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(Fate):
    """The provider's error `name` of `refusals.py`; `variant` is its status or code where there are several."""

    variant: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw(Fate):
    """Exactly these bytes, and the end."""

    data: bytes = b""
    ending: Ending = Ending.CLOSE
    seen_by_probes: bool = True


# Good answers.


def ok(
    text: str | None = None, *, words: int | None = None, cached: int = 0, cache_write: int = 0, reasoning: int = 0
) -> Answer:
    """A good answer, with the given text or length and the given figures in its usage."""
    return Answer(name="ok", content=Content(text, words, cached, cache_write, reasoning))


def slow(*, first_byte: float = 0.0, per_chunk: float = 0.0, words: int | None = None) -> Answer:
    """A good answer that takes its time (seconds)."""
    return Answer(name="slow", content=Content(words=words), delivery=Delivery(first_byte, per_chunk))


def held(gate: asyncio.Event, *, after: int = 0, words: int | None = None) -> Answer:
    """A good answer that stops after so many events (0: before the head) until the test opens the gate."""
    return Answer(name="held", content=Content(words=words), delivery=Delivery(gate=gate, gate_after=after))


def drip(per_byte: float) -> Answer:
    """A good answer, one byte at a time (seconds between them)."""
    return Answer(name="drip", delivery=Delivery(per_byte=per_byte))


# Answers that are spoilt after their head.


def drop_after_first_byte() -> Answer:
    """The head, half of the first event (or of the body), RST."""
    return Answer(name="drop_after_first_byte", delivery=Delivery(stop_after=0, torn=True, ending=Ending.RESET))


def cut_stream(after: int, ending: Ending = Ending.CLOSE, *, words: int | None = None) -> Answer:
    """So many whole events, then the ending. `COMPLETE` is the sly one: good HTTP, but no terminal event.

    A plain answer loses the second half of its body (`COMPLETE` leaves it whole, since nothing would be missing).
    """
    return Answer(name="cut_stream", content=Content(words=words), delivery=Delivery(stop_after=after, ending=ending))


def cut_mid_event(after: int, ending: Ending = Ending.CLOSE) -> Answer:
    """So many whole events, half an event, then the ending."""
    return Answer(name="cut_mid_event", delivery=Delivery(stop_after=after, torn=True, ending=ending))


def mid_stream_error(after: int = 2) -> Answer:
    """So many events, the provider's error event, and the connection closes. A plain answer is the error, with 200."""
    return Answer(name="mid_stream_error", delivery=Delivery(error_after=after, ending=Ending.CLOSE))


def first_event_error() -> Answer:
    """Status 200, and the first event is an error."""
    return replace(mid_stream_error(0), name="first_event_error")


def gzipped() -> Answer:
    """A good answer with `Content-Encoding: gzip`, which nobody had asked for."""
    return Answer(name="gzipped", delivery=Delivery(gzip=True))


# The provider says no.


def rate_limit(retry_after: float = 1.0, scope: str = "requests") -> Refuse:
    """429; scope is what ran out: `requests` or `tokens`. `retry_after` in seconds goes into the provider's headers."""
    return Refuse(name="rate_limit", variant=scope, retry_after=retry_after)


def rate_limit_without_headers() -> Refuse:
    """429 that does not say for how long."""
    return Refuse(name="rate_limit", variant="requests")


def insufficient_quota(code: str = "insufficient_quota") -> Refuse:
    """The money is spent: OpenAI 429 with the code; Anthropic 400 "credit balance is too low"."""
    return Refuse(name="insufficient_quota", variant=code)


def billing() -> Refuse:
    """OpenAI 429 billing_not_active; Anthropic 402 billing_error."""
    return Refuse(name="billing")


def revoked() -> Refuse:
    """401: the key is wrong."""
    return Refuse(name="revoked", seen_by_probes=True)


def deactivated() -> Refuse:
    """OpenAI 401 account_deactivated; Anthropic 400 "organization has been disabled"."""
    return Refuse(name="deactivated", seen_by_probes=True)


def model_missing(status: int = 404) -> Refuse:
    """404 or 403: this key may not use this model."""
    return Refuse(name="model_missing", variant=str(status))


def context_too_long() -> Refuse:
    """400: the caller's own fault."""
    return Refuse(name="context_too_long")


def overloaded() -> Refuse:
    """OpenAI 503, Anthropic 529."""
    return Refuse(name="overloaded", seen_by_probes=True)


def server_error(status: int = 500) -> Refuse:
    """500 in the provider's shape; 502 and 503 are the HTML of the proxy in front of it."""
    return Refuse(name="server_error", variant=str(status), seen_by_probes=True)


# What is no answer at all.


def hang() -> Raw:
    """Never a byte."""
    return Raw(name="hang", ending=Ending.STALL)


def drop_before_head() -> Raw:
    """FIN instead of an answer."""
    return Raw(name="drop_before_head")


def reset_before_head() -> Raw:
    """RST instead of an answer."""
    return Raw(name="reset_before_head", ending=Ending.RESET)


def garbage() -> Raw:
    """Bytes that are not HTTP."""
    return Raw(name="garbage", data=b"\x16\x03\x01\x02\x00 this is no HTTP at all\r\n\r\n")


def bad_status() -> Raw:
    """A status line whose status is no number."""
    return Raw(name="bad_status", data=b"HTTP/1.1 OK fine\r\nContent-Length: 0\r\n\r\n")


def huge_header() -> Raw:
    """A header of 200 KB."""
    filler = b"X-Filler: " + b"f" * 200_000
    return Raw(name="huge_header", data=b"HTTP/1.1 200 OK\r\n" + filler + b"\r\nContent-Length: 2\r\n\r\n{}")


def html_page() -> Raw:
    """Status 200 and a web page, as a captive portal gives it."""
    page = b"<!DOCTYPE html><html><body>Please sign in to the network</body></html>"
    start = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page)
    return Raw(name="html_page", data=start + page)


def redirect(location: str) -> Raw:
    """302 to another address, with the key's request as the prize."""
    data = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    return Raw(name="redirect", data=data.encode(), ending=Ending.COMPLETE)
