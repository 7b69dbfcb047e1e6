"""What providers keep belongs to whom it was made for, and is asked for with the key that made it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keypool.health import KeyEvent
from server.config.specs import Secret
from tests.fakes.fates import Raw
from tests.faults.asks import Ask, chat, error_in
from tests.faults.stage import Stage
from tests.gateways import spec
from tests.waiting.conftest import Opener
from tests.waiting.services import ask

ID = "resp_fake"

SEALED = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
UNSEEN = SEALED | {"encrypted_content": "gBBB"}
CONTAINER = {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "code": "1"}
CITED = {"type": "container_file_citation", "container_id": "cntr_1", "file_id": "cfile_1"}
TEXT = {"type": "output_text", "text": "done", "annotations": [CITED]}
BODY = json.dumps(
    {
        "id": "resp_made",
        "object": "response",
        "status": "completed",
        "model": "gpt-5",
        "output": [SEALED, CONTAINER, {"type": "message", "id": "msg_1", "role": "assistant", "content": [TEXT]}],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    }
).encode()
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
MAKING = Raw(name="making", data=HEAD + BODY, seen_by_probes=False)
NAMING: dict[str, list[dict[str, Any]]] = {
    "item_reference": [{"type": "item_reference", "id": "rs_1"}, {"role": "user", "content": "x"}],
    "input_file": [{"role": "user", "content": [{"type": "input_file", "file_id": "cfile_1"}]}],
}


@pytest.fixture(scope="module")
def keeping(open_stage: Opener) -> Stage:
    return open_stage(lambda fake: (spec(fake),), stateful=True)


@pytest.fixture(scope="module")
def forgetful(open_stage: Opener) -> Stage:
    """As it is by default."""
    return open_stage(lambda fake: (spec(fake),))


@pytest.fixture(scope="module")
def untouched(open_stage: Opener) -> Stage:
    """One that has kept nothing yet."""
    return open_stage(lambda fake: (spec(fake),), stateful=True)


@pytest.fixture(scope="module")
def one_organisation(open_stage: Opener) -> Stage:
    """Its keys share what a provider gives to an organisation."""
    return open_stage(lambda fake: (spec(fake, organisation="ours"),))


def response(text: str, **more: Any) -> Ask:
    return Ask("openai", "/v1/responses", {"model": "gpt-5", "input": text} | more)


@pytest.mark.gen_test
@pytest.mark.parametrize("stream", [False, True])
async def test_a_kept_answer_is_continued_by_its_maker_with_its_key_alone(keeping: Stage, stream: bool) -> None:
    await keeping.set()
    await ask(keeping, response("once upon a time", stream=stream))
    for number in range(6):
        heard = await ask(keeping, response(f"and then? {number}", previous_response_id=ID, stream=stream))
        assert heard.status == 200, "at once, while the one before may still be on its way to the store"
    await ask(keeping, response("something else"))
    *following, last = (Secret(str(record.key)).fingerprint for record in keeping.records)
    await keeping.quiet()
    issued = (await keeping.running.services.store.issued([ID]))[ID]
    assert following[1:] == [issued.key] * 6
    assert last != issued.key, "the other key was free all the time, and had served less"


@pytest.mark.gen_test
async def test_what_somebody_else_made_does_not_exist(keeping: Stage) -> None:
    await keeping.set()
    other = await keeping.running.token_of("the-curious-one")
    await ask(keeping, response("my secret"))
    before = len(keeping.records)
    heard = await ask(keeping, response("tell me", previous_response_id=ID), other)
    nothing = await ask(keeping, response("tell me", previous_response_id="resp_never"), other)
    assert (heard.status, error_in(heard.body)["code"]) == (404, "unknown_id")
    assert error_in(heard.body) == error_in(nothing.body), "and nobody can tell the difference"
    assert len(keeping.records) == before


@pytest.mark.gen_test
async def test_an_answer_that_was_not_to_be_kept_cannot_be_continued(untouched: Stage) -> None:
    assert (await ask(untouched, response("forget this", store=False))).status == 200
    heard = await ask(untouched, response("what?", previous_response_id=ID))
    assert (heard.status, error_in(heard.body)["code"]) == (404, "unknown_id")


@pytest.mark.gen_test
async def test_keeping_may_be_asked_for_where_the_operator_allows_it(keeping: Stage) -> None:
    await keeping.set()
    for asked in (response("keep", store=True), with_store(chat("keep", stream=False))):
        assert (await ask(keeping, asked)).status == 200


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (response("q", store=True), "store"),
        (response("q", background=True), "background"),
        (response("q", conversation="conv_1"), "conversation"),
        (Ask("openai", "/v1/chat/completions", chat("q", stream=False).document | {"store": True}), "store"),
    ],
    ids=["response", "background", "conversation", "chat"],
)
async def test_by_default_nothing_is_kept(forgetful: Stage, asked: Ask, param: str) -> None:
    await forgetful.set()
    heard = await ask(forgetful, asked)
    error = error_in(heard.body)
    assert (heard.status, error["code"], error["param"]) == (400, "stateful_disabled", param)
    assert forgetful.records == []


@pytest.mark.gen_test
async def test_by_default_there_is_nothing_to_continue(forgetful: Stage) -> None:
    await forgetful.set()
    assert (await ask(forgetful, response("once"))).status == 200
    heard = await ask(forgetful, response("and then?", previous_response_id=ID))
    error = error_in(heard.body)
    assert (heard.status, error["code"], error["param"]) == (400, "stateful_disabled", "previous_response_id")
    assert "reasoning.encrypted_content" in error["message"], "it says what to do instead"
    assert await forgetful.running.services.store.issued([ID]) == {}


@pytest.mark.gen_test
async def test_by_default_a_response_that_says_nothing_is_not_kept(forgetful: Stage) -> None:
    await forgetful.set()
    for more in ({}, {"store": None}, {"store": False}):
        assert (await ask(forgetful, response("once", **more))).status == 200
    assert [json.loads(each.body)["store"] for each in forgetful.records] == [False] * 3
    assert forgetful.records[0].body.startswith(b'{"store":false,"model":'), "the rest is as it came"


@pytest.mark.gen_test
@pytest.mark.parametrize("name", ["item_reference", "input_file"])
async def test_by_default_no_body_may_name_what_is_kept(forgetful: Stage, name: str) -> None:
    await forgetful.set()
    heard = await ask(forgetful, response("x", input=NAMING[name]))
    error = error_in(heard.body)
    assert (heard.status, error["code"]) == (400, "stateful_disabled")
    assert forgetful.records == []


@pytest.mark.gen_test
async def test_what_an_answer_made_is_named_by_its_maker_with_its_key_alone(keeping: Stage) -> None:
    await keeping.set()
    other = await keeping.running.token_of("the-envious-one")
    keeping.fake.script(None, MAKING)
    assert (await ask(keeping, response("make it"))).status == 200
    for named in [*NAMING.values()] * 2:
        assert (await ask(keeping, response("x", input=named))).status == 200
    maker, *users = (record.key for record in keeping.records)
    assert users == [maker] * 4
    for named in NAMING.values():
        heard = await ask(keeping, response("x", input=named), other)
        assert (heard.status, error_in(heard.body)["code"]) == (404, "unknown_id")
    assert len(keeping.records) == 5


@pytest.mark.gen_test
async def test_a_prompt_that_the_operator_has_kept_is_not_for_everybody(keeping: Stage) -> None:
    await keeping.set()
    heard = await ask(keeping, response("x", prompt={"id": "pmpt_1"}))
    assert (heard.status, error_in(heard.body)["param"]) == (404, "prompt")
    assert keeping.records == []


@pytest.mark.gen_test
async def test_encrypted_content_is_read_by_the_key_that_made_it(forgetful: Stage) -> None:
    """Each question is the first of its conversation, so that nothing else leads to that key."""
    await forgetful.set()
    forgetful.fake.script(None, MAKING)
    await ask(forgetful, response("think"))
    for number in range(4):
        assert (await ask(forgetful, response("x", input=[SEALED, question(f"{number}")]))).status == 200
    maker, *readers = (record.key for record in forgetful.records)
    assert readers == [maker] * 4
    assert (await ask(forgetful, response("x", input=[UNSEEN, question("and?")]))).status == 200, "who knows who can"


@pytest.mark.gen_test
async def test_encrypted_content_of_a_key_that_is_gone_is_said_to_be_lost(forgetful: Stage) -> None:
    await forgetful.set()
    forgetful.fake.script(None, MAKING)
    await ask(forgetful, response("think"))
    maker = forgetful.pool.keys[Secret(str(forgetful.records[0].key)).fingerprint]
    maker.whole.apply(KeyEvent.PAUSE, 0.0)
    heard = await ask(forgetful, response("x", input=[SEALED, question("and?")]))
    error = error_in(heard.body)
    assert (heard.status, error["code"]) == (400, "invalid_encrypted_content")
    assert "store: false" in error["message"]
    assert len(forgetful.records) == 1


@pytest.mark.gen_test
async def test_every_key_of_an_organisation_can_read_its_encrypted_content(one_organisation: Stage) -> None:
    await one_organisation.set()
    one_organisation.fake.script(None, MAKING)
    await ask(one_organisation, response("think"))
    maker = one_organisation.pool.keys[Secret(str(one_organisation.records[0].key)).fingerprint]
    maker.whole.apply(KeyEvent.PAUSE, 0.0)
    assert (await ask(one_organisation, response("x", input=[SEALED, question("and?")]))).status == 200
    assert one_organisation.records[1].key != one_organisation.records[0].key


def question(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def with_store(question: Ask) -> Ask:
    return Ask(question.dialect, question.path, question.document | {"store": True})
