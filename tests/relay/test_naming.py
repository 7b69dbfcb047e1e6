"""Which model serves a call: that of an alias, or the other one that its caller consents to when theirs is slow."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from server.policy.aliases import Aliases, parse_aliases
from server.policy.groups import group_of, rights_of
from server.relay.context import Call
from server.relay.naming import Wait, served_by
from server.store.base import Caller
from server.wire.endpoints import ENDPOINTS
from server.wire.errors import InvalidJson, InvalidValue
from server.wire.fallback import Fallback, fallback_of
from server.wire.model_name import in_path
from server.wire.multipart import read_fields
from server.wire.request import read_request

CHAT = ENDPOINTS["/v1/chat/completions"]
JSON = "application/json"
NOBODY = Aliases()
FORM = 'multipart/form-data; boundary="b"'


def call(model: str, fallback: Fallback | None = None, **more: object) -> Call:
    body = {"model": model, "messages": [{"role": "user", "content": 'the model is "model": 5'}], **more}
    request = read_request(CHAT, json.dumps(body).encode(), JSON)
    return Call("r", Caller("p", "Ada", "t"), request, {}, "", fallback=fallback)


def waits(seconds: Mapping[str, float]) -> Wait:
    async def wait(_: Call, model: str) -> float | None:
        return seconds.get(model)

    return wait


@pytest.mark.gen_test
async def test_without_an_alias_the_request_is_the_same_object() -> None:
    asked = call("gpt-5")
    assert await served_by(asked, NOBODY, waits({})) is asked


@pytest.mark.gen_test
async def test_an_alias_is_its_model_from_there_on() -> None:
    asked = call("main", stream=True, temperature=0.5)
    found = await served_by(asked, Aliases(parse_aliases("main=gpt-5")), waits({}))
    assert (found.request.model, found.alias) == ("gpt-5", "main")
    sent = json.loads(found.request.body)
    assert sent == {**json.loads(asked.request.body), "model": "gpt-5"}
    assert found.request.hides_usage and found.request.added == (
        "stream_options",
    )  # we asked for it, the caller did not
    assert found.request.conversation == asked.request.conversation


@pytest.mark.gen_test
async def test_a_hosted_tool_of_the_model_is_seen_behind_its_alias() -> None:
    aliases = Aliases(parse_aliases("search=gpt-4o-search-preview"))
    direct = call("gpt-4o-search-preview").request.hosted
    assert (
        (await served_by(call("search"), aliases, waits({}))).request.hosted == direct != call("search").request.hosted
    )


@pytest.mark.parametrize(
    ("own", "other", "served"),
    [(30.0, 0.0, "small"), (30.0, 29.0, "small"), (20.0, 0.0, "gpt-5"), (30.0, 30.0, "gpt-5"), (0.0, 0.0, "gpt-5")],
)
@pytest.mark.gen_test
async def test_another_model_serves_only_who_would_wait_longer_than_they_say(
    own: float, other: float, served: str
) -> None:
    wait = waits({"gpt-5": own, "small": other})
    found = await served_by(call("gpt-5", Fallback("small", 20.0)), NOBODY, wait)
    assert found.request.model == served
    assert found.alias == ("" if served == "gpt-5" else "gpt-5")
    assert (await served_by(call("gpt-5"), NOBODY, wait)).request.model == "gpt-5"  # never without consent


@pytest.mark.gen_test
async def test_a_fallback_that_its_caller_cannot_use_is_named_also_when_it_is_not_needed() -> None:
    with pytest.raises(InvalidValue) as caught:
        await served_by(call("gpt-5", Fallback("small", 20.0)), NOBODY, waits({"gpt-5": 0.0}))
    assert caught.value.param == "X-Fairgate-Fallback"


@pytest.mark.parametrize(
    "body", [b'{"messages":[]}', b'{"model":"other","messages":[]}', b'{"model":"m","messages":[]}']
)
def test_the_model_of_a_path_counts(body: bytes) -> None:
    found = in_path(CHAT, body, JSON, "m")
    assert json.loads(found) == {"model": "m", "messages": []}
    assert found is body or b'"model":"m"' not in body


def test_a_body_that_reads_in_two_ways_is_refused_before_it_is_written_anew() -> None:
    with pytest.raises(InvalidJson):
        in_path(CHAT, b'{"model":"a","model":"b","messages":[]}', JSON, "m")


@pytest.mark.parametrize("field", ["", '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nother\r\n'])
def test_a_form_gets_the_model_of_its_path(field: str) -> None:
    file = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nxyz\r\n--b--\r\n'
    found = in_path(ENDPOINTS["/v1/audio/transcriptions"], (field + file).encode(), FORM, "whisper-1")
    assert read_fields(found, FORM) == {"model": "whisper-1", "file": ""}


# A group's consent


@pytest.mark.parametrize(
    ("own", "other", "served"), [(30.0, 0.0, "small"), (20.0, 0.0, "gpt-5"), (30.0, 31.0, "gpt-5")]
)
@pytest.mark.gen_test
async def test_a_group_consents_for_its_members(own: float, other: float, served: str) -> None:
    wait = waits({"gpt-5": own, "small": other})
    found = await served_by(call("gpt-5"), NOBODY, wait, Fallback("small", 20.0))
    assert found.request.model == served
    assert found.fallback is not None  # so the answer says which model it was


@pytest.mark.gen_test
async def test_a_callers_own_word_goes_before_their_groups() -> None:
    wait, of_group = waits({"gpt-5": 30.0, "small": 0.0, "mine": 1.0}), Fallback("small", 20.0)
    assert (await served_by(call("gpt-5", fallback_of("off")), NOBODY, wait, of_group)).request.model == "gpt-5"
    assert (await served_by(call("gpt-5", Fallback("mine", 2.0)), NOBODY, wait, of_group)).request.model == "mine"


@pytest.mark.gen_test
async def test_a_model_that_a_member_cannot_use_is_no_error_of_theirs() -> None:
    found = await served_by(call("gpt-5"), NOBODY, waits({"gpt-5": 30.0}), Fallback("small", 20.0))
    assert found.request.model == "gpt-5"


@pytest.mark.gen_test
async def test_an_embedding_is_of_the_model_that_was_asked_for() -> None:
    body = json.dumps({"model": "embed", "input": "hello"}).encode()
    request = read_request(ENDPOINTS["/v1/embeddings"], body, JSON)
    asked = Call("r", Caller("p", "Ada", "t"), request, {}, "")
    wait = waits({"embed": 30.0, "small": 0.0})
    assert await served_by(asked, NOBODY, wait, Fallback("small", 20.0)) is asked


def test_rights_have_the_consent_of_the_first_group_that_gives_one() -> None:
    groups = {name: group_of(name, {"fallback": text}) for name, text in (("a", ""), ("b", "small; wait=5"))}
    assert rights_of(["a", "b"], groups, 0).fallback == Fallback("small", 5.0)
    assert rights_of(["a"], groups, 0).fallback is None


@pytest.mark.parametrize("text", ["small", "off", "small; wait=soon", "; wait=5"])
def test_a_consent_that_cannot_be_read_is_refused_where_it_is_set(text: str) -> None:
    with pytest.raises(ValueError, match="fallback"):
        group_of("a", {"fallback": text})
