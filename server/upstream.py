"""The only module that sends requests to a provider: with a key of the pool, with the caller's own, or free checks.

The pool's keys are ids. What an id means at its provider, `routes` says (`keys/registry.py`); the secret is opened here
and nowhere else on the way.

aiohttp is the client because cancelling a request closes its socket at once, so that the provider stops generating and
billing; Tornado's own clients go on reading, and httpx costs seven times as much (docs/performance.md).

Nothing is followed or repeated here: one attempt, one answer, unpacked if it came packed. What goes wrong before the
first byte is an `AttemptFailed`, which carries what the key should learn and what the caller hears if no other key
helps. What goes wrong afterwards is a `Broken`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from types import SimpleNamespace

import aiohttp
from yarl import URL

from keypool.keys import Key
from keypool.verdict import DROPPED, NONSENSE, OUR_BOUND, REFUSED, TOO_SLOW, UNREACHABLE, Verdict
from server.config.specs import Secret
from server.wire.dialect import JSON_TYPE, Dialect
from server.wire.errors import BadAnswer, NoKey, Refusal, UpstreamTimeout, UpstreamUnreachable
from server.wire.packed import Damaged, Dropping, UnknownEncoding, Unpacker, unpacker_of
from server.wire.request import Request
from server.wire.unreported import AT_WORK

KEEP_ALIVE_SECONDS = 60.0
GLANCE_SECONDS = 1.0  # between two looks at a silent connection
MOST_STALE = 8  # kept connections in a row that may turn out to be closed
LARGE = 1 << 20  # bytes of a body
LONGEST_ERROR = 64 << 10  # bytes of an upstream's error that are looked at
OUR_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class AttemptFailed(Exception):
    """No byte of an answer has gone to the caller, or an error came in place of one.

    `billed`: the upstream may have generated something all the same. `gone`: it may have, if it has worked for a while
    (`wire/unreported.py`).
    """

    def __init__(
        self,
        verdict: Verdict,
        refusal: Refusal,
        headers: Mapping[str, str] | None = None,
        *,
        billed: bool = False,
        gone: bool = False,
    ) -> None:
        super().__init__(refusal.code)
        self.verdict = verdict
        self.refusal = refusal
        self.headers = headers or {}  # of the upstream's answer, for what they say of its limits
        self.gone = gone
        self.billed = billed or isinstance(refusal, UpstreamTimeout)


class Broken(Exception):
    """The answer stopped before its end."""


class TooLong(Exception):
    """A plain answer is longer than it may be here. `beginning` is what has come of it."""

    def __init__(self, beginning: list[bytes]) -> None:
        super().__init__()
        self.beginning = beginning


@dataclass(frozen=True, slots=True)
class Route:
    """Where the requests of one key go, and the secret that they carry."""

    base_url: str  # without a slash at its end
    secret: Secret


Routes = Callable[[str], Route | None]  # by the id of a key; None when it is not in use any more


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: to connect, for the answer's head, between two chunks of it. A model may think for minutes.

    `stale`: a kept connection that closes later than this was not just being closed: somebody was at work there.
    """

    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 600.0
    stale: float = AT_WORK


class Answer:
    """The head of an upstream's answer, and its body as it comes.

    Silence is watched by one timer for the whole answer, not by one for each read: a stream is thousands of reads.
    """

    def __init__(self, response: aiohttp.ClientResponse, idle: float) -> None:
        self._response = response
        self._idle = idle
        self._unpacker: Unpacker | None = None
        self._peeked = b""  # read already, and not yet given out
        self._waiting = False  # for the upstream, not for the client
        self._silent = 0.0  # seconds, as far as the timer has seen
        self._timer: asyncio.TimerHandle | None = None
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers  # case-insensitive
        self.media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def packed(self) -> bool:
        """It comes in other bytes than it is read in."""
        return self._unpacker is not None

    def unpacked(self) -> None:
        """From now on read what its `Content-Encoding` holds. Raises UnknownEncoding."""
        if (encoding := self.headers.get("Content-Encoding")) is not None:
            self._unpacker = unpacker_of(encoding)

    def unreadable(self) -> None:
        """Read its body as an empty one."""
        self._unpacker = Dropping()

    async def read(self) -> bytes:
        """What has come, at least a byte; empty at a clean end. Raises Broken."""
        if self._peeked:
            peeked, self._peeked = self._peeked, b""
            return peeked
        return await (self._read() if self._unpacker is None else self._unpack(self._unpacker))

    async def peek(self, least: int) -> bytes:
        """How it begins: so many bytes, or more, or all that there are. They are read again afterwards."""
        beginning = b""
        try:
            while len(beginning) < least and (piece := await self.read()):
                beginning += piece
        except Broken:
            pass  # the next read says so again
        self._peeked = beginning
        return beginning

    async def _unpack(self, unpacker: Unpacker) -> bytes:
        await asyncio.sleep(0)  # a little that is packed may be much: others must have their turn between its pieces
        try:
            while not (piece := unpacker.take()):
                packed = await self._read()
                if not packed and not unpacker.complete:
                    raise Broken
                if not packed:
                    return b""
                unpacker.feed(packed)
        except Damaged as error:
            raise Broken from error
        return piece

    async def _read(self) -> bytes:
        if self._timer is None and not self._response.content.is_eof():
            self._timer = self._look_again()  # most plain answers are here already, and need no watching
        self._waiting, self._silent = True, 0.0
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise Broken from error
        finally:
            self._waiting = False

    def close(self) -> None:
        """Watch it no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _look_again(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(min(self._idle, GLANCE_SECONDS), self._look)

    def _look(self) -> None:
        """End a read that waits for too long, or for what cannot come any more."""
        if self._waiting:
            self._silent += min(self._idle, GLANCE_SECONDS)
            if self._silent >= self._idle or not self._connected():
                self._response.content.set_exception(aiohttp.ServerTimeoutError())
                return
        self._timer = self._look_again()

    def _connected(self) -> bool:
        """Whether more can come. aiohttp closes the connection over a malformed chunk, but lets its reader wait on."""
        connection = self._response.connection
        transport = None if connection is None else connection.transport
        return transport is not None and not transport.is_closing()

    async def whole(self, limit: int) -> bytes:
        """The body in one piece. Raises Broken, and TooLong when it is longer than `limit` bytes."""
        pieces, length = [], 0
        while piece := await self.read():
            pieces.append(piece)
            length += len(piece)
            if length > limit:
                raise TooLong(pieces)
        return b"".join(pieces)

    async def beginning(self) -> bytes:
        """As much of an error as anyone needs. Never raises: an error that breaks off is still an error."""
        body = bytearray()
        try:
            while len(body) < LONGEST_ERROR and (piece := await self.read()):
                body += piece
        except Broken:
            pass
        return bytes(body[:LONGEST_ERROR])


class Upstreams:
    """All providers of one gateway, over one pool of connections."""

    def __init__(self, routes: Routes, patience: Patience) -> None:
        self._routes, self._patience = routes, patience
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=patience.connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=OUR_HEADERS,
            trust_env=False,
            trace_configs=[_noting_reuse()],
        )

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def send(
        self, key: Key, request: Request, passed: Mapping[str, str], query: str, sent_again: Callable[[], None]
    ) -> AsyncIterator[Answer]:
        """Send a request with a key. Leaving the block early closes the socket. Raises AttemptFailed.

        `sent_again` is called when it had to be sent once more over another connection.
        """
        route = self._route(key.id)
        url = route.base_url + request.endpoint.path.removeprefix("/v1")
        headers = {
            **request.endpoint.dialect.credentials(route.secret.reveal()),
            **passed,
            "Content-Type": request.content_type,
            "Accept-Encoding": "identity",
        }
        # A plain answer begins when it is complete: only the deadline of the whole bounds it.
        patience = self._patience.first_byte if request.stream else None
        target = URL(f"{url}?{query}" if query else url, encoded=True)
        async with self._answer("POST", target, headers, request.body, patience, sent_again) as answer:
            yield answer

    @asynccontextmanager
    async def pass_through(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Answer]:
        """Send a caller's request with the caller's own credential, in `headers`. No key of ours is anywhere near.

        `url` is whole, encoded, and of an address that the operator named. Raises AttemptFailed.
        """
        sent = {**headers, "Accept-Encoding": "identity"}
        async with self._answer(method, URL(url, encoded=True), sent, body, None, _unnoted) as answer:
            yield answer

    @asynccontextmanager
    async def look_up(self, key_id: str, dialect: Dialect, path: str, query: str = "") -> AsyncIterator[Answer]:
        """Ask for what costs nothing, with a key. Any status is an answer, a redirect too. Raises AttemptFailed."""
        route = self._route(key_id)
        headers = {**dialect.credentials(route.secret.reveal()), "Accept": JSON_TYPE, "Accept-Encoding": "identity"}
        target = URL(route.base_url + path + (f"?{query}" if query else ""), encoded=True)
        response = await self._fresh_head("GET", target, headers, b"", self._patience.first_byte, _unnoted)
        async with response:
            answer = Answer(response, self._patience.idle)
            try:
                answer.unpacked()
            except UnknownEncoding:
                answer.unreadable()
            try:
                yield answer
            finally:
                answer.close()

    def _route(self, key_id: str) -> Route:
        """Raises AttemptFailed when the key has been removed since it was granted: another key may serve."""
        route = self._routes(key_id)
        if route is None:
            raise AttemptFailed(REFUSED, NoKey())
        return route

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        url: URL,
        headers: dict[str, str],
        body: bytes,
        patience: float | None,
        sent_again: Callable[[], None],
    ) -> AsyncIterator[Answer]:
        response = await self._fresh_head(method, url, headers, body, patience, sent_again)
        async with response:
            answer = Answer(response, self._patience.idle)
            try:
                _insist_on_readable(answer)
                yield answer
            finally:
                answer.close()

    async def _fresh_head(
        self,
        method: str,
        url: URL,
        headers: dict[str, str],
        body: bytes,
        patience: float | None,
        sent_again: Callable[[], None],
    ) -> aiohttp.ClientResponse:
        """Send, and send again if the connection had been kept from an earlier request and was just being closed.

        That says nothing about the key, so it is no failed attempt. The connection is gone then; the next one that was
        kept may be as stale, but there are only so many. One that is closed after a while was not just being closed.
        """
        for _ in range(MOST_STALE):
            connection = _Connection()
            try:
                return await self._head(method, url, headers, body, patience, connection)
            except AttemptFailed:
                if not connection.stale:
                    raise
                sent_again()
        return await self._head(method, url, headers, body, patience, _Connection())

    async def _head(
        self,
        method: str,
        url: URL,
        headers: dict[str, str],
        body: bytes,
        patience: float | None,
        connection: _Connection,
    ) -> aiohttp.ClientResponse:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(patience):
                return await self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=_payload(body),
                    allow_redirects=False,
                    trace_request_ctx=connection,
                )
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError) as error:
            raise AttemptFailed(UNREACHABLE, UpstreamUnreachable()) from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            at_once = asyncio.get_running_loop().time() - began < self._patience.stale
            connection.stale = connection.reused and at_once
            raise AttemptFailed(DROPPED, BadAnswer(), gone=True) from error
        except TimeoutError as error:
            raise AttemptFailed(TOO_SLOW, UpstreamTimeout()) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise AttemptFailed(NONSENSE, BadAnswer()) from error


@dataclass(slots=True)
class _Connection:
    """What is noted of the connection of one request."""

    reused: bool = False  # kept from an earlier request
    stale: bool = False  # and closed before this one was answered


def _noting_reuse() -> aiohttp.TraceConfig:
    async def note(session: aiohttp.ClientSession, context: SimpleNamespace, _: object) -> None:
        context.trace_request_ctx.reused = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(note)
    return trace


def _unnoted() -> None:
    """Nobody counts how often a passed-through request was sent again."""


def _payload(body: bytes) -> bytes | BytesIO | None:
    """aiohttp writes a large body piece by piece if it comes as a file, and warns if it does not."""
    if not body:
        return None
    return body if len(body) <= LARGE else BytesIO(body)


def _insist_on_readable(answer: Answer) -> None:
    """Refuse what was not asked for: a redirect would take the key elsewhere, what is not unpacked is not metered.

    Of an error, the status says enough. That its words cannot be read is not the key's doing, either.
    """
    if 300 <= answer.status < 400 or answer.status < 200:
        raise AttemptFailed(NONSENSE, BadAnswer())
    try:
        answer.unpacked()
    except UnknownEncoding:
        if answer.status < 400:
            raise AttemptFailed(OUR_BOUND, BadAnswer(), billed=True) from None
        answer.unreadable()
