"""What providers keep: who asks for it is found out, and so is who builds on it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from server.wire.answers import Chat, Embeddings, Messages, Responses
from server.wire.endpoints import ENDPOINTS
from server.wire.errors import InvalidValue, StatefulDisabled
from server.wire.request import Request, read_request
from tests.wire.test_meter import delta, watched
from tests.wire.test_request import EXAMPLES

RESPONSES, CHAT, MESSAGES = "/v1/responses", "/v1/chat/completions", "/v1/messages"


def read(path: str, **more: Any) -> Request:
    return read_request(ENDPOINTS[path], orjson.dumps({**EXAMPLES[path], **more}), "application/json")


class TestKeeping:
    @pytest.mark.parametrize(
        ("path", "more", "keeps"),
        [
            (RESPONSES, {"store": True}, "store"),
            (RESPONSES, {"background": True, "store": False}, "background"),
            (RESPONSES, {"conversation": "conv_1"}, "conversation"),
            (RESPONSES, {"conversation": {"id": "conv_1"}, "store": None}, "conversation"),
            (CHAT, {"store": True}, "store"),
        ],
    )
    def test_who_asks_for_it_is_told_which_field_does(self, path: str, more: dict[str, Any], keeps: str) -> None:
        request = read(path, **more)
        assert (request.keeps, request.kept) == (keeps, True)
        assert f"'{keeps}'" in StatefulDisabled(request.keeps).message
        assert request.body == orjson.dumps({**EXAMPLES[path], **more})

    @pytest.mark.parametrize(
        ("path", "more"),
        [
            (RESPONSES, {"store": False, "background": False, "conversation": None}),
            (RESPONSES, {"store": False, "background": None}),
            (CHAT, {"store": False, "background": True, "conversation": "x"}),
            (CHAT, {}),
            (MESSAGES, {"store": True}),
        ],
    )
    def test_what_is_not_asked_for_is_not_kept(self, path: str, more: dict[str, Any]) -> None:
        request = read(path, **more)
        assert (request.keeps, request.kept) == (None, False)

    @pytest.mark.parametrize("more", [{}, {"store": None}])
    def test_responses_are_kept_by_default_without_being_asked_for(self, more: dict[str, Any]) -> None:
        request = read(RESPONSES, **more)
        assert (request.keeps, request.kept) == (None, True)

    @pytest.mark.parametrize(("path", "field"), [(RESPONSES, "store"), (RESPONSES, "background"), (CHAT, "store")])
    @pytest.mark.parametrize("value", ["yes", 1, 0, [], {}], ids=repr)
    def test_a_switch_is_true_or_false(self, path: str, field: str, value: object) -> None:
        with pytest.raises(InvalidValue) as refusal:
            read(path, **{field: value})
        assert refusal.value.param == field


class TestFollowing:
    @pytest.mark.parametrize(
        ("more", "follows"),
        [
            ({"previous_response_id": "resp_" + "a" * 251}, "resp_" + "a" * 251),
            ({"previous_response_id": None}, None),
            ({"conversation": "conv_1"}, "conv_1"),
            ({"conversation": {"id": "conv_1", "x": 1}, "previous_response_id": None}, "conv_1"),
            ({}, None),
        ],
    )
    def test_what_a_request_builds_on_is_known(self, more: dict[str, Any], follows: str | None) -> None:
        assert read(RESPONSES, **more).follows == follows

    @pytest.mark.parametrize("field", ["previous_response_id", "conversation"])
    @pytest.mark.parametrize(
        "value", ["", "a" * 257, "a b", "a\r\nX: b", "é", 5, True, [], {}, {"id": None}, {"id": ""}], ids=repr
    )
    def test_what_cannot_be_an_id_is_refused(self, field: str, value: object) -> None:
        with pytest.raises(InvalidValue) as refusal:
            read(RESPONSES, **{field: value})
        assert refusal.value.param == field

    def test_a_request_builds_on_one_thing(self) -> None:
        with pytest.raises(InvalidValue) as refusal:
            read(RESPONSES, previous_response_id="resp_1", conversation="conv_1")
        assert refusal.value.param == "conversation"

    @pytest.mark.parametrize("path", [CHAT, MESSAGES])
    def test_elsewhere_the_field_means_nothing(self, path: str) -> None:
        assert read(path, previous_response_id=5).follows is None

    def test_an_id_does_not_show_in_a_repr(self) -> None:
        assert "canary" not in repr(read(RESPONSES, previous_response_id="canary"))


class TestIssuedIds:
    def test_a_response_is_named_from_its_first_event(self) -> None:
        meter = Responses()
        assert meter.issued == ()
        watched(meter, {"type": "response.created", "response": {"id": "resp_1", "model": "m"}})
        assert meter.issued == ("resp_1",)
        watched(meter, {"type": "response.output_item.added", "item": {"id": "msg_1"}})
        watched(meter, {"type": "response.completed", "response": {"id": "resp_1"}})
        assert meter.issued == ("resp_1",)

    def test_a_plain_response_is_named_too(self) -> None:
        meter = Responses()
        meter.answer(b'{"id":"resp_1","output":[]}')
        assert meter.issued == ("resp_1",)

    def test_a_chat_completion_has_one_name(self) -> None:
        streamed, plain = Chat(), Chat()
        watched(streamed, {"id": "chatcmpl-1", **delta(content="a")}, {"id": "chatcmpl-1", **delta(content="b")})
        plain.answer(b'{"id":"chatcmpl-1","choices":[]}')
        assert streamed.issued == plain.issued == ("chatcmpl-1",)

    @pytest.mark.parametrize("id", [None, "", 5, [], "a" * 257, "a b"], ids=repr)
    def test_what_no_request_could_name_is_no_id(self, id: object) -> None:
        meter = Responses()
        watched(meter, {"type": "response.created", "response": {"id": id}})
        assert meter.issued == ()

    def test_other_answers_issue_nothing(self) -> None:
        messages, embeddings = Messages(), Embeddings()
        messages.answer(b'{"id":"msg_1","type":"message","content":[]}')
        embeddings.answer(b'{"id":"x","data":[]}')
        assert messages.issued == embeddings.issued == ()
