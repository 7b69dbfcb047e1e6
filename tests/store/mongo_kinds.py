"""The MongoDB store as kinds for the one suite: by each driver on SecantusDB, and on a real server if there is one.

`TEST_MONGODB_URI` names such a server. Databases whose names begin with `fairgate_test_` are made there and removed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from pymongo import MongoClient

from server.store.mongo.connect import DRIVERS
from server.store.mongo.store import MongoStore
from tests.store.mongo_server import mongo_server

PREFIX = "fairgate_test_"
REAL = os.environ.get("TEST_MONGODB_URI")

# Of each kind the driver, and the fixture that is its server.
KINDS = {driver: (driver, "secantus_server") for driver in DRIVERS}
if REAL:
    KINDS |= {f"{driver}-real": (driver, "real_server") for driver in DRIVERS}


@pytest.fixture(scope="session")
def secantus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that is started now and serves all tests."""
    with mongo_server(tmp_path_factory.mktemp("mongo")) as url:
        yield url


@pytest.fixture(scope="session")
def real_server() -> str:
    """The URL of the server that the environment names."""
    assert REAL is not None
    return REAL


def mongo_kind(request: pytest.FixtureRequest, name: str) -> Callable[[Path], MongoStore]:
    """Makes stores of a kind in places of a test, and removes their databases when it ends."""
    driver, fixture = KINDS[name]
    server = request.getfixturevalue(fixture)

    def store(place: Path) -> MongoStore:
        url = mongo_url(server, place)
        request.addfinalizer(lambda: forget(url))
        return MongoStore(url, driver)

    return store


def mongo_url(server: str, place: Path) -> str:
    """The URL of a database of its own for this place."""
    name = PREFIX + hashlib.sha256(os.fsencode(place)).hexdigest()[:24]
    scheme, host, _, query, _ = urlsplit(server)
    return urlunsplit((scheme, host, f"/{name}", query, ""))


def forget(url: str) -> None:
    """Remove the database that a URL names."""
    with MongoClient[dict[str, object]](url) as client:
        client.drop_database(client.get_default_database().name)
