"""OAI Reverse Proxy: its addresses, and its administrators' interface."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest

from tests.clients.talking import CLAUDE
from tests.compat.commands import Said, curl
from tests.compat.services import AUTHORIZED, old_models, settings, settled
from tests.faults.conftest import Opener
from tests.faults.stage import Stage

QUESTION: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage(old_models, **settings())


async def users(stage: Stage, path: str = "", document: Any = None, method: str = "GET", by: str = AUTHORIZED) -> Said:
    body = "" if document is None else f"-H 'content-type: application/json' -d '{json.dumps(document)}'"
    return await curl(f"curl -X {method} {by} {body} {stage.running.url}/admin/users{path}")


@pytest.mark.parametrize("path", ["/proxy/openai", "/proxy/openai/v1"])
@pytest.mark.gen_test
async def test_a_missing_version_is_added_for_openai(stage: Stage, path: str) -> None:
    async with openai.AsyncOpenAI(api_key=stage.running.token, base_url=stage.running.url + path) as client:
        answer = await client.chat.completions.create(model="gpt-5", messages=QUESTION)
        assert answer.choices[0].message.content
        assert "gpt-5" in [model.id async for model in client.models.list()]


@pytest.mark.gen_test
async def test_a_missing_version_is_added_for_anthropic(stage: Stage) -> None:
    headers = f'-H "x-api-key: {stage.running.token}" -H "content-type: application/json"'
    body = json.dumps({"model": CLAUDE, "max_tokens": 9, "messages": QUESTION})
    said = await curl(f"curl {stage.running.url}/proxy/anthropic/messages {headers} -d '{body}'")
    assert (said.status, said.json["type"]) == (200, "message")
    base = f"{stage.running.url}/proxy/anthropic"
    async with anthropic.AsyncAnthropic(api_key=stage.running.token, base_url=base) as client:
        answer = await client.messages.create(model=CLAUDE, max_tokens=9, messages=QUESTION)
    assert answer.content


@pytest.mark.gen_test
async def test_health_and_status_have_their_old_names(stage: Stage) -> None:
    assert (await curl(f"curl {stage.running.url}/health")).json == {"status": "ok"}
    assert (await curl(f"curl {stage.running.url}/status")).json["models"]


@pytest.mark.gen_test
async def test_a_users_token_is_told_once_and_works(stage: Stage) -> None:
    made = (await users(stage, document={"nickname": "berta", "maxIps": 2, "adminNote": "guest"}, method="POST")).json
    headers = f'-H "Authorization: Bearer {made["token"]}" -H "content-type: application/json"'
    body = json.dumps({"model": "gpt-5", "messages": QUESTION})
    answer = await curl(f"curl {stage.running.url}/proxy/openai/v1/chat/completions {headers} -d '{body}'")
    assert answer.status == 200
    await settled(stage.running)
    user = (await users(stage, f"/{made['id']}")).json
    assert made["token"] not in json.dumps(user)
    assert (user["nickname"], user["promptCount"], user["maxIps"], user["adminNote"]) == ("berta", 1, 2, "guest")
    assert user["tokenCounts"] == {"gpt-5": answer.json["usage"]["total_tokens"]}
    assert user["lastUsedAt"] >= user["createdAt"]
    listed = (await users(stage)).json
    assert listed["count"] == len(listed["users"])
    assert made["id"] in [each["token"] for each in listed["users"]]


@pytest.mark.gen_test
async def test_a_temporary_user_has_an_end_and_a_bound(stage: Stage) -> None:
    end = stage.running.services.wall() + 3_600_000
    document = {"type": "temporary", "expiresAt": end, "tokenLimits": {"gpt-4*": 1000, "claude*": 0}}
    made = (await users(stage, document=document, method="POST")).json
    user = (await users(stage, f"/{made['id']}")).json
    assert (user["type"], user["expiresAt"], user["tokenLimits"]) == ("temporary", end, {"gpt-4*": 1000})


@pytest.mark.gen_test
async def test_a_deleted_user_is_disabled_for_good(stage: Stage) -> None:
    made = (await users(stage, document={}, method="POST")).json
    gone = (await users(stage, f"/{made['id']}", method="DELETE")).json
    assert (gone["disabledReason"], gone["disabledAt"] is None) == ("revoked", False)
    headers = f'-H "Authorization: Bearer {made["token"]}"'
    assert (await curl(f"curl {headers} {stage.running.url}/v1/models")).status == 401
    assert (await users(stage, f"/{made['id']}", gone | {"disabledAt": None}, "PUT")).status == 400


@pytest.mark.gen_test
async def test_what_was_read_may_be_written_back_with_another_note(stage: Stage) -> None:
    made = (await users(stage, document={"nickname": "carla"}, method="POST")).json
    user = (await users(stage, f"/{made['id']}")).json
    changed = (await users(stage, f"/{made['id']}", user | {"adminNote": "knows why"}, "PUT")).json
    assert changed["adminNote"] == "knows why"
    many = (await users(stage, document={"users": [{"token": made["id"], "disabledAt": 1}]}, method="PUT")).json
    assert many["count"] == 1
    assert many["upserted_users"][0]["disabledReason"] == "revoked"


@pytest.mark.parametrize(
    "document",
    [
        {"type": "admin"},
        {"type": "temporary"},
        {"expiresAt": 1},
        {"maxIps": -1},
        {"nickname": " "},
        {"nickname": "operator"},
        {"tokenLimits": {"a b\n": 1}},
        {"tokenLimits": {"gpt": 1.5}},
        {"token": "chosen-by-me"},
    ],
)
@pytest.mark.gen_test
async def test_a_user_that_makes_no_sense_is_refused(stage: Stage, document: dict[str, Any]) -> None:
    before = (await users(stage)).json["count"]
    assert (await users(stage, document=document, method="POST")).status == 400
    assert (await users(stage)).json["count"] == before


@pytest.mark.parametrize("field", ["nickname", "type", "maxIps", "expiresAt", "tokenLimits", "whatever"])
@pytest.mark.gen_test
async def test_what_cannot_be_changed_is_refused_not_forgotten(stage: Stage, field: str) -> None:
    made = (await users(stage, document={}, method="POST")).json
    assert (await users(stage, f"/{made['id']}", {field: "else"}, "PUT")).status == 400


@pytest.mark.gen_test
async def test_users_are_shown_to_administrators_only(stage: Stage) -> None:
    assert (await users(stage, by="")).status == 401
    assert (await users(stage, by=f'-H "Authorization: Bearer {stage.running.token}"')).status == 403
    assert (await users(stage, document={}, method="POST", by="")).status == 401
    assert (await users(stage, "/tok_unknown")).status == 404
    assert (await users(stage, "/tok_unknown", method="DELETE")).status == 404
