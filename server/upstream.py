"""The only module that sends requests to a provider: with a key of the pool, with the caller's own, or free checks.

The pool's keys are ids. `routes` maps an id to the provider's route (`keys/registry.py`); the secret is opened here and
nowhere else on the way.

`httpclient/` is the client. It takes less than half of aiohttp's time for a request, and cancelling a request closes
its socket at once, so that the provider stops generating and billing.

Nothing is followed or repeated here: one attempt, one answer, unpacked if it came packed. A failure before the
first byte is an `AttemptFailed`, which carries the verdict on the key and the error for the caller if no other key
helps. A failure afterwards is a `Broken`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple

from keypool.keys import Key
from keypool.verdict import DROPPED, NONSENSE, OUR_BOUND, REFUSED, TOO_SLOW, UNREACHABLE, Verdict
from server.config.specs import Headers, Secret
from server.config.upstream_kinds import GENERIC, UpstreamKind, path
from server.config.upstream_kinds import query as kind_query
from server.httpclient.client import HttpClient, Response
from server.httpclient.egress import DIRECTLY, Egress
from server.httpclient.errors import CannotConnect, ConnectionDropped, HttpFailure, NoAnswerInTime
from server.httpclient.proxies import Proxies
from server.wire.dialect import JSON_TYPE, Dialect
from server.wire.errors import BadAnswer, NoKey, Refusal, UpstreamTimeout, UpstreamUnreachable
from server.wire.packed import Damaged, Dropping, UnknownEncoding, Unpacker, unpacker_of
from server.wire.request import Request
from server.wire.unreported import AT_WORK

KEEP_ALIVE_SECONDS = 60.0
GLANCE_SECONDS = 1.0  # between two looks at silent connections, at most
LONGEST_ERROR = 64 << 10  # bytes of an upstream's error that are looked at


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
    proxies: Proxies | None = None  # its own; None: those of all
    ca_file: str = ""
    kind: UpstreamKind = GENERIC
    api_version: str = ""
    names: Mapping[str, str] = field(default_factory=dict)  # the upstream's, by ours, where they differ
    headers: Headers = ()  # of the upstream; those of the key stand behind its secret

    def url(self, request: Request, query: str) -> str:
        """The address of a request."""
        model = self.names.get(request.model, request.model)
        url = self.base_url + path(self.kind, request.endpoint.path, model, self.api_version)
        return _asking(url, kind_query(self.kind, query, self.api_version))

    def sent_headers(self, dialect: Dialect, passed: Mapping[str, str]) -> dict[str, str]:
        """The headers that go with a request: those of the key, over them the client's, over them the operator's."""
        secret, own = self.secret.opened()
        extra = {name: value.reveal() for name, value in self.headers} | own
        usual = {**self.kind.credentials(dialect.credentials(secret), secret), **passed}
        return {name: value for name, value in usual.items() if name.lower() not in extra} | extra


Routes = Callable[[str], Route | None]  # by the id of a key; None when it is not in use any more


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: to connect, for the answer's head, between two chunks of it. A model may think for minutes.

    `stale`: a kept connection that closes later than this was not just being closed: the upstream was at work.
    """

    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 600.0
    stale: float = AT_WORK


class Answer:
    """The head of an upstream's answer, and its body as it comes."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._unpacker: Unpacker | None = None
        self._peeked = b""  # read already, and not yet given out
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
        """The bytes that have come, at least one; empty at a clean end. Raises Broken."""
        if self._peeked:
            peeked, self._peeked = self._peeked, b""
            return peeked
        if self._unpacker is not None:
            return await self._unpack(self._unpacker)
        try:
            return await self._response.read()
        except HttpFailure as error:
            raise Broken from error

    async def pour(self, taker: Callable[[bytes], bool]) -> None:
        """Call `taker` with small pieces as they come, until it returns False or `read` has something to say.

        What it raises is raised here. A packed answer is only read. Raises Broken.
        """
        if self._peeked or self._unpacker is not None:
            return
        try:
            await self._response.pour(taker)
        except HttpFailure as error:
            raise Broken from error

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
        try:
            return await self._response.read()
        except HttpFailure as error:
            raise Broken from error

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

    def __init__(self, routes: Routes, patience: Patience, egress: Egress = DIRECTLY) -> None:
        self._routes, self._patience, self._egress = routes, patience, egress
        glance = min(GLANCE_SECONDS, patience.idle, patience.first_byte)
        self._client = HttpClient(patience.connect, patience.idle, KEEP_ALIVE_SECONDS, glance)

    async def close(self) -> None:
        await self._client.close()

    def send(
        self, key: Key, request: Request, passed: Mapping[str, str], query: str, sent_again: Callable[[], None]
    ) -> Sending:
        """Send a request with a key. Leaving the block early closes the socket. Raises AttemptFailed.

        `sent_again` is called when it had to be sent once more over another connection.
        """
        route = self._route(key.id)
        headers = {
            **route.sent_headers(request.endpoint.dialect, passed),
            "Content-Type": request.content_type,
            "Accept-Encoding": "identity",
        }
        # A plain answer begins when it is complete: only the deadline of the whole bounds it.
        patience = self._patience.first_byte if request.stream else math.inf
        sent = _Sent("POST", route.url(request, query), headers, request.body, patience, self._way(route))
        return Sending(self._head, sent, sent_again)

    def name_of(self, key: Key, model: str) -> str:
        """The name of a model at the upstream of a key."""
        route = self._routes(key.id)
        return model if route is None else route.names.get(model, model)

    def refused_by(self, key: Key) -> frozenset[str]:
        """The fields of ours that upstreams of this kind are never sent (`wire/added.py`)."""
        route = self._routes(key.id)
        return frozenset() if route is None else route.kind.refuses

    def states_bill(self, key: Key) -> bool:
        """Whether the upstream of a key says in its answers what it bills for them (`wire/stated.py`)."""
        route = self._routes(key.id)
        return route is not None and route.kind.states_bill

    def pass_through(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Sending:
        """Send a caller's request with the caller's own credential, in `headers`. No key of ours is anywhere near.

        `url` is whole, encoded, and of an address that the operator named. Raises AttemptFailed.
        """
        asked = {**headers, "Accept-Encoding": "identity"}
        return Sending(self._head, _Sent(method, url, asked, body, math.inf, self._egress), _unnoted)

    def keeps_conversations(self, key: Key) -> bool:
        """Whether the upstream of a key keeps conversations (`wire/kept.py`)."""
        route = self._routes(key.id)
        return route is not None and route.kind.conversations

    def reach(
        self, key_id: str, dialect: Dialect, method: str, place: str, query: str = "", body: bytes = b""
    ) -> Sending:
        """Ask for what a provider keeps, with the key that made it. `place` stands behind the base URL.

        Raises AttemptFailed.
        """
        route = self._route(key_id)
        headers = {**route.sent_headers(dialect, {}), "Accept-Encoding": "identity"}
        if body:
            headers["Content-Type"] = JSON_TYPE
        dated = kind_query(route.kind, "", route.api_version)
        url = _asking(route.base_url + place, "&".join(filter(None, (dated, query))))
        sent = _Sent(method, url, headers, body, self._patience.first_byte, self._way(route))
        return Sending(self._head, sent, _unnoted)

    @asynccontextmanager
    async def look_up(self, key_id: str, dialect: Dialect, place: str, query: str = "") -> AsyncIterator[Answer]:
        """Ask for what costs nothing, with a key. Any status is an answer, a redirect too. Raises AttemptFailed.

        It goes over a connection of its own: that one can be made is a part of what is asked.
        """
        route = self._route(key_id)
        headers = {**route.sent_headers(dialect, {}), "Accept": JSON_TYPE, "Accept-Encoding": "identity"}
        url = _asking(route.base_url + place, kind_query(route.kind, query, route.api_version))
        sent = _Sent("GET", url, headers, b"", self._patience.first_byte, self._way(route), anew=True, keep=False)
        response = await self._head(sent, _unnoted)
        try:
            answer = Answer(response)
            try:
                answer.unpacked()
            except UnknownEncoding:
                answer.unreadable()
            yield answer
        finally:
            response.close()

    def _route(self, key_id: str) -> Route:
        """Raises AttemptFailed when the key has been removed since it was granted: another key may serve."""
        route = self._routes(key_id)
        if route is None:
            raise AttemptFailed(REFUSED, NoKey())
        return route

    def _way(self, route: Route) -> Egress:
        """The way out of this network: that of all, unless the upstream has its own."""
        if route.proxies is None and not route.ca_file:
            return self._egress
        return self._egress.but(route.proxies, route.ca_file)

    async def _head(self, sent: _Sent, sent_again: Callable[[], None]) -> Response:
        try:
            return await self._fresh_head(sent, sent_again)
        except CannotConnect as error:
            raise AttemptFailed(UNREACHABLE, UpstreamUnreachable()) from error
        except ConnectionDropped as error:
            raise AttemptFailed(DROPPED, BadAnswer(), gone=True) from error
        except NoAnswerInTime as error:
            raise AttemptFailed(TOO_SLOW, UpstreamTimeout()) from error
        except (HttpFailure, ValueError) as error:
            raise AttemptFailed(NONSENSE, BadAnswer()) from error

    async def _fresh_head(self, sent: _Sent, sent_again: Callable[[], None]) -> Response:
        """Send, and send again if the connection had been kept from an earlier request and was just being closed.

        That says nothing about the key, so it is no failed attempt. The second time goes over a new connection. One
        that is closed after a while, or within its answer, was not just being closed.
        """
        began = asyncio.get_running_loop().time()
        try:
            return await self._client.send(*sent)
        except ConnectionDropped as error:
            if not error.untouched or asyncio.get_running_loop().time() - began >= self._patience.stale:
                raise
        sent_again()
        return await self._client.send(*sent._replace(anew=True))


class _Sent(NamedTuple):
    """A request as the client takes it."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    patience: float  # seconds for the head of the answer
    egress: Egress
    anew: bool = False  # over a new connection
    keep: bool = True  # for the next request


class Sending:
    """A request on its way: entered, it gives the answer, and left, it is over.

    Not a generator's context manager, which would take as long as the rest of this.
    """

    __slots__ = ("_head", "_response", "_sent", "_sent_again")

    def __init__(
        self, head: Callable[[_Sent, Callable[[], None]], Awaitable[Response]], sent: _Sent, again: Callable[[], None]
    ) -> None:
        self._head, self._sent, self._sent_again = head, sent, again

    async def __aenter__(self) -> Answer:
        self._response = await self._head(self._sent, self._sent_again)
        try:
            answer = Answer(self._response)
            _insist_on_readable(answer)
        except BaseException:
            self._response.close()
            raise
        return answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()


def _asking(url: str, query: str) -> str:
    return f"{url}?{query}" if query else url


def _unnoted() -> None:
    """It is not counted how often a passed-through request was sent again."""


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
