"""The table of upstream faults: what the upstream does, and what the caller, the upstream and the ledger see of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from server.ledger.usage import Outcome
from server.wire.errors import (
    BadAnswer,
    Disconnected,
    NoKey,
    Refusal,
    UnknownModel,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tests.fakes.fates import (
    Answer,
    Content,
    Delivery,
    Ending,
    Fate,
    Raw,
    bad_status,
    billing,
    cut_mid_event,
    cut_stream,
    drop_after_first_byte,
    drop_before_head,
    garbage,
    gzipped,
    hang,
    html_page,
    huge_header,
    insufficient_quota,
    mid_stream_error,
    model_missing,
    ok,
    overloaded,
    rate_limit,
    rate_limit_without_headers,
    redirect,
    reset_before_head,
    revoked,
    server_error,
)

KEYS = ("sk-upstream-first", "sk-upstream-second", "sk-upstream-third")
REFUSED, NOWHERE = "refused-model", "nowhere-model"  # behind a closed port; behind a name that nobody has
LONG = 8 << 20  # characters of an event: far more than is collected of one

Manner = Literal["both", "stream", "plain"]
Dialects = Literal["both", "openai", "anthropic"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault. `attempts` are how often the upstream saw the request; `told` is our refusal, None for a good answer.

    `in_band`: the refusal comes as the last event of a stream that had begun with status 200. `billed`: something is
    on the ledger, by our own count. `rows`: attempts that have rows of their own, because they may have been billed.
    """

    name: str
    fates: tuple[Fate, ...]
    told: type[Refusal] | None
    attempts: int
    outcome: Outcome
    manner: Manner = "both"
    dialect: Dialects = "both"
    in_band: bool = False
    billed: bool = False
    rows: int = 0
    retry_after: str | None = None
    model: str | None = None
    sent: int | None = None  # attempts, where the upstream never saw them

    def applies(self, dialect: str, *, stream: bool) -> bool:
        return self.dialect in ("both", dialect) and self.manner in ("both", "stream" if stream else "plain")


def failed(name: str, fate: Fate, told: type[Refusal], attempts: int, **more: Any) -> Cell:
    """Nothing but an error reaches the caller."""
    return replace(Cell(name, (fate.for_ever(),), told, attempts, Outcome.FAILED), **more)


def cut(name: str, fate: Fate) -> Cell:
    """A stream breaks off after its first byte: the caller hears of it in the stream."""
    return Cell(name, (fate,), Disconnected, 1, Outcome.CUT, manner="stream", in_band=True, billed=True)


def rescued(name: str, *fates: Fate, **more: Any) -> Cell:
    """Other keys answer: the caller notices nothing."""
    return replace(Cell(name, (*fates, ok()), None, len(fates) + 1, Outcome.COMPLETED), **more)


def half_a_head() -> Fate:
    """A head that has no end."""
    return Raw(name="raw", data=b"HTTP/1.1 200 OK\r\nContent-", ending=Ending.STALL)


def overdue(name: str, fate: Fate) -> Cell:
    """Only the deadline of the whole ends it."""
    return Cell(name, (fate,), UpstreamTimeout, 1, Outcome.CANCELLED, manner="plain", billed=True)


def with_head(*lines: str, body: bytes = b"{}", status: str = "200 OK") -> Fate:
    """A plain JSON answer with these header lines."""
    head = "\r\n".join([f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *lines])
    return Raw(name="raw", data=head.encode() + b"\r\n\r\n" + body, ending=Ending.COMPLETE)


def error_with_200() -> Fate:
    """The provider's error in place of an answer, with the status of a good one."""
    return Answer(name="error_with_200", delivery=Delivery(error_after=0))


STREAM: dict[str, Any] = {"manner": "stream"}
BILLED: dict[str, Any] = {"billed": True, "rows": 1}  # both attempts
OVERLOADED: dict[str, Any] = {"dialect": "anthropic", "retry_after": "1"}

CELLS = (
    # 69 to 71: no answer, or none that is HTTP
    failed("connection refused", ok(), UpstreamUnreachable, 0, model=REFUSED, sent=3),
    failed("name that does not resolve", ok(), UpstreamUnreachable, 0, model=NOWHERE, sent=3),
    failed("closed before the head", drop_before_head(), BadAnswer, 2),
    failed("reset before the head", reset_before_head(), BadAnswer, 2),
    rescued("closed before the head, once", drop_before_head()),
    failed("garbage", garbage(), BadAnswer, 1),
    failed("status line without a status", bad_status(), BadAnswer, 1),
    failed("header of 200 KB", huge_header(), BadAnswer, 1),
    failed("web page with 200", html_page(), BadAnswer, 1),
    failed("answer that is no JSON", with_head(body=b"all is well"), BadAnswer, 1),
    failed("answer without its end", with_head(body=b'{"id": "chatcmpl-1", "choices": ['), BadAnswer, 1, billed=True),
    failed("good status without a body", with_head(status="204 No Content", body=b""), BadAnswer, 1),
    # 74: answers that are too short
    cut("chunk that breaks off", cut_mid_event(4)),
    cut("reset in mid-stream", cut_stream(4, Ending.RESET)),
    cut("end without the terminal event", cut_stream(4, Ending.COMPLETE)),
    cut("end in the middle of an event", cut_mid_event(4, Ending.COMPLETE)),
    failed("reset in the first event", drop_after_first_byte(), BadAnswer, 1, billed=True),
    failed("stream without an event", cut_stream(0, Ending.COMPLETE), BadAnswer, 2, manner="stream"),
    rescued("stream without an event, once", cut_stream(0, Ending.COMPLETE), manner="stream"),
    failed("body shorter than its length", cut_stream(1), BadAnswer, 1, manner="plain", billed=True),
    failed("reset in the body", cut_stream(1, Ending.RESET), BadAnswer, 1, manner="plain", billed=True),
    # 75: an error with status 200
    failed("server error with 200", error_with_200(), BadAnswer, 2, dialect="openai"),
    failed("overload with 200", error_with_200(), NoKey, 2, dialect="anthropic", retry_after="1"),
    rescued("error with 200, once", error_with_200()),
    rescued("error behind the opening, once", mid_stream_error(1), manner="stream", rows=1),
    failed("error behind the opening", mid_stream_error(1), BadAnswer, 2, **STREAM, **BILLED, dialect="openai"),
    failed("overload behind the opening", mid_stream_error(1), NoKey, 2, **STREAM, **BILLED, **OVERLOADED),
    # 77: it does not like our key
    rescued("401 for one key", revoked()),
    rescued("403 for one key", model_missing(403)),
    rescued("404 of the model for one key", model_missing(404)),
    rescued("quota of two keys gone", insufficient_quota(), billing()),
    failed("401 for all keys", revoked(), NoKey, 2, retry_after="30"),
    failed("403 for all keys", model_missing(403), UnknownModel, 2, dialect="openai"),
    failed("404 of the model for all keys", model_missing(404), UnknownModel, 2),
    failed("403 without a reason for all keys", model_missing(403), UpstreamRejected, 2, dialect="anthropic"),
    failed("quota of all keys gone", insufficient_quota(), NoKey, 3, dialect="openai", retry_after="3600"),
    failed("quota of all keys gone, in prose", insufficient_quota(), NoKey, 3, dialect="anthropic", retry_after="30"),
    # 78: rate limits
    rescued("429 for two keys", rate_limit(retry_after=7), rate_limit(retry_after=7)),
    failed("429 for all keys", rate_limit(retry_after=7), NoKey, 3, retry_after="7"),
    failed("429 that does not say for how long", rate_limit_without_headers(), NoKey, 3, retry_after="1"),
    # 80: it fails
    rescued("500, once", server_error(500)),
    failed("500 for ever", server_error(500), BadAnswer, 2),
    failed("502 page for ever", server_error(502), BadAnswer, 2),
    failed("503 page for ever", server_error(503), NoKey, 2, retry_after="1"),
    failed("overloaded for ever", overloaded(), NoKey, 2, retry_after="1"),
    # 81 to 83: what was not asked for
    failed("redirect", redirect("/v1/models"), BadAnswer, 1),
    rescued("gzip", gzipped(), attempts=1),
    rescued("event of 8 MiB", ok("x" * LONG), attempts=1),
    failed("a packing that nobody knows", with_head("Content-Encoding: compress"), BadAnswer, 1, billed=True),
)

STALLS = (
    failed("stall before the head", hang(), UpstreamTimeout, 1, manner="stream", billed=True),
    failed("stall in the head", half_a_head(), UpstreamTimeout, 1, manner="stream", billed=True),
    failed("stall before the first event", cut_stream(0, Ending.STALL), BadAnswer, 1, manner="stream", billed=True),
    failed("stall in the body", cut_stream(1, Ending.STALL), BadAnswer, 1, manner="plain", billed=True),
    cut("stall in mid-stream", cut_stream(4, Ending.STALL)),
    cut("stall in the middle of an event", cut_mid_event(4, Ending.STALL)),
)

# A plain answer's head comes when the answer is complete, whenever that may be.
OVERDUE = (overdue("stall before the head", hang()), overdue("stall in the head", half_a_head()))
# The HTTP client does not notice this one: we look at silent connections once a second.
UNNOTICED = (cut("chunk of no size", cut_stream(4, Ending.BAD_CHUNK)),)


def refusal_with(message: str) -> Fate:
    """400 with the provider's usual envelope for both families."""
    error = {"type": "invalid_request_error", "message": message, "param": None, "code": None}
    return with_head(status="400 Bad Request", body=json.dumps({"type": "error", "error": error}).encode())


def error_after(gate: asyncio.Event, events: int) -> Fate:
    """So many events; when the gate opens, the provider's error and the end of the connection."""
    delivery = Delivery(gate=gate, gate_after=events, error_after=events, ending=Ending.CLOSE)
    return Answer(name="error_after", content=Content(), delivery=delivery)
