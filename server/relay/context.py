"""The state of one request: its caller, its call, how far it has come, its usage.

A `RequestContext` grows while its request is served and ends as a row on the ledger. Its `RequestTrace` is what its
owner may read afterwards, at `/api/explain`: small, without a word of the prompt, kept for the latest requests only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from server.accounting.bill import Bill
from server.dispatching import Leasing, Place
from server.ledger.ratelimit import Taken
from server.ledger.refused import RefusedRequest
from server.ledger.usage import OWN, STATED, Outcome, UsageRow, attempt_id
from server.relay.prompt_lengths import PromptLength
from server.store.base import Caller
from server.wire.errors import Refusal
from server.wire.fallback import Fallback
from server.wire.keepalive import DEFAULT
from server.wire.meter import Meter
from server.wire.own_keys import OwnKey
from server.wire.records import made_quickly
from server.wire.request import AskedClass, Request
from server.wire.shorter import Shorter
from server.wire.tokens import Prompt
from server.wire.translate.translation import Reader
from server.wire.usage import Usage
from web.explanations import of_ended, of_refusal

REMEMBERED = 10_000  # accounts
NO_PROMPT = Prompt(())


class ClientLeft(Exception):
    """The client went away, or took nothing for too long."""


class Sink(Protocol):
    """Where an answer goes. `started`: its head has gone out, so that no status can be changed any more."""

    started: bool

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Set the head of the answer. It goes out with the first piece."""

    async def send(self, chunk: bytes) -> None:
        """Pass a piece on and wait until the client can take more. Raises ClientLeft."""

    def send_now(self, chunk: bytes) -> bool:
        """Pass a piece on if nothing has to be waited for; False: it was not, and is to be sent."""

    def end(self) -> None:
        """The answer is complete: the client need not wait for the ledger."""


@made_quickly
@dataclass(frozen=True, slots=True)
class Call:
    """A request that was read and whose caller is known.

    `passed`: the client's headers that may go upstream. `max_wait`: the seconds that the client is willing to wait.
    `asked_class`: whether it wants this to be batch work. `group`: the one that it names to be booked on, and once it
    is admitted the one that it is booked on. `keepalive`: the signs of life that its stream gets (`wire/keepalive.py`).
    `address`: the client's, as far as our own proxies tell it. `knocked`: its place in the rates of the minute.
    `own_key`: where it goes with the caller's own key; None where a key of the pool serves it. `untranslated`: what the
    caller has sent, without its body, where `request` says it in another dialect; `reader` translates the answer, and
    `notes` are for the header that tells of it. `fallback`: the other model that its caller consents to. `alias`: the
    name that they asked for, where another model serves them.
    """

    id: str
    caller: Caller
    request: Request
    passed: Mapping[str, str]
    query: str
    max_wait: float | None = None
    asked_class: AskedClass | None = None
    group: str | None = None
    keepalive: str = DEFAULT
    address: str = ""
    knocked: Taken | None = None
    own_key: OwnKey | None = None
    untranslated: Request | None = None
    reader: Reader | None = None
    notes: str = ""
    fallback: Fallback | None = None
    alias: str = ""

    @property
    def asked(self) -> Request:
        """The request as its caller knows it; without its body, where that is translated."""
        return self.untranslated or self.request


@dataclass(slots=True)
class RequestTrace:
    """The record of a request that its owner may read. Times are in milliseconds, `arrived_at` is UTC.

    `position` and `expected_wait_ms` are those of its arrival; 0 where it did not wait. `reserved` and `settled` are
    tokens.
    """

    request_id: str
    person_id: str
    model: str
    arrived_at: int
    state: str = "queued"
    position: int = 0
    expected_wait_ms: int = 0
    queue_ms: int | None = None
    reserved: dict[str, int] = field(default_factory=dict)
    attempts: list[dict[str, str]] = field(default_factory=list)
    settled: dict[str, Any] | None = None
    refused: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields that are shown: all but the owner's id."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "person_id"}

    def stands(self, place: Place) -> None:
        """Note where it stood when it came, and what was kept for it."""
        self.position, self.expected_wait_ms = place.position, milliseconds(place.predicted)
        self.reserved = {"input": place.need.input, "output": place.need.output}

    def settle(self, usage: Usage) -> None:
        self.settled = {"input": usage.input, "output": usage.output, "estimated": usage.estimated}

    def refuse(self, refusal: Refusal) -> None:
        self.state = "refused" if self.queue_ms is None else "failed"
        self.refused = {"code": refusal.code, "message": refusal.message, "retry_after": refusal.retry_after}


def trace_of(row: UsageRow) -> RequestTrace:
    """The trace of a request that has ended, from its row: without its place in the queue and its failed attempts."""
    trace = RequestTrace(
        row.request_id, row.person_id, row.model_asked, row.started_at, row.status, queue_ms=row.queue_ms
    )
    trace.attempts.append({"key": row.key})
    trace.settle(row.usage)
    if row.error:
        what = of_ended(row.status, row.error).what
        trace.refused = {"code": row.error, "message": str(what), "retry_after": None}
    return trace


def trace_of_refused(refused: RefusedRequest) -> RequestTrace:
    """The trace of a request that was refused some time ago."""
    trace = RequestTrace(refused.request_id, refused.person_id, refused.model, refused.first_at, "refused")
    what = of_refusal(refused.code, refused.detail).what
    trace.refused = {"code": refused.code, "message": str(what), "retry_after": None}
    return trace


class RecentTraces:
    """The accounts of the latest requests, by id."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, RequestTrace] = OrderedDict()

    def keep(self, trace: RequestTrace) -> RequestTrace:
        self._kept[trace.request_id] = trace
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return trace

    def of(self, request_id: str, person_id: str) -> RequestTrace | None:
        """The account of a request, if this person made it."""
        found = self._kept.get(request_id)
        return found if found is not None and found.person_id == person_id else None


@dataclass(slots=True)
class RequestContext:
    """The state of a request so far. Times are seconds, monotonic.

    `claim`: that to a key of the pool; None where the caller brings a key. `names_model`: its row names the model that
    it asks for. One that neither the pool nor a provider knows is a word of the caller's, and stands on no page.
    """

    call: Call
    claim: Leasing | None
    trace: RequestTrace
    meter: Meter
    length: PromptLength
    arrived: float
    bill: Bill
    room: int | None = None  # tokens for an answer, as the lists of models have it
    outcome: Outcome = Outcome.CANCELLED
    streamed: bool = False
    sends: int = 0  # how often it was handed to an upstream; a key that was passed over is none
    perhaps_billed: bool = False  # the upstream may have generated something
    shorter: Shorter | None = None  # how the upstream whose turn it is takes a bound of ours
    client_left: bool = False
    name_sent: str = ""  # the model's, at the upstream whose turn it is
    states_bill: bool = False  # that upstream says itself what it bills
    resent: int = 0  # over another connection, because the first one was just being closed
    sent_at: float = 0.0  # when an upstream began to work for it
    failed_at: float | None = None  # when that upstream failed, until another one works for it
    first_byte: float | None = None
    usage: Usage | None = None  # what it is billed, once it has paid
    recorded: Callable[[], bytes] | None = None  # what went to the client, if that is to be kept
    settled: UsageRow | None = None  # its row, once that is on the ledger
    names_model: bool = True
    error: str = ""  # the code of the error that its client receives
    released: bool = False  # its key went back while the response goes on in the background

    @property
    def runs_on(self) -> bool:
        """Whether the provider goes on with its response, which can be asked for: its end will tell what it costs."""
        known = self.call.request.background and self.meter.running and bool(self.meter.made.answer)
        return known and self.sent and self.claim is not None and self.settled is None

    @property
    def input_estimate(self) -> int:
        """Tokens of its prompt, as far as they are known here."""
        return self.length.tokens

    @property
    def lease(self) -> Leasing:
        """The lease of a key of the pool."""
        assert self.claim is not None, "the caller brought a key"
        return self.claim

    @property
    def sent(self) -> bool:
        """It has been dispatched: there will be a row."""
        return self.sends > 0

    def kept(self, *, stateful: bool) -> tuple[str, ...]:
        """The ids of what the provider keeps of its answer, and its maker may name. `stateful`: if it may keep any."""
        if not stateful or self.call.own_key is not None:
            return ()
        made = self.meter.made
        return (*made.answer, *made.objects) if self.call.request.kept else made.objects

    def set_down(self) -> None:
        """Drop its body, which is elsewhere while it waits, and the words of its prompt, which have been counted."""
        request = replace(self.call.request, body=b"", prompt=NO_PROMPT)
        self.call = replace(self.call, request=request)

    def take_up(self, body: bytes) -> None:
        """Its body is here again."""
        self.call = replace(self.call, request=replace(self.call.request, body=body))

    def sent_again(self) -> None:
        self.resent += 1

    def row(self, usage: Usage, now: float) -> UsageRow:
        """Its row on the ledger, if it ends now. An answer for a client who had left is not completed."""
        gone = self.client_left and self.outcome is Outcome.COMPLETED
        row = self._row(usage, now, Outcome.CANCELLED if gone else self.outcome, self.sends + self.resent)
        return replace(row, error=self.error) if self.error else row

    def row_if_interrupted(self, usage: Usage, now: float) -> UsageRow:
        """Its row, if it is sent now and nothing more is ever heard of it."""
        return self._row(usage, now, Outcome.INTERRUPTED, self.sends + self.resent + 1)

    def attempt_row(self, usage: Usage, now: float, error: str) -> UsageRow:
        """The row of its latest attempt, which has failed with this code."""
        row = self._row(usage, now, Outcome.FAILED, 1)
        return replace(row, request_id=attempt_id(self.call.id, self.sends), error=error)

    def worked(self, now: float) -> float:
        """Seconds for which the upstream that it was sent to last has worked for it."""
        return (now if self.failed_at is None else self.failed_at) - self.sent_at

    def _served(self) -> str:
        """The model that the upstream says it has used; empty if that is no other than the one it was asked for."""
        served = self.meter.served_model
        return "" if served == self.name_sent else served

    def _row(self, usage: Usage, now: float, outcome: Outcome, attempts: int) -> UsageRow:
        call, lease, first, bill = self.call, self.claim, self.first_byte, self.bill
        request = call.request
        model = request.model if self.names_model else ""
        own = "" if call.own_key is None else call.own_key.upstream
        stated = self.meter.stated() if self.states_bill else None
        return UsageRow(
            request_id=call.id,
            person_id=call.caller.person_id,
            token_id=call.caller.token_id,
            group=call.group,
            model_asked=model,
            alias=call.alias,
            model_served=self._served() or model,
            endpoint=request.endpoint.path,
            dialect=request.endpoint.dialect.name,
            upstream=own if lease is None else lease.key.upstream,
            key=OWN if lease is None else lease.key.id,
            status=outcome,
            started_at=bill.at,
            day=bill.day,
            queue_ms=0 if lease is None else milliseconds(lease.queue_seconds),
            first_byte_ms=None if first is None else milliseconds(first - self.arrived),
            duration_ms=milliseconds(now - self.arrived),
            attempts=attempts,
            streamed=self.streamed,
            usage=usage,
            cost_micro_usd=bill.cost(usage) if stated is None else stated,
            price_id=bill.price_id if stated is None else STATED,
            client_aborted=outcome is Outcome.CANCELLED and self.client_left,
        )


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
