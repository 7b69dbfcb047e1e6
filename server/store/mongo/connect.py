"""The way to MongoDB: the only module that knows which driver carries us there, and what its failures are called.

Two drivers speak for us: motor, and PyMongo's own asynchronous client that is taking its place. They differ in what has
to be awaited (closing, aggregating) and in nothing else that is used here, so that everything is written and typed for
the second.

Every write waits until a majority of the servers has it in its journal: what was acknowledged survives the death of
any one of them. A server that cannot be found is an outage after two seconds.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from server.store.base import StoreError

Document = dict[str, Any]
Client = AsyncMongoClient[Document]
Database = AsyncDatabase[Document]
Collection = AsyncCollection[Document]

SCHEMES = ("mongodb://", "mongodb+srv://")
DRIVERS = ("motor", "pymongo")
DATABASE = "fairgate"  # where the URL names none
_OPTIONS: dict[str, Any] = {
    "appname": "fairgate",
    "w": "majority",
    "journal": True,
    "serverSelectionTimeoutMS": 2_000,
    "connectTimeoutMS": 2_000,
    "socketTimeoutMS": 20_000,
}

P = ParamSpec("P")
T = TypeVar("T")


def check_url(url: str) -> None:
    """`ValueError`, without repeating the URL, if it does not name a MongoDB. Nothing is looked up or connected."""
    if not url.startswith(SCHEMES):
        raise ValueError("the store's URL has to be mongodb://... or mongodb+srv://...")
    try:
        # The hosts of a mongodb+srv URL stand in the name service, which is asked when the store is opened.
        parse_uri(url.replace("mongodb+srv://", "mongodb://", 1), warn=False)
    except (PyMongoError, ValueError):
        raise ValueError("the store's URL is none that MongoDB understands") from None


def connect(url: str, driver: str) -> tuple[Client, Database]:
    """A client, which connects at its first word, and the database that the URL names."""
    if driver == "motor":
        from motor.motor_asyncio import AsyncIOMotorClient

        client = cast(Client, AsyncIOMotorClient(url, **_OPTIONS))
    else:
        client = AsyncMongoClient(url, **_OPTIONS)
    return client, client.get_default_database(DATABASE)


async def disconnect(client: Client) -> None:
    """Let the connections go."""
    closing: object = await asyncio.to_thread(client.close)  # motor's waits for the server to say good-bye
    if inspect.isawaitable(closing):
        await closing


async def aggregated(collection: Collection, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
    """All that a pipeline gives."""
    cursor: Any = collection.aggregate(pipeline)
    if inspect.isawaitable(cursor):
        cursor = await cursor
    return cast(list[Document], await cursor.to_list(None))


async def upsert(collection: Collection, which: Mapping[str, Any], change: Mapping[str, Any]) -> None:
    """Change a document, or make it. Of two that make it at once, one fails, and changes what the other one made."""
    try:
        await collection.update_one(which, change, upsert=True)
    except DuplicateKeyError:
        await collection.update_one(which, change, upsert=True)


async def together(*works: Awaitable[Any]) -> None:
    """Do these at once and wait for all of them, so that a failure leaves nothing under way."""
    for answer in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


@contextmanager
def border() -> Iterator[None]:
    """The driver's exceptions do not leave the store. They may quote a value, so only their kind is named."""
    try:
        yield
    except PyMongoError as error:
        code = f" {error.code}" if isinstance(error, OperationFailure) and error.code else ""
        raise StoreError(f"the database failed: {type(error).__name__}{code}") from error


class Connected:
    """The base of all groups of verbs: the connection, and the verbs that are under way over it."""

    def __init__(self, url: str, driver: str) -> None:
        check_url(url)
        if driver not in DRIVERS:
            raise ValueError(f"the store's driver has to be one of {', '.join(DRIVERS)}")
        self._url, self._driver = url, driver
        self._client: Client | None = None
        self._database: Database | None = None

    @property
    def _db(self) -> Database:
        if self._database is None:
            raise StoreError("the store is not open")
        return self._database

    async def _connect(self) -> None:
        self._client, self._database = connect(self._url, self._driver)

    async def _disconnect(self) -> None:
        client, self._client, self._database = self._client, None, None
        if client is not None:
            await disconnect(client)


S = TypeVar("S", bound=Connected)


def verb(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """A verb of the store: an outage of the database is a `StoreError`."""

    @wraps(method)
    async def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with border():
            return await method(self, *args, **kwargs)

    return guarded
