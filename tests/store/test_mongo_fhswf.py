"""The requests of fhswf's openai-proxy are read from a MongoDB as that proxy writes them."""

from __future__ import annotations

import pytest
from pymongo import MongoClient

from server.policy.commands import CommandError
from server.store.mongo.requests_of_fhswf import users_of
from tests.store.mongo_kinds import secantus_server

__all__ = ["secantus_server"]


def request(number: int, subject: str, name: str) -> dict[str, object]:
    user = {"name": name, "email": f"{name}@example.org", "sub": subject, "preferred_username": name.lower()}
    user_and_groups = {**user, "affiliations": {"example.org": ["member", "student"]}}
    return {"user": user_and_groups, "req_id": f"r{number}", "model": "gpt-4", "date": 1_700_000_000_000 + number}


@pytest.mark.gen_test
async def test_each_user_is_named_once_as_the_last_request_says(secantus_server: str) -> None:
    client: MongoClient[dict[str, object]] = MongoClient(secantus_server)
    rows = [request(2, "1", "Ada L."), request(1, "1", "Ada"), request(3, "2", "Bob"), {"req_id": "r4"}]
    client["accounting"].requests.insert_many(rows)
    client.close()
    users = await users_of(secantus_server, "pymongo")
    assert sorted(each["name"] for each in users) == ["Ada L.", "Bob"]
    with pytest.raises(CommandError, match="the URI has to be mongodb"):
        await users_of("postgres://localhost", "pymongo")
