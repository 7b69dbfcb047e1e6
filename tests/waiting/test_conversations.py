"""Conversations that a provider keeps: each belongs to who made it, and stays with the key that made it."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from keypool.health import KeyEvent
from server.config.specs import Secret
from server.policy.groups import Group, group_body
from server.store.base import Record
from server.wire.filters import Phrases
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Ask, error_in
from tests.faults.stage import Stage
from tests.gateways import Running, gateway, spec
from tests.waiting.conftest import Opener
from tests.waiting.services import ask

HELLO = {"type": "message", "role": "user", "content": "hello"}


@pytest.fixture(scope="module")
def keeping(open_stage: Opener) -> Stage:
    return open_stage(lambda fake: (spec(fake),), stateful=True, phrases=Phrases.of(["forbidden fruit"]))


async def asked(running: Running, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    """The status and the document that comes back."""
    headers = {"Authorization": f"Bearer {token or running.token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{running.url}/v1{path}", json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def said(stage: Stage, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    return await asked(stage.running, method, path, body, token)


async def made(stage: Stage, **body: Any) -> str:
    status, document = await said(stage, "POST", "/conversations", body)
    assert status == 200, document
    return str(document["id"])


def following(conversation: Any) -> Ask:
    return Ask("openai", "/v1/responses", {"model": "gpt-5", "input": "and?", "conversation": conversation})


@pytest.mark.gen_test
async def test_its_maker_sees_it_adds_to_it_answers_in_it_and_deletes_it(keeping: Stage) -> None:
    await keeping.set()
    name = await made(keeping, items=[HELLO], metadata={"topic": "x"})
    key = keeping.fake.kept.records[-1].key
    assert (await said(keeping, "GET", f"/conversations/{name}"))[1]["metadata"] == {"topic": "x"}
    await said(keeping, "POST", f"/conversations/{name}", {"metadata": {"topic": "y"}})
    _, added = await said(keeping, "POST", f"/conversations/{name}/items", {"items": [HELLO]})
    item = added["data"][0]["id"]
    _, listed = await said(keeping, "GET", f"/conversations/{name}/items?limit=5&secret=sk-1&include[]=reasoning.x")
    assert [each["id"] for each in listed["data"]] == ["msg_0", item]
    assert keeping.fake.kept.records[-1].request.query == "limit=5&include%5B%5D=reasoning.x"
    assert (await said(keeping, "GET", f"/conversations/{name}/items/{item}"))[1]["content"] == "hello"
    assert (await said(keeping, "DELETE", f"/conversations/{name}/items/{item}"))[1]["metadata"] == {"topic": "y"}
    for _ in range(3):
        assert (await ask(keeping, following(name))).status == 200
        assert (await ask(keeping, following({"id": name}))).status == 200
    assert (await said(keeping, "DELETE", f"/conversations/{name}"))[1]["deleted"] is True
    assert {each.key for each in keeping.fake.kept.records + keeping.records} == {key}, (
        "the other key was free all the time"
    )


@pytest.mark.gen_test
async def test_to_all_others_it_does_not_exist(keeping: Stage) -> None:
    await keeping.set()
    name = await made(keeping, items=[HELLO])
    other, before = await keeping.running.token_of("the-curious-one"), len(keeping.fake.kept.records)
    for method, path, body in [
        ("GET", f"/conversations/{name}", None),
        ("POST", f"/conversations/{name}", {"metadata": {}}),
        ("DELETE", f"/conversations/{name}", None),
        ("GET", f"/conversations/{name}/items", None),
        ("POST", f"/conversations/{name}/items", {"items": [HELLO]}),
        ("GET", f"/conversations/{name}/items/msg_0", None),
        ("DELETE", f"/conversations/{name}/items/msg_0", None),
    ]:
        status, document = await said(keeping, method, path, body, other)
        assert (status, document["error"]["code"]) == (404, "unknown_id"), (method, path)
    heard = await ask(keeping, following(name), other)
    assert (heard.status, error_in(heard.body)["code"]) == (404, "unknown_id")
    assert len(keeping.fake.kept.records) == before, "nothing of it goes upstream"


@pytest.mark.gen_test
async def test_what_is_put_into_it_is_read_first(keeping: Stage) -> None:
    await keeping.set()
    name = await made(keeping)
    before = len(keeping.fake.kept.records)
    item = f"/conversations/{name}/items"
    strange: Any = {"type": "item_reference", "id": "msg_of_another"}
    file = {"type": "message", "role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}
    fruit = HELLO | {"content": "a forbidden fruit"}
    for path, body, status, code in [
        (item, {"items": [strange]}, 404, "unknown_id"),
        (item, {"items": [file]}, 404, "unknown_id"),
        ("/conversations", {"items": [file]}, 404, "unknown_id"),
        (item, {"items": [fruit]}, 400, "prompt_rejected"),
        ("/conversations", {"items": [fruit]}, 400, "prompt_rejected"),
        (item, {"items": [HELLO], "model": "gpt-5"}, 400, "invalid_value"),
        (item, {"items": [HELLO] * 21}, 400, "invalid_value"),
        (item, {"items": "hello"}, 400, "invalid_value"),
        (f"/conversations/{name}", {"metadata": "x"}, 400, "invalid_value"),
        ("/conversations", [], 400, "invalid_json"),
    ]:
        heard = await said(keeping, "POST", path, body)
        assert (heard[0], heard[1]["error"]["code"]) == (status, code), body
    assert len(keeping.fake.kept.records) == before


@pytest.mark.gen_test
async def test_it_is_made_with_a_key_that_lives_and_is_lost_with_it(keeping: Stage) -> None:
    await keeping.set()
    name = await made(keeping)
    maker_key = keeping.fake.kept.records[-1].key
    maker = keeping.pool.keys[Secret(str(maker_key)).fingerprint]
    maker.whole.apply(KeyEvent.PAUSE, 0.0)
    assert (await said(keeping, "GET", f"/conversations/{name}"))[0] == 503
    await made(keeping)
    assert keeping.fake.kept.records[-1].key != maker_key
    maker.whole.apply(KeyEvent.RESUME, 0.0)


@pytest.mark.gen_test
async def test_where_a_group_keeps_what_its_members_send_no_text_goes_around_that(keeping: Stage) -> None:
    await keeping.set()
    services = keeping.running.services
    watched = Group(name="watched", content_days=7)
    await services.store.put_record(Record("group", "watched", group_body(watched)))
    token = await keeping.running.token_of("the-watched-one")
    person = await services.store.person_by_name("the-watched-one")
    assert person is not None
    await services.store.update_person(person.id, {"groups": ("watched",)})
    await services.book.sync()
    status, document = await said(keeping, "POST", "/conversations", {"items": [HELLO]}, token)
    assert (status, document["error"]["code"]) == (403, "texts_are_logged")
    assert (await said(keeping, "POST", "/conversations", {}, token))[0] == 200


@pytest.mark.gen_test
async def test_no_provider_that_keeps_none_is_asked_for_one_and_nothing_is_kept_by_default() -> None:
    async with FakeUpstream() as fake, gateway(fake, spec(fake, kind="ollama"), stateful=True) as running:
        status, document = await asked(running, "POST", "/conversations", {})
        assert (status, document["error"]["code"]) == (404, "no_conversations")
    async with FakeUpstream() as fake, gateway(fake) as running:
        for method, path in (("POST", "/conversations"), ("GET", "/conversations/conv_1/items")):
            status, document = await asked(running, method, path, {} if method == "POST" else None)
            assert (status, document["error"]["code"]) == (404, "stateful_disabled")
        status, document = await asked(running, "GET", "/chat/completions")
        assert status == 405 and "Ask for each by its id" in document["error"]["message"]
        assert fake.records == []


@pytest.mark.gen_test
async def test_the_metadata_of_a_kept_chat_is_its_maker_s_to_change(keeping: Stage) -> None:
    await keeping.set()
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "x"}], "store": True}
    answer = await ask(keeping, Ask("openai", "/v1/chat/completions", body))
    chat = json.loads(answer.body)["id"]
    assert (await said(keeping, "POST", f"/chat/completions/{chat}", {"metadata": {"a": "b"}}))[0] == 200
    assert json.loads(keeping.fake.kept.records[-1].request.body) == {"metadata": {"a": "b"}}
    assert (await said(keeping, "POST", f"/chat/completions/{chat}", {"messages": []}))[0] == 400
