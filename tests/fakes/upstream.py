"""A provider of our own: both dialects on a real socket, in the test's process and on its loop.

    async with FakeUpstream() as fake:
        fake.script("sk-one", rate_limit(retry_after=2), ok(words=100).repeat(3), revoked().for_ever())
        ...                                              # point the gateway at fake.base_url
        await fake.wait_for(lambda: fake.records[0].client_left_at)

What can be scripted is in `fates.py`, what is answered and counted in `model.py`, what is remembered in `ledger.py`.
Nothing here sleeps unless a fate says so.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Self

from tests.fakes import shapes_anthropic, shapes_openai, shapes_others, shapes_responses
from tests.fakes.conversations import PATH as CONVERSATIONS
from tests.fakes.delivery import Courier
from tests.fakes.fates import Answer, Content, Fate, Raw, Refuse, ok, revoked
from tests.fakes.http1 import Connection, Headers, Request
from tests.fakes.kept import PATH, KeptAnswers
from tests.fakes.ledger import Ledger, Outcome, Record
from tests.fakes.limits import Limits
from tests.fakes.model import Json, Reply
from tests.fakes.refusals import Said, bad_request, say_no, unknown_url
from tests.fakes.script import Script

MODELS = ("gpt-4o-mini", "claude-haiku-4-5", "text-embedding-3-small")
Shape = Callable[[Json, Content], Reply]
SHAPES: dict[str, Shape] = {
    "/v1/chat/completions": shapes_openai.chat,
    "/v1/completions": shapes_openai.completions,
    "/v1/responses": shapes_responses.responses,
    "/v1/responses/compact": shapes_responses.compact,
    "/v1/responses/input_tokens": lambda body, _content: shapes_responses.input_tokens(body),
    "/v1/embeddings": shapes_openai.embeddings,
    "/v1/moderations": shapes_openai.moderations,
    "/v1/images/generations": shapes_openai.images,
    "/v1/images/edits": shapes_others.edits,
    "/v1/images/variations": shapes_others.variations,
    "/v1/rerank": shapes_others.rerank,
    "/v1/audio/speech": shapes_openai.speech,
    "/v1/audio/transcriptions": shapes_openai.transcriptions,
    "/v1/audio/translations": shapes_openai.transcriptions,
    "/v1/messages": shapes_anthropic.messages,
    "/v1/complete": shapes_others.complete,
    "/v1/messages/count_tokens": lambda body, _content: shapes_anthropic.count_tokens(body),
}
FREE = ("/v1/models", "/v1/messages/count_tokens", "/v1/responses/input_tokens")
PLENTY = 1e9  # requests or tokens per minute, where a test sets no limit


class FakeUpstream:
    """The server. `keys` and `models`, where given, are all that it knows; else it takes any.

    `decide` looks at each request for an answer and gives its fate, or None: then the script decides.
    """

    def __init__(
        self,
        *,
        keys: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        default: Fate | None = None,
        decide: Callable[[Record], Fate | None] = lambda record: None,
    ) -> None:
        self._decide = decide
        self._keys = keys
        self._models = models
        self._script = Script(default or ok())
        self._ledger = Ledger()
        self._limits: dict[str, Limits] = {}
        self.kept = KeptAnswers()
        self._connections: set[Connection] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0
        self.connections_made = 0

    @property
    def url(self) -> str:
        """The address without a path, as the `anthropic` SDK wants it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """The address with `/v1`, as the `openai` SDK wants it."""
        return f"{self.url}/v1"

    @property
    def records(self) -> list[Record]:
        """Every request for an answer so far, in the order of arrival; askings for the list of models are `probes`."""
        return [record for record in self._ledger.records if record.request.method != "GET" and not _is_kept(record)]

    @property
    def probes(self) -> list[Record]:
        """Every asking for the list of models so far."""
        return [record for record in self._ledger.records if record.request.method == "GET"]

    @property
    def open_connections(self) -> int:
        """Connections that are open now, idle ones included."""
        return len(self._connections)

    @property
    def running(self) -> int:
        """Requests that are being answered (or left hanging) now."""
        return sum(record.outcome is Outcome.RUNNING for record in self.records)

    def of(self, key: str) -> list[Record]:
        """The records of a key."""
        return [record for record in self.records if record.key == key]

    def script(self, key: str | None, *fates: Fate, model: str | None = None) -> None:
        """Append to what will happen to the requests of a key (None: of any), or to those for one model."""
        self._script.add(key, model, fates)

    def forget_script(self) -> None:
        """From now on everything goes well (`default`) again."""
        self._script.forget()

    def limit(self, *keys: str, rpm: float = PLENTY, tpm: float = PLENTY, headers: bool = True) -> None:
        """Give these keys one organisation's real limits, per minute; a full bucket is a minute's worth.

        Without `headers` no answer says what is left.
        """
        limits = Limits(rpm, tpm, asyncio.get_running_loop().time(), silent=not headers)
        self._limits |= dict.fromkeys(keys, limits)

    async def wait_for(self, predicate: Callable[[], object], seconds: float = 5.0) -> None:
        """Return as soon as the predicate over the records and counters holds; TimeoutError after so many seconds."""
        await self._ledger.wait_for(predicate, seconds)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(self._connection, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close the port and cut all connections; entering the context again opens the same port."""
        self._server.close()
        for connection in list(self._connections):
            connection.reset()
        await self.wait_for(lambda: not self._connections)
        await self._server.wait_closed()
        for end in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(end, Exception):
                raise end  # a fault of the fake's, or a request that is no HTTP

    def _connection(self) -> Connection:
        return Connection(self._exchange, self._opened, self._lost)

    def _opened(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._tasks.append(connection.task)
        self.connections_made += 1
        self._ledger.changed()

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._ledger.changed()

    async def _exchange(self, connection: Connection, request: Request) -> None:
        """One request from its arrival to its last byte; the record is closed in any case."""
        record = self._ledger.add(_open_record(request, len(self._ledger.records)))
        outcome = Outcome.STOPPED
        try:
            outcome = await self._answer(Courier(connection, record, self._ledger.changed), record)
        except asyncio.CancelledError:
            record.client_left_at = connection.left_at
            outcome = Outcome.STOPPED if connection.left_at is None else Outcome.CLIENT_LEFT
            raise
        finally:
            record.outcome = outcome
            record.finished_at = asyncio.get_running_loop().time()
            self._ledger.changed()

    async def _answer(self, courier: Courier, record: Record) -> Outcome:
        fate = self._fate_of(record)
        record.fate = fate.name
        self._ledger.changed()
        if isinstance(fate, Raw):
            await courier.misbehave(fate)
            return Outcome.BROKEN
        if isinstance(fate, Refuse):
            return await self._refuse(courier, record, _say(fate, record))
        assert isinstance(fate, Answer)
        reply = self._reply(record, fate.content)
        if isinstance(reply, Said):
            return await self._refuse(courier, record, reply)
        if exhausted := self._take_from_limits(record, reply):
            record.fate = exhausted.name
            return await self._refuse(courier, record, _say(exhausted, record))
        await courier.answer(reply, fate.delivery, self._headers(record))
        spoilt = fate.delivery.stop_after is not None or fate.delivery.error_after is not None
        return Outcome.BROKEN if spoilt else Outcome.ANSWERED

    async def _refuse(self, courier: Courier, record: Record, said: Said) -> Outcome:
        await courier.refuse(said, self._headers(record))
        return Outcome.REFUSED

    def _fate_of(self, record: Record) -> Fate:
        if record.key is None or (self._keys is not None and record.key not in self._keys):
            return revoked()
        if _is_kept(record):
            return ok()
        if record.path in FREE:
            return self._script.peek(record.key, record.model)
        if (decided := self._decide(record)) is not None:
            return decided
        fate = self._script.take(record.key, record.model)
        if self._models is not None and record.model is not None and record.model not in self._models:
            return Refuse(name="model_missing", variant="404")
        return fate

    def _reply(self, record: Record, content: Content) -> Reply | Said:
        method, path, dialect = record.request.method, record.path, record.dialect
        if dialect == "anthropic" and record.request.header("anthropic-version") is None:
            return bad_request(dialect, "anthropic-version: header is required")
        if (method, path) == ("GET", "/v1/models"):
            names = tuple(self._models or MODELS)
            return shapes_anthropic.models(names) if dialect == "anthropic" else shapes_openai.models(names)
        if (kept := self.kept.reply(record)) is not None:
            return kept
        shape = SHAPES.get(path)
        if method != "POST" or shape is None:
            return unknown_url(dialect, method, path)
        try:
            body = _read_body(record.request)
            return self.kept.begun(record, body, content) or shape(body, content)
        except KeyError as error:
            return bad_request(dialect, f"Missing required parameter: {error}.", str(error.args[0]))
        except (ValueError, TypeError, AttributeError, IndexError):
            return bad_request(dialect, "We could not parse the body of your request.")

    def _take_from_limits(self, record: Record, reply: Reply) -> Refuse | None:
        if record.path in FREE:
            return None
        ran_out = self._limits_of(record).take(reply.usage.input + reply.usage.output, record.started_at)
        return Refuse(name="rate_limit", variant=ran_out[0], retry_after=ran_out[1]) if ran_out else None

    def _limits_of(self, record: Record) -> Limits:
        return self._limits.setdefault(record.key or "", Limits(PLENTY, PLENTY, record.started_at))

    def _headers(self, record: Record) -> Headers:
        """What a provider says about itself in every answer; most of it is nobody else's business."""
        name = "request-id" if record.dialect == "anthropic" else "x-request-id"
        limits = self._limits_of(record).headers(record.dialect) if record.path not in FREE else []
        return [
            (name, f"req_{record.number:04}"),
            ("server", "cloudflare"),
            ("set-cookie", "__cf_bm=fake; path=/; HttpOnly"),
            (f"{record.dialect}-organization", "org-fake"),
            ("openai-processing-ms", "7"),
            *limits,
        ]


def _is_kept(record: Record) -> bool:
    return any(path.fullmatch(record.path) for path in (PATH, CONVERSATIONS))


def _open_record(request: Request, number: int) -> Record:
    dialect = "openai"
    if request.path.startswith("/v1/messages") or request.header("anthropic-version"):
        dialect = "anthropic"
    bearer = (request.header("authorization") or "").removeprefix("Bearer ")
    key = request.header("x-api-key") or bearer or None
    return Record(number, request, dialect, key, _model_of(request), asyncio.get_running_loop().time())


def _model_of(request: Request) -> str | None:
    try:
        return str(_read_body(request)["model"])
    except (ValueError, KeyError, TypeError):
        return None


def _read_body(request: Request) -> Json:
    if (request.header("content-type") or "").startswith("multipart/"):
        return shapes_openai.read_form(request.body)
    body: Json = json.loads(request.body)
    return body


def _say(fate: Refuse, record: Record) -> Said:
    return say_no(fate, record.dialect, record.key or "", record.model or "")
