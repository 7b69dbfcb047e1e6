"""What providers keep: who asks for it is found out, and so is who builds on it."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
import pytest

from server.wire.answers import Chat, Embeddings, Messages, Responses
from server.wire.endpoints import ENDPOINTS
from server.wire.errors import InvalidValue, StatefulDisabled
from server.wire.issued import MOST, Made
from server.wire.request import Request, capped, read_request, unkept
from server.wire.stored import MOST_REFERENCES, Reference, seal_of
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
            (CHAT, {"deferred": True}, "deferred"),
        ],
    )
    def test_the_refusal_names_the_field_that_asks_for_it(self, path: str, more: dict[str, Any], keeps: str) -> None:
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
        assert [each.id for each in read(RESPONSES, **more).refers] == ([] if follows is None else [follows])

    @pytest.mark.parametrize("field", ["previous_response_id", "conversation"])
    @pytest.mark.parametrize(
        "value", ["", "a" * 257, "a b", "a\r\nX: b", "é", 5, True, [], {}, {"id": None}, {"id": ""}]
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
        assert read(path, previous_response_id=5).refers == ()

    def test_an_id_does_not_show_in_a_repr(self) -> None:
        assert "canary" not in repr(read(RESPONSES, previous_response_id="canary"))


def item(**fields: Any) -> dict[str, Any]:
    """A response's body with this item before the question."""
    return {"input": [fields, {"role": "user", "content": "x"}]}


def said(*content: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(content)}, {"role": "user", "content": "x"}]}


def answered(**message: Any) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", **message}, {"role": "user", "content": "x"}]}


def tool(**fields: Any) -> dict[str, Any]:
    return {"tools": [fields]}


class TestNaming:
    """Whatever names a kept object is found, and what merely looks like it is not."""

    NAMES: ClassVar[dict[str, tuple[str, dict[str, Any], str, str]]] = {
        "an item": (RESPONSES, item(type="item_reference", id="rs_1"), "item_reference", "rs_1"),
        "an item without a type": (RESPONSES, item(id="msg_1"), "item_reference", "msg_1"),
        "an item whose type is null": (RESPONSES, item(id="msg_1", type=None), "item_reference", "msg_1"),
        "reasoning without content": (RESPONSES, item(type="reasoning", id="rs_1", summary=[]), "input[].id", "rs_1"),
        "reasoning with null content": (
            RESPONSES,
            item(type="reasoning", id="rs_1", summary=[], encrypted_content=None),
            "input[].id",
            "rs_1",
        ),
        "a picture to go on with": (RESPONSES, item(type="image_generation_call", id="ig_1"), "input[].id", "ig_1"),
        "a file": (RESPONSES, item(role="user", content=[{"type": "input_file", "file_id": "f"}]), "file_id", "f"),
        "a picture": (RESPONSES, item(role="user", content=[{"type": "input_image", "file_id": "f"}]), "file_id", "f"),
        "a tool's output": (
            RESPONSES,
            item(type="function_call_output", call_id="c", output=[{"type": "input_file", "file_id": "f"}]),
            "file_id",
            "f",
        ),
        "a screenshot": (
            RESPONSES,
            item(type="computer_call_output", call_id="c", output={"type": "computer_screenshot", "file_id": "f"}),
            "file_id",
            "f",
        ),
        "a mask": (RESPONSES, tool(type="image_generation", input_image_mask={"file_id": "f"}), "file_id", "f"),
        "a vector store": (RESPONSES, tool(type="file_search", vector_store_ids=["vs_1"]), "vector_store_ids", "vs_1"),
        "a collection": (RESPONSES, tool(type="file_search", collection_ids=["c"]), "collection_ids", "c"),
        "a container": (RESPONSES, tool(type="code_interpreter", container="cntr_1"), "container", "cntr_1"),
        "a container's files": (
            RESPONSES,
            tool(type="code_interpreter", container={"type": "auto", "file_ids": ["f"]}),
            "file_ids",
            "f",
        ),
        "a container that is used again": (
            RESPONSES,
            item(type="code_interpreter_call", id="ci_1", container_id="cntr_1", code="1"),
            "container_id",
            "cntr_1",
        ),
        "a shell's container": (
            RESPONSES,
            tool(type="shell", environment={"type": "container_reference", "container_id": "cntr_1"}),
            "container_id",
            "cntr_1",
        ),
        "a skill": (
            RESPONSES,
            tool(type="shell", environment={"skills": [{"type": "skill_reference", "skill_id": "skill_1"}]}),
            "skill_id",
            "skill_1",
        ),
        "a prompt": (RESPONSES, {"prompt": {"id": "pmpt_1", "version": "2"}}, "prompt", "pmpt_1"),
        "a file of a chat": (CHAT, said({"type": "file", "file": {"file_id": "f"}}), "file_id", "f"),
        "a recording": (CHAT, answered(content=None, audio={"id": "audio_1"}), "audio", "audio_1"),
        "a voice that a customer made": (CHAT, {"audio": {"voice": {"id": "voice_1"}}}, "voice", "voice_1"),
        "a voice that reads": ("/v1/audio/speech", {"voice": {"id": "voice_1"}}, "voice", "voice_1"),
        "a cache of Gemini's": (
            CHAT,
            {"extra_body": {"google": {"cached_content": "cachedContents/1"}}},
            "cached_content",
            "cachedContents/1",
        ),
        "a cache in Google's words": (CHAT, {"google": {"cachedContent": "c/1"}}, "cachedContent", "c/1"),
        "a preset of OpenRouter's": (CHAT, {"preset": "mine"}, "preset", "mine"),
        "an answer whose cache is compared": (
            RESPONSES,
            {"prompt_cache_options": {"comparison_response_id": "resp_1"}},
            "comparison_response_id",
            "resp_1",
        ),
        "an answer of Anthropic's whose cache is compared": (
            MESSAGES,
            {"diagnostics": {"previous_message_id": "msg_1"}},
            "previous_message_id",
            "msg_1",
        ),
        "a tunnel to a private server": (RESPONSES, tool(type="mcp", tunnel_id="t_1"), "tunnel_id", "t_1"),
        "a profile of the person who asks": (MESSAGES, {"user_profile_id": "u_1"}, "user_profile_id", "u_1"),
        "a container of Anthropic's": (MESSAGES, {"container": "container_1"}, "container", "container_1"),
        "a container with skills": (MESSAGES, {"container": {"id": "c", "skills": []}}, "container", "c"),
        "a skill in a container": (
            MESSAGES,
            {"container": {"skills": [{"type": "custom", "skill_id": "skill_1"}]}},
            "skill_id",
            "skill_1",
        ),
        "a document": (MESSAGES, said({"type": "document", "source": {"file_id": "f"}}), "file_id", "f"),
        "an upload": (MESSAGES, said({"type": "container_upload", "file_id": "f"}), "file_id", "f"),
        "a document in a tool's result": (
            MESSAGES,
            said(
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {"file_id": "f"}}]}
            ),
            "file_id",
            "f",
        ),
        "a file that is only counted": (
            "/v1/messages/count_tokens",
            said({"type": "document", "source": {"type": "file", "file_id": "f"}}),
            "file_id",
            "f",
        ),
        "behind a type of the body's own": (
            RESPONSES,
            {"type": "tool_use", **item(role="user", content=[{"type": "input_file", "file_id": "f"}])},
            "file_id",
            "f",
        ),
    }  # fmt: skip

    @pytest.mark.parametrize(("path", "more", "param", "id"), NAMES.values(), ids=NAMES)
    def test_what_names_an_object_is_found(self, path: str, more: dict[str, Any], param: str, id: str) -> None:
        assert read(path, **more).refers == (Reference(param, id),)
        assert f"'{param}'" in StatefulDisabled(param).message

    def test_no_way_of_writing_a_name_hides_it(self) -> None:
        body = b'{"model": "m", "input": [{"role": "user", "content": [{"type": "input_file", "\\u0066ile_id": "f"}]}]}'
        request = read_request(ENDPOINTS[RESPONSES], body, "application/json")
        assert request.refers == (Reference("file_id", "f"),)

    @pytest.mark.parametrize(
        ("path", "more"),
        [
            (
                RESPONSES,
                item(type="message", id="msg_1", role="assistant", content=[{"type": "output_text", "text": "a"}]),
            ),
            (RESPONSES, item(type="function_call", id="fc_1", call_id="c", name="f", arguments='{"file_id": "f"}')),
            (RESPONSES, item(type="reasoning", id="rs_1", summary=[], encrypted_content="gAAA")),
            (
                RESPONSES,
                item(type="reasoning", id="rs_1", summary=[], content=[{"type": "reasoning_text", "text": "a"}]),
            ),
            (RESPONSES, item(type="image_generation_call", id="ig_1", result="iVBO")),
            (RESPONSES, item(type="file_search_call", id="fs_1", results=[{"file_id": "f"}])),
            (
                RESPONSES,
                item(
                    role="assistant",
                    content=[
                        {"type": "output_text", "text": "a", "annotations": [{"container_id": "c", "file_id": "f"}]}
                    ],
                ),
            ),
            (RESPONSES, tool(type="function", name="f", parameters={"properties": {"file_id": {"const": "f"}}})),
            (RESPONSES, tool(type="code_interpreter", container={"type": "auto"})),
            (RESPONSES, tool(type="shell", environment={"skills": [{"skill_id": "openai-spreadsheets"}]})),
            (RESPONSES, {"metadata": {"file_id": "f", "container": "c"}, "prompt": None}),
            (CHAT, said({"type": "file", "file": {"file_data": "data:", "file_id": None}})),
            (CHAT, {"audio": {"voice": "alloy", "format": "wav"}}),
            ("/v1/completions", {"prompt": "container"}),
            ("/v1/audio/speech", {"voice": "alloy"}),
            (MESSAGES, said({"type": "tool_use", "id": "t", "name": "f", "input": {"file_id": "f"}}, role="assistant")),
            (MESSAGES, tool(name="f", input_schema={}, input_examples=[{"file_id": "f"}])),
            (MESSAGES, said({"type": "text", "text": "a", "citations": [{"file_id": "f"}]}, role="assistant")),
            (MESSAGES, {"container": {"skills": [{"type": "anthropic", "skill_id": "pptx"}]}}),
            (
                MESSAGES,
                said({"type": "bash_code_execution_tool_result", "content": {"content": [{"file_id": "f"}]}}),
            ),
        ],
        ids=range(20),
    )
    def test_what_only_looks_like_it_is_let_through(self, path: str, more: dict[str, Any]) -> None:
        assert read(path, **more).refers == ()

    def test_reasoning_with_a_summary_may_stand_alone(self) -> None:
        summary = [{"type": "summary_text", "text": "a"}]
        request = read(RESPONSES, **item(type="reasoning", id="rs_1", summary=summary))
        assert request.refers == (Reference("input[].id", "rs_1", needed=False),)

    @pytest.mark.parametrize("value", [5, True, {"$ne": 1}, [["f"]]], ids=repr)
    def test_what_cannot_be_a_name_is_refused(self, value: object) -> None:
        with pytest.raises(InvalidValue) as refusal:
            read(RESPONSES, **tool(type="file_search", vector_store_ids=[value]))
        assert refusal.value.param == "vector_store_ids"

    def test_a_request_names_each_object_once_and_not_too_many(self) -> None:
        twice = [{"type": "item_reference", "id": "rs_1"}] * 2
        assert len(read(RESPONSES, input=twice).refers) == 1
        many = [{"type": "item_reference", "id": f"rs_{n}"} for n in range(MOST_REFERENCES)]
        assert len(read(RESPONSES, input=many).refers) == MOST_REFERENCES
        with pytest.raises(InvalidValue):
            read(RESPONSES, input=[*many, *twice, {"id": "one_more"}])


class TestSeals:
    def test_the_latest_encrypted_items_are_known_by_their_digests(self) -> None:
        items = [{"type": "reasoning", "encrypted_content": f"gAAA{n}"} for n in range(6)]
        assert read(RESPONSES, input=items).seals == tuple(seal_of(f"gAAA{n}") for n in (5, 4, 3, 2))

    @pytest.mark.parametrize("input", ["gAAA", ["gAAA", {"encrypted_content": None}, {"encrypted_content": 5}]])
    def test_nothing_else_is_sealed(self, input: object) -> None:
        assert read(RESPONSES, input=input).seals == ()


class TestUnkept:
    def test_what_would_be_kept_without_being_asked_for_is_not(self) -> None:
        request = unkept(read(RESPONSES, input="say \u00e9"))
        assert (request.kept, request.added) == (False, ("store",))
        assert request.body == b'{"store":false,' + orjson.dumps({"model": "m", "input": "say \u00e9"})[1:]

    @pytest.mark.parametrize(
        "body", [b'{"store":null,"model":"m","input":"x"}', b'{"\\u0073tore":null,"model":"m","input":"x"}']
    )
    def test_a_field_is_never_there_twice(self, body: bytes) -> None:
        request = unkept(read_request(ENDPOINTS[RESPONSES], body, "application/json"))
        assert (request.kept, request.added) == (False, ("store",))
        assert orjson.loads(request.body) == {"store": False, "model": "m", "input": "x"}

    def test_a_text_that_names_the_field_is_none(self) -> None:
        request = unkept(read(RESPONSES, input=["store"]))
        assert orjson.loads(request.body) == {"store": False, "model": "m", "input": ["store"]}

    @pytest.mark.parametrize(
        ("path", "more"), [(RESPONSES, {"store": False}), (RESPONSES, {"store": True}), (CHAT, {})]
    )
    def test_what_is_said_is_not_said_otherwise(self, path: str, more: dict[str, Any]) -> None:
        request = read(path, **more)
        assert unkept(request) is request

    def test_each_field_that_we_add_is_known(self) -> None:
        request = unkept(capped(read(RESPONSES), 400))
        assert request.added == ("max_output_tokens", "store")
        assert read(CHAT, stream=True).added == ("stream_options",)
        assert read(CHAT, stream=True, stream_options={}).added == ("stream_options",)
        assert read(CHAT, stream=True, stream_options={"include_usage": True}).added == ()


class TestIssuedIds:
    def test_a_response_is_named_from_its_first_event(self) -> None:
        meter = Responses()
        assert meter.made.answer == ()
        watched(meter, {"type": "response.created", "response": {"id": "resp_1", "model": "m"}})
        assert meter.made.answer == ("resp_1",)
        watched(meter, {"type": "response.output_item.added", "item": {"id": "msg_1"}})
        watched(meter, {"type": "response.completed", "response": {"id": "resp_1"}})
        assert meter.made.answer == ("resp_1",)

    def test_a_plain_response_is_named_too(self) -> None:
        meter = Responses()
        meter.answer(b'{"id":"resp_1","output":[]}')
        assert meter.made.answer == ("resp_1",)

    def test_a_chat_completion_has_one_name(self) -> None:
        streamed, plain = Chat(), Chat()
        watched(streamed, {"id": "chatcmpl-1", **delta(content="a")}, {"id": "chatcmpl-1", **delta(content="b")})
        plain.answer(b'{"id":"chatcmpl-1","choices":[]}')
        assert streamed.made.answer == plain.made.answer == ("chatcmpl-1",)

    @pytest.mark.parametrize("id", [None, "", 5, [], "a" * 257, "a b"], ids=repr)
    def test_what_no_request_could_name_is_no_id(self, id: object) -> None:
        meter = Responses()
        watched(meter, {"type": "response.created", "response": {"id": id}})
        assert meter.made.answer == ()

    def test_items_are_named_once_they_are_complete(self) -> None:
        streamed, plain = Responses(), Responses()
        container = {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"}
        cited = {"type": "container_file_citation", "container_id": "cntr_1", "file_id": "cfile_1"}
        text = {
            "type": "output_text",
            "text": "a",
            "annotations": [cited, {"type": "file_citation", "file_id": "file-1"}],
        }
        items = [
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA"},
            container,
            {"type": "message", "id": "msg_1", "content": [text]},
            {"type": "shell_call", "id": "sh_1", "environment": {"container_id": "cntr_2"}},
        ]
        watched(streamed, *({"type": "response.output_item.done", "item": each} for each in items))
        plain.answer(orjson.dumps({"output": items}))
        for made in (streamed.made, plain.made):
            assert made.answer == ("rs_1", "ci_1", "msg_1", "sh_1")
            assert made.objects == ("cntr_1", "cfile_1", "cntr_2")
            assert made.seals == (seal_of("gAAA"),)

    def test_what_is_kept_beside_the_answer_is_named_too(self) -> None:
        chat, message, streamed = Chat(), Messages(), Messages()
        chat.answer(b'{"choices":[{"index":0,"message":{"audio":{"id":"audio_1","data":""}}}]}')
        result = {
            "type": "bash_code_execution_result",
            "content": [{"type": "bash_code_execution_output", "file_id": "f"}],
        }
        block = {"type": "bash_code_execution_tool_result", "content": result}
        container = {"id": "container_1", "expires_at": "2026-12-01T00:00:00Z"}
        message.answer(orjson.dumps({"container": container, "content": [block]}))
        watched(
            streamed,
            {"type": "message_start", "message": {"container": None}},
            {"type": "content_block_start", "content_block": block},
            {"type": "message_delta", "delta": {"container": container}},
        )
        assert chat.made.objects == ("audio_1",)
        assert message.made.objects == ("container_1", "f")
        assert streamed.made.objects == ("f", "container_1")

    @pytest.mark.parametrize(
        "odd", [None, 5, "x", [], [5], {"id": 5}, {"content": 5}, {"environment": [], "id": []}], ids=repr
    )
    def test_nothing_odd_is_noted_nor_raises(self, odd: object) -> None:
        made = Made()
        for look in (made.item, made.block, made.kept):
            look(odd)
        assert (made.answer, made.objects, made.seals) == ((), (), ())

    def test_one_answer_cannot_fill_the_memory(self) -> None:
        made = Made()
        for number in range(2 * MOST):
            made.item({"id": f"rs_{number}", "container_id": f"cntr_{number}", "encrypted_content": f"gAAA{number}"})
        assert {len(made.answer), len(made.objects), len(made.seals)} == {MOST}

    def test_other_answers_issue_nothing(self) -> None:
        messages, embeddings = Messages(), Embeddings()
        messages.answer(b'{"id":"msg_1","type":"message","content":[]}')
        embeddings.answer(b'{"id":"x","data":[]}')
        assert messages.made.answer == embeddings.made.answer == ()
