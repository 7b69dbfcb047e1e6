"""The endpoints that are passed on: one class for all of them, the differences are rows of `wire.endpoints`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import unquote

from tornado.iostream import StreamClosedError

from server.http.base import presented
from server.http.entering import CallingHandler
from server.http.refusals import hang_up, without_delay
from server.http.transport.exchange import Exchange
from server.ledger.ratelimit import Taken
from server.ledger.refused import RefusedRequest
from server.observability.access_log import Access
from server.observability.redaction import redact
from server.policy.authority import Means
from server.relay.context import Call, ClientLeft, milliseconds
from server.relay.keepalive import EVENT_STREAM
from server.store.base import Caller
from server.wire.conversation import session_of
from server.wire.dialect import Dialect
from server.wire.endpoints import Endpoint
from server.wire.errors import InvalidKey, MethodNotAllowed, NotListed, Refusal, UpgradeRequired
from server.wire.fallback import HEADER as FALLBACK
from server.wire.fallback import fallback_of
from server.wire.keepalive import HEADER, keepalive_of
from server.wire.packed import coding_of, unpacked
from server.wire.request import Request, asked_class, max_wait, read_request

INLINE_BODY = 64 << 10  # bytes that are read on the event loop, in at most about ten milliseconds
PASSED_QUERY = re.compile(r"(?:beta|api-version)=[A-Za-z0-9.-]{1,32}")


class RelayHandler(CallingHandler):
    """Reads a request, has it served, and writes what comes: it is the gateway's `Sink`."""

    endpoint: Endpoint
    started = False
    _knocked: Taken | None = None

    def initialize(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._coding = ""  # of the body, if it comes packed
        self._task: asyncio.Task[object] | None = None
        # Fields of the access log:
        self._model: str | None = None
        self._error: str | None = None
        self._left = False  # and what still comes for it goes nowhere

    @property
    def dialect(self) -> Dialect:
        return self.endpoint.dialect

    async def admit(self) -> None:
        if self.request.method != "POST":
            raise self._other_method()
        await self._admit()
        self._knocked = self.services.reservations.knock(self.caller, self.dialect.name)

    def _other_method(self) -> Refusal:
        """What is said to a method that is not served: some clients mean a list by it, or a WebSocket."""
        if self.request.headers.get("Upgrade", "").strip().lower() == "websocket":
            return UpgradeRequired()
        lists = self.request.method == "GET" and self.endpoint.kind in ("chat", "responses")
        return NotListed() if lists else MethodNotAllowed()

    async def _admit(self) -> None:
        await self.enter()
        self._coding = coding_of(self.request.headers.get("Content-Encoding"))

    async def post(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self.services.pipeline.serve(await self._read_call(), self)  # no name of ours keeps the body
        except (asyncio.CancelledError, ClientLeft):
            self._left = True
            hang_up(self)
        except Refusal as refusal:
            if not self._left:
                await self._break_off(refusal)
        finally:
            self._task = None
            self.on_finish()

    async def _read_call(self) -> Call:
        request = await self._read(self.body())
        self._model = request.model
        return self._call(request)

    def _call(self, request: Request) -> Call:
        headers = self.request.headers
        patience, wanted = max_wait(headers.get("X-Max-Wait")), asked_class(headers.get("X-Fairgate-Class"))
        named = self._named_group()
        alive = keepalive_of(headers.get(HEADER)) or self.caller.terms.keepalive
        other = fallback_of(headers.get(FALLBACK))
        passed, query, address = self._passed(), self._query(), self.address()
        return Call(
            self.request_id,
            self.caller,
            request,
            passed,
            query,
            patience,
            wanted,
            named,
            alive,
            address=address,
            knocked=self._knocked,
            fallback=other,
        )

    def _named_group(self) -> str | None:
        """The group that the caller names to be booked on."""
        group = self.request.headers.get("X-Fairgate-Group")
        return None if group is None else unquote(group)  # the name of a group has no percent sign

    def on_connection_close(self) -> None:
        """The client has left: so does its request, unless its answer is read on for its usage."""
        super().on_connection_close()
        if self._task is not None and not self._goes_on():
            self._task.cancel()

    def _goes_on(self) -> bool:
        """Whether the answer is read on without a client."""
        if not self._left and self.services.pipeline.reads_on(self.request_id):
            self._left = True
            hang_up(self)
        return self._left

    def on_finish(self) -> None:
        """Write the line of a request that is over; one that is being settled has its line afterwards."""
        if self._task is not None:
            return
        super().on_finish()
        if self.services.access_log is not None:
            self.services.access_log.note(self._access())

    @property
    def busy(self) -> bool:
        return self._task is not None

    def let_go(self) -> None:
        super().let_go()
        self.services.reservations.left(self._knocked)

    def refuse(self, refusal: Refusal) -> None:
        self._error = refusal.code
        super().refuse(refusal)

    def count(self, refusal: Refusal) -> None:
        super().count(refusal)
        if not self._was_sent():
            self._record(refusal)

    def _was_sent(self) -> bool:
        """Whether a key was asked for this request: then it stands on the ledger."""
        caller: Caller | None = getattr(self, "caller", None)
        trace = None if caller is None else self.services.pipeline.recent.of(self.request_id, caller.person_id)
        return trace is not None and trace.queue_ms is not None

    def _record(self, refusal: Refusal) -> None:
        """Record a refusal, for the person who made the request."""
        caller: Caller | None = getattr(self, "caller", None)
        now = self.services.wall()
        refused = RefusedRequest(
            request_id=self.request_id,
            person_id="" if caller is None else caller.person_id,
            token_id=None if caller is None else caller.token_id,
            model=redact(self._model or ""),  # a caller may name a secret so
            endpoint=self.endpoint.path,
            code=refusal.code,
            status=self.dialect.status(refusal),
            detail=redact(refusal.limit or refusal.param or ""),
            first_at=now,
            last_at=now,
        )
        if caller is not None:
            self.services.refused.note(refused)
        elif isinstance(refusal, InvalidKey):
            self.services.refused.note_unknown(*presented(self.request.headers), self.address(), refused)

    def _access(self) -> Access:
        caller: Caller | None = getattr(self, "caller", None)  # not before the caller was authenticated
        return Access(
            request_id=self.request_id,
            at=self.services.wall(),
            endpoint=self.endpoint.path,
            dialect=self.dialect.name,
            http=self.get_status(),
            duration_ms=milliseconds(self.request.request_time()),
            error=self._error,
            left=self._left,
            person_id=None if caller is None else caller.person_id,
            model=self._model,
        )

    # The gateway's sink

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.set_status(status)
        self._headers.take(headers)
        if headers["Content-Type"] == EVENT_STREAM:
            without_delay(self)

    async def send(self, chunk: bytes) -> None:
        if self._left:
            return
        flushed = self._written(chunk)
        if flushed.done() and flushed.exception() is None:
            return
        try:
            async with asyncio.timeout(self.services.settings.write_seconds):
                await flushed
        except (StreamClosedError, TimeoutError):
            if not self._goes_on():
                raise ClientLeft from None

    def send_now(self, chunk: bytes) -> bool:
        connection = self.request.connection
        if self._left or not self.started or type(connection) is not Exchange or self._finished or not connection.room:
            return False
        connection.write_now(chunk)
        return True

    def _written(self, chunk: bytes) -> asyncio.Future[None]:
        """A piece behind the head goes straight to the connection: for it, Tornado's buffer and flush do nothing."""
        connection = self.request.connection
        if self.started and type(connection) is Exchange and not self._finished:
            return connection.write_now(chunk)
        self.write(chunk)
        self.started = True
        return self.flush()

    def end(self) -> None:
        if not self._left:
            self.finish()

    # Odds and ends

    @property
    def largest_body(self) -> int:
        settings = self.services.settings
        return settings.max_audio_bytes if self.endpoint.media == "multipart" else settings.max_body_bytes

    def body_holder(self) -> str | None:
        return None if self.caller.means is Means.SHARED else self.caller.person_id

    async def _read(self, body: bytes) -> Request:
        """Read a request; one that is or may become long, which takes a tenth of a second, beside the event loop."""
        read = partial(self._parsed, body)
        if not self._coding and len(body) <= INLINE_BODY:
            return read()
        request = await asyncio.to_thread(read)
        if self._body is not None:
            self._body.becomes(len(request.body))
        return request

    def _parsed(self, body: bytes) -> Request:
        plain = unpacked(body, self._coding, self.largest_body)
        return self._understood(plain, self.request.headers.get("Content-Type", ""))

    def _understood(self, body: bytes, content_type: str) -> Request:
        """The request in a body. Raises ClientError."""
        return read_request(self.endpoint, body, content_type, session_of(self.request.headers.get_all()))

    def _passed(self) -> dict[str, str]:
        """The client's headers that may go upstream: those that the dialect lists, and no others."""
        headers = self.request.headers
        return {name: headers[name] for name in self.dialect.passed_headers if name in headers}

    def _query(self) -> str:
        """Of the query only what the SDKs send: people put their keys there, too."""
        return "&".join(pair for pair in self.request.query.split("&") if PASSED_QUERY.fullmatch(pair))

    async def _break_off(self, refusal: Refusal) -> None:
        """Tell the caller in the stream if it has begun, else as an answer of its own."""
        self._error = refusal.code
        if not self.started:
            self.clear()
            self.refuse(refusal)
        elif self._headers.get("Content-Type") == EVENT_STREAM:
            self.count(refusal)
            try:
                await self.send(self.dialect.event(refusal, self.request_id))
                self.finish()
            except ClientLeft:
                hang_up(self)
        else:
            hang_up(self)
