"""What providers keep belongs to whom it was made for, and is asked for with the key that made it."""

from __future__ import annotations

from typing import Any

import pytest

from keypool.keys import fingerprint
from tests.faults.asks import Ask, chat, error_in
from tests.faults.stage import Stage
from tests.gateways import spec
from tests.waiting.conftest import Opener
from tests.waiting.house import ask

ID = "resp_fake"


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


def response(text: str, **more: Any) -> Ask:
    return Ask("openai", "/v1/responses", {"model": "gpt-5", "input": text, **more})


@pytest.mark.gen_test
@pytest.mark.parametrize("stream", [False, True])
async def test_a_kept_answer_is_continued_by_its_maker_with_its_key_alone(keeping: Stage, stream: bool) -> None:
    await keeping.set()
    await ask(keeping, response("once upon a time", stream=stream))
    for number in range(6):
        heard = await ask(keeping, response(f"and then? {number}", previous_response_id=ID, stream=stream))
        assert heard.status == 200, "at once, while the one before may still be on its way to the store"
    await ask(keeping, response("something else"))
    *following, last = (fingerprint(str(record.key)) for record in keeping.records)
    await keeping.quiet()
    issued = await keeping.running.house.store.issued(ID)
    assert issued is not None
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
    assert (heard.status, error_in(heard.body)["code"]) == (404, "unknown_id")
    assert await forgetful.running.house.store.issued(ID) is None


def with_store(question: Ask) -> Ask:
    return Ask(question.dialect, question.path, question.document | {"store": True})
