"""Callers' own keys: a request passes through to the provider with the key that it came with.

Nothing of the pool is involved: no key of ours, no queue, no budget. What remains is what an operator wants to know of
such requests: who, for which institution, what was used. So the caller is known by a gatekeeper token in a header of
its own, and one row is written for each request. Bodies are looked at as they pass, and not kept.

Where a request goes is one of the addresses that the operator named, chosen by its name. A path stays below that
address, however it is spelt. Headers pass by list in both directions.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from server.ledger.calendar import Calendar
from server.ledger.quota import Settlement
from server.ledger.usage import Outcome, UsageRow
from server.relay.context import ClientLeft, Sink, milliseconds
from server.relay.keepalive import EVENT_STREAM, STREAM_HEADERS
from server.store.base import Caller
from server.upstream import Answer, AttemptFailed, Broken, Upstreams
from server.wire.dialect import Dialect
from server.wire.endpoints import ENDPOINTS, Endpoint
from server.wire.errors import Disconnected, Draining, InvalidValue, UpstreamTimeout
from server.wire.meter import Meter, json_object
from server.wire.relay import Relay, StreamTooLong
from server.wire.usage import Usage

OWN = "own"  # stands in the row where a key's fingerprint does
REJECTED = frozenset({400, 404, 413, 422})
LONGEST_MODEL = 256

# The caller's credential among them: it is the caller's own, and meant for the provider.
REQUEST_HEADERS = frozenset(
    {
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "authorization",
        "content-type",
        "idempotency-key",
        "openai-beta",
        "openai-organization",
        "openai-project",
        "x-api-key",
    }
)
ANSWER_HEADERS = re.compile(
    r"content-(?:type|length|disposition)|retry-after(?:-ms)?|x-should-retry"
    r"|(?:x-ratelimit|openai|anthropic)-[a-z-]+",
    re.IGNORECASE,
)
SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]+")
HIDDEN = re.compile(r"[/\\\x00-\x20\x7f]")  # what a part of a path may not turn out to hold
QUERY = re.compile(r"[!\"$-~]*")


@dataclass(frozen=True, slots=True)
class OwnKeyProvider:
    """Where own keys may be taken. `base_url` is what stands before `/chat/completions`."""

    name: str
    base_url: str
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Passthrough:
    """One request that passes through. `url` is made by `target`; `group` is the institution that it is booked on."""

    id: str
    caller: Caller
    group: str | None
    provider: OwnKeyProvider
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    endpoint: Endpoint | None = None  # None: nothing is known of this one


class OwnKeyRelay:
    """Passes requests through. `post` has a settlement written; `clock` is monotonic seconds, `wall` UTC ms."""

    def __init__(
        self,
        upstreams: Upstreams,
        providers: Collection[OwnKeyProvider],
        post: Callable[[Settlement], object],
        calendar: Calendar,
        clock: Callable[[], float],
        wall: Callable[[], int],
        total_seconds: float = 900.0,
        longest: int = 64 << 20,
    ) -> None:
        self.providers = {provider.name: provider for provider in providers}
        self._upstreams, self._post, self._calendar = upstreams, post, calendar
        self._clock, self._wall = clock, wall
        self._total_seconds, self._longest = total_seconds, longest
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping = False

    async def quiet(self, seconds: float) -> None:
        """Wait until no request runs, at most for so long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def stop(self) -> None:
        """End every running request with `Draining`."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()

    async def serve(self, passage: Passthrough, sink: Sink) -> UsageRow:
        """Pass a request through; returns its row. Raises Refusal, ClientLeft, or CancelledError if the client left."""
        seen = Seen(passage, self._clock(), self._wall(), self._longest)
        task = asyncio.current_task()
        assert task is not None, "a request is a task"
        self._tasks.add(task)
        try:
            async with asyncio.timeout(self._total_seconds):
                await self._relay(passage, seen, sink)
        except TimeoutError:
            raise UpstreamTimeout from None
        except (asyncio.CancelledError, ClientLeft):
            seen.outcome, seen.client_left = Outcome.CANCELLED, not self._stopping
            if self._stopping:
                raise Draining from None
            raise
        finally:
            self._tasks.discard(task)
            row = seen.row(self._calendar.day(seen.started_at), self._clock())
            self._post(Settlement(row))
        return row

    async def _relay(self, passage: Passthrough, seen: Seen, sink: Sink) -> None:
        try:
            sending = self._upstreams.pass_through(passage.method, passage.url, passage.headers, passage.body)
            async with sending as answer:
                seen.begins(answer)
                shown = STREAM_HEADERS if answer.media_type == EVENT_STREAM else {}
                headers = passed_back(answer.headers) | shown
                if answer.packed:  # its length was that of other bytes
                    headers.pop("Content-Length", None)
                sink.start(answer.status, headers)
                while chunk := await answer.read():
                    seen.feed(chunk, self._clock())
                    await sink.send(chunk)
        except AttemptFailed as failure:
            raise failure.refusal from None
        except Broken:
            seen.outcome = Outcome.CUT
            raise Disconnected from None
        if not seen.ends():
            raise Disconnected
        sink.end()


class Seen:
    """What was seen of one request as it passed."""

    def __init__(self, passage: Passthrough, arrived: float, started_at: int, longest: int) -> None:
        self.outcome, self.client_left = Outcome.FAILED, False
        self.started_at = started_at
        self._passage, self._arrived, self._longest = passage, arrived, longest
        self._first_byte: float | None = None
        self._status = 0
        self._meter: Meter | None = None
        self._relay: Relay | None = None  # of a stream
        self._body = bytearray()  # of a plain answer, as long as it may be looked at

    def begins(self, answer: Answer) -> None:
        self._status = answer.status
        if answer.status < 400 and self._passage.endpoint is not None:
            self._meter = self._passage.endpoint.meter()
            if answer.media_type == EVENT_STREAM:
                self._relay = Relay(self._meter, hides_usage=False)

    def feed(self, chunk: bytes, now: float) -> None:
        if self._first_byte is None:
            self._first_byte = now
        if self._relay is not None:
            try:
                self._relay.feed(chunk)
            except StreamTooLong:
                self._meter = self._relay = None  # it passes, but nothing is known of it
        elif self._meter is not None:
            self._body += chunk
            if len(self._body) > self._longest:
                self._meter, self._body = None, bytearray()

    def ends(self) -> bool:
        """The upstream has closed; False if its stream had not come to its end."""
        if self._status >= 400:
            self.outcome = Outcome.REJECTED if self._status in REJECTED else Outcome.FAILED
            return True
        if self._relay is not None and self._meter is not None and not (self._meter.ended() or self._meter.failed):
            self.outcome = Outcome.CUT
            return False
        if self._relay is None and self._meter is not None:
            self._meter.answer(bytes(self._body))
        self.outcome = Outcome.COMPLETED
        return True

    def row(self, day: str, now: float) -> UsageRow:
        """Its row. Figures are the provider's; what it did not report is nobody's bill here, and 0."""
        passage, meter, first = self._passage, self._meter, self._first_byte
        model = model_in(passage.body) if self.outcome is Outcome.COMPLETED else ""
        return UsageRow(
            request_id=passage.id,
            person_id=passage.caller.person_id,
            token_id=passage.caller.token_id,
            group=passage.group,
            model_asked=model,
            model_served=(meter.served_model if meter else "") or model,
            endpoint=passage.endpoint.path if passage.endpoint else "other",
            dialect=passage.provider.dialect.name,
            upstream=passage.provider.name,
            key=OWN,
            status=self.outcome,
            started_at=self.started_at,
            day=day,
            queue_ms=0,
            first_byte_ms=None if first is None else milliseconds(first - self._arrived),
            duration_ms=milliseconds(now - self._arrived),
            attempts=1,
            streamed=self._relay is not None,
            usage=(meter.usage if meter else None) or Usage(),
            client_aborted=self.client_left,
        )


def target(base_url: str, path: str, query: str) -> str | None:
    """The whole address of a path such as "v1/chat/completions"; None if it would leave what lies below the base.

    `path` and `query` are as they came, still encoded; a leading "v1/" is the one that a base ends in already.
    """
    parts = path.removeprefix("v1/").split("/")
    for part in parts:
        plain = unquote(part)
        if not SEGMENT.fullmatch(part) or plain in (".", "..") or HIDDEN.search(plain) or "%" in plain:
            return None
    if not QUERY.fullmatch(query):
        return None
    return f"{base_url}/{'/'.join(parts)}" + (f"?{query}" if query else "")


def endpoint_of(path: str, method: str) -> Endpoint | None:
    """What is known of a path such as "v1/chat/completions"."""
    return ENDPOINTS.get("/v1/" + path.removeprefix("v1/")) if method == "POST" else None


def institution(named: str | None, mine: Sequence[str], allowed: Collection[str]) -> str | None:
    """The group that a request is booked on: the one that was named, if it may be, else the caller's first.

    Raises InvalidValue.
    """
    if named is None:
        return mine[0] if mine else None
    if named not in allowed:
        raise InvalidValue("X-Institution")
    return named


def model_in(body: bytes) -> str:
    """The model that a JSON body names; empty if it names none."""
    model = (json_object(body) or {}).get("model")
    return model[:LONGEST_MODEL] if isinstance(model, str) and model.isprintable() else ""


def passed_back(headers: Mapping[str, str]) -> dict[str, str]:
    """The upstream's headers that a caller gets."""
    found = {name: value for name, value in headers.items() if ANSWER_HEADERS.fullmatch(name)}
    return {"Content-Type": "application/octet-stream"} | {_titled(name): found[name] for name in found}


def _titled(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))
