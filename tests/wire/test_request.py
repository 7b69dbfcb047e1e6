"""Reading requests: the catalogue's bad ones are refused by name, honest ones are forwarded byte for byte."""

from __future__ import annotations

import codecs
from typing import Any

import httpx2
import orjson
import pytest

from server.wire.endpoints import ENDPOINTS, Endpoint
from server.wire.errors import ClientError, InvalidJson, InvalidValue, MissingParameter, TooComplex, UnsupportedMedia
from server.wire.extent import most
from server.wire.request import Request, asked_class, max_wait, read_request

CHAT = ENDPOINTS["/v1/chat/completions"]
HELLO: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
EXAMPLES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": HELLO,
    "/v1/completions": {"model": "m", "prompt": "Once"},
    "/v1/responses": {"model": "m", "input": "hello"},
    "/v1/responses/compact": {"model": "m", "input": "hello"},
    "/v1/responses/input_tokens": {"model": "m", "input": "hello"},
    "/v1/embeddings": {"model": "m", "input": ["a", "b"]},
    "/v1/moderations": {"model": "m", "input": "hello"},
    "/v1/images/generations": {"model": "m", "prompt": "a cat"},
    "/v1/rerank": {"model": "m", "query": "roads", "documents": ["a long road", {"text": "a river"}]},
    "/v1/audio/speech": {"model": "m", "input": "hello", "voice": "alloy"},
    "/v1/messages": {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]},
    "/v1/complete": {"model": "m", "prompt": "\n\nHuman: hello\n\nAssistant:", "max_tokens_to_sample": 5},
    "/v1/messages/count_tokens": {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
}
JSON_ENDPOINTS = pytest.mark.parametrize("path", EXAMPLES)


def read(document: dict[str, Any], endpoint: Endpoint = CHAT) -> Request:
    return read_request(endpoint, orjson.dumps(document), "application/json")


def form(files: dict[str, Any] | None = None, **fields: str) -> tuple[bytes, str]:
    files = {"file": ("a.wav", b"RIFF", "audio/wav")} if files is None else files
    request = httpx2.Request("POST", "http://127.0.0.1/", data=fields, files=files)
    return request.read(), request.headers["content-type"]


def test_every_endpoint_of_the_table_has_an_example_here() -> None:
    assert {path for path, endpoint in ENDPOINTS.items() if endpoint.media == "json"} == set(EXAMPLES)


@JSON_ENDPOINTS
def test_an_honest_request_is_forwarded_byte_for_byte(path: str) -> None:
    body = b" \n" + orjson.dumps(
        {**EXAMPLES[path], "a_field_of_next_year": {"x": [1e5, None]}}, option=orjson.OPT_INDENT_2
    )
    request = read_request(ENDPOINTS[path], body, "application/json; charset=utf-8")
    assert request.body == body
    assert (request.model, request.stream, request.hides_usage) == (EXAMPLES[path]["model"], False, False)
    assert request.prompt.texts


@JSON_ENDPOINTS
def test_what_is_required_is_asked_for_by_name(path: str) -> None:
    endpoint = ENDPOINTS[path]
    for name in ("model", *endpoint.required):
        rest = {key: value for key, value in EXAMPLES[path].items() if key != name}
        if name == "model" and endpoint.default_model:
            assert read(rest, endpoint).model == endpoint.default_model
            continue
        with pytest.raises(MissingParameter) as refusal:
            read(rest, endpoint)
        assert refusal.value.param == name
        assert refusal.value.message == f"Missing required parameter: '{name}'."


@pytest.mark.parametrize(
    ("path", "document", "route"),
    [
        ("/v1/chat/completions", {"input": [], "instructions": "y"}, "/v1/responses"),
        ("/v1/messages", {"input": "x", "max_tokens": 5}, "/v1/responses"),
        ("/v1/responses", {"messages": []}, "/v1/chat/completions"),
        ("/v1/embeddings", {"messages": []}, "/v1/chat/completions"),
    ],
)
def test_the_refusal_of_a_body_of_another_api_names_its_route(path: str, document: dict[str, Any], route: str) -> None:
    with pytest.raises(MissingParameter) as refusal:
        read({"model": "m", **document}, ENDPOINTS[path])
    assert refusal.value.message.endswith(f"belongs to {route}.")
    assert refusal.value.message.startswith(f"Missing required parameter: '{refusal.value.param}'.")


@pytest.mark.parametrize("model", ["claude-opus-4-8[1m]", "~anthropic/claude-latest", "a:free", "@preset/mine", "m(2)"])
def test_a_model_may_have_a_name_that_is_unknown_here(model: str) -> None:
    assert read({**HELLO, "model": model}).model == model


@JSON_ENDPOINTS
@pytest.mark.parametrize(
    "model",
    [None, 5, ["m"], "", "a" * 257, "a\r\nX: b", "../x", "a/../b", {"$ne": 1}, "a b", "modèle", "a\x00", "a\n", True],
)
def test_a_strange_model_is_refused_and_not_repeated(path: str, model: object) -> None:
    with pytest.raises(InvalidValue) as refusal:
        read({**EXAMPLES[path], "model": model}, ENDPOINTS[path])
    assert refusal.value.message == "Invalid value for 'model'."


@pytest.mark.parametrize(
    "model", ["gpt-4o", "ft:gpt-4o-mini:org::id", "@cf/meta/llama-3", "a/b:free", "a" * 256, "m_1+x", "v1.5"]
)
def test_every_provider_s_way_of_naming_models_is_accepted(model: str) -> None:
    assert read({**HELLO, "model": model}).model == model


@pytest.mark.parametrize(
    ("name", "value"),
    [("messages", value) for value in (None, "hi", {}, [], [None], [HELLO["messages"][0], "x"])]
    + [
        (name, value)
        for name in ("max_tokens", "max_completion_tokens", "max_output_tokens")
        for value in (-1, 0, 1.5, True, "5", 10**12, 1e30, 10_000_001, [])
    ]
    + [("n", value) for value in (0, 129, 1.0, False, "2")]
    + [("best_of", 1000)]
    + [("stream", value) for value in ("yes", 1, 0, [], {})]
    + [("temperature", value) for value in ("hot", True, [], {})]
    + [("stream_options", value) for value in ([], "x", True)],
    ids=lambda value: str(value)[:24],
)
def test_a_value_of_the_wrong_kind_or_size_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidValue) as refusal:
        read({**HELLO, "stream": True, name: value})
    assert refusal.value.param == name


@pytest.mark.parametrize(
    "name", ["max_tokens", "max_completion_tokens", "n", "stream", "temperature", "stream_options"]
)
def test_null_means_the_same_as_absent(name: str) -> None:
    assert read({**HELLO, name: None}).max_tokens is None


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses", "/v1/embeddings"])
@pytest.mark.parametrize("value", [None, "", [], {}, 5])
def test_a_prompt_is_text_or_a_list(path: str, value: object) -> None:
    (name,) = ENDPOINTS[path].required
    with pytest.raises(InvalidValue) as refusal:
        read({**EXAMPLES[path], name: value}, ENDPOINTS[path])
    assert refusal.value.param == name


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/v1/messages", {**HELLO, "max_tokens": 0}),
        ("/v1/completions", {"model": "m", "prompt": "x", "max_tokens": 0, "echo": True, "logprobs": 1}),
        ("/v1/responses", {"model": "m", "input": "x", "max_output_tokens": 0}),
    ],
    ids=["warms a cache", "weighs a text", "warms a cache of responses"],
)
def test_nothing_is_generated_where_a_bound_of_0_means_that(path: str, document: dict[str, Any]) -> None:
    assert read(document, ENDPOINTS[path]).max_tokens == 0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/complete"])
def test_a_bound_of_0_is_refused_elsewhere(path: str) -> None:
    endpoint = ENDPOINTS[path]
    with pytest.raises(InvalidValue) as refusal:
        read({**EXAMPLES[path], endpoint.output_limits[0]: 0}, endpoint)
    assert refusal.value.param == endpoint.output_limits[0]


def test_a_best_of_0_is_none() -> None:
    assert read({**EXAMPLES["/v1/completions"], "best_of": 0}, ENDPOINTS["/v1/completions"]).choices == 1


def test_a_faster_service_costs_nothing_where_nothing_costs() -> None:
    counted = {**EXAMPLES["/v1/messages/count_tokens"], "speed": "fast"}
    assert read(counted, ENDPOINTS["/v1/messages/count_tokens"]).dearer is None
    assert read({**EXAMPLES["/v1/messages"], "speed": "fast"}, ENDPOINTS["/v1/messages"]).dearer == "speed"


def test_another_model_does_not_draw_at_the_price_of_this_one() -> None:
    generation = {**EXAMPLES["/v1/images/generations"], "svg": {"reasoning": {"effort": "low"}}}
    assert read(generation, ENDPOINTS["/v1/images/generations"]).model == "m"
    with pytest.raises(InvalidValue) as refusal:
        read({**generation, "svg": {"model": "gpt-5.5-pro"}}, ENDPOINTS["/v1/images/generations"])
    assert refusal.value.param == "svg.model"
    with pytest.raises(InvalidValue) as refusal:
        read_request(EDITS, *drawn(**{"svg[model]": "gpt-5.5-pro"}))
    assert refusal.value.param == "svg[model]"


@pytest.mark.parametrize("name", ["query", "documents"])
@pytest.mark.parametrize("value", [None, "", [], {}, 5])
def test_a_reranker_needs_a_query_and_documents(name: str, value: object) -> None:
    with pytest.raises(InvalidValue) as refusal:
        read({**EXAMPLES["/v1/rerank"], name: value}, ENDPOINTS["/v1/rerank"])
    assert refusal.value.param == name


EDITS, VARIATIONS = ENDPOINTS["/v1/images/edits"], ENDPOINTS["/v1/images/variations"]
PICTURE = ("a.png", b"\x89PNG", "image/png")


def drawn(names: tuple[str, ...] = ("image",), **fields: str) -> tuple[bytes, str]:
    """A form with a picture under each of these names, which may stand there more than once."""
    fields = {"model": "gpt-image-2", "prompt": "a hat", **fields}
    request = httpx2.Request("POST", "http://127.0.0.1/", data=fields, files=[(name, PICTURE) for name in names])
    return request.read(), request.headers["content-type"]


class TestPicturesThatAreUploaded:
    @pytest.mark.parametrize(
        ("names", "uploads"), [(("image",), 1), (("image[]", "image[]", "mask"), 3), (("image[]",) * 16, 16)]
    )
    def test_each_of_them_is_read_and_held_for(self, names: tuple[str, ...], uploads: int) -> None:
        request = read_request(EDITS, *drawn(names, n="3", size="1024x1024", quality="high"))
        assert (request.choices, request.extent.pictures, request.extent.picture_tokens) == (3, 3, 4_229)
        assert len(request.extent.media) == request.prompt.media == uploads
        bound = most(request.prompt, request.extent, request.model, 5, 0, request.choices)
        assert bound.input >= 4_096 * uploads  # what a faithful reading of one takes at least
        assert (bound.images, bound.output) == (3, 4_229)

    def test_one_that_does_not_say_that_it_is_a_file_is_held_for_as_well(self) -> None:
        request = read_request(EDITS, *drawn(("image",), mask="\x89PNG", **{"image[1]": "PNG"}))
        assert len(request.extent.media) == 3

    def test_a_form_asks_for_a_stream_and_for_partial_pictures(self) -> None:
        request = read_request(EDITS, *drawn(stream="true", partial_images="3", size="1024x1024"))
        plain = read_request(EDITS, *drawn(size="1024x1024"))
        assert (request.stream, plain.stream) == (True, False)
        assert request.extent.picture_tokens == plain.extent.picture_tokens + 300

    def test_a_moving_picture_is_many_and_one_in_svg_is_written_by_a_model(self) -> None:
        still, moving, usual, written = (
            read_request(EDITS, *drawn(size="1024x1024", **more)).extent.picture_tokens
            for more in (
                {},
                {"output_format": "gif", "frame_count": "4"},
                {"output_format": "gif"},
                {"output_format": "svg"},
            )
        )
        assert (moving, usual, written) == (4 * still, 9 * still, still + 32_768)

    @pytest.mark.parametrize("n", ["0", "-1", "1.5", "x", "1000", "1_0", "٣"])
    def test_a_number_that_is_none_is_refused(self, n: str) -> None:
        with pytest.raises(InvalidValue) as refusal:
            read_request(EDITS, *drawn(n=n))
        assert refusal.value.param == "n"

    def test_what_is_missing_is_named(self) -> None:
        for endpoint, names, missing in (
            (EDITS, (), "image"),
            (EDITS, ("mask",), "image"),
            (VARIATIONS, ("file",), "image"),
        ):
            with pytest.raises(MissingParameter) as refusal:
                read_request(endpoint, *drawn(names or ("other",)))
            assert refusal.value.param == missing
        request = httpx2.Request("POST", "http://127.0.0.1/", data={"model": "m"}, files={"image": PICTURE})
        assert read_request(VARIATIONS, request.read(), request.headers["content-type"]).extent.pictures == 1
        with pytest.raises(MissingParameter) as refusal:
            read_request(EDITS, request.read(), request.headers["content-type"])
        assert refusal.value.param == "prompt"


@pytest.mark.parametrize("name", ["api_base", "base_url", "api_key", "extra_headers"])
def test_no_caller_chooses_an_upstream_or_its_headers(name: str) -> None:
    for smuggled in ({name: "http://evil"}, {"extra_body": {name: "x"}}, {"x": [1, {"y": [{name: None}]}]}):
        with pytest.raises(InvalidValue) as refusal:
            read({**HELLO, **smuggled})
        assert refusal.value.param == name


def test_those_words_may_be_written_about_and_be_parameters_of_a_tool() -> None:
    schema = {"type": "object", "properties": {"api_key": {"type": "string"}, "base_url": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "connect", "parameters": schema}}]
    document = {
        **HELLO,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "api_key", "api_key": 1}]}],
        "tools": tools,
        "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
        "metadata": {"api_base": "x"},
    }
    assert read(document).body == orjson.dumps(document)


def test_the_output_is_bounded_by_the_fields_that_this_endpoint_heeds() -> None:
    assert read({**HELLO, "max_tokens": 7, "max_completion_tokens": 9}).max_tokens == 9
    assert read({**HELLO, "max_output_tokens": 1}).max_tokens is None
    responses = ENDPOINTS["/v1/responses"]
    assert read({"model": "m", "input": "x", "max_output_tokens": 5, "max_tokens": 1}, responses).max_tokens == 5


@pytest.mark.parametrize(
    ("more", "choices"),
    [({}, 1), ({"n": 3}, 3), ({"n": 2, "best_of": 5}, 5), ({"prompt": ["a", "b"], "n": 3}, 6), ({"prompt": [1, 2]}, 1)],
)
def test_choices_count_everything_that_will_be_generated(more: dict[str, Any], choices: int) -> None:
    assert read({"model": "m", "prompt": "a", **more}, ENDPOINTS["/v1/completions"]).choices == choices


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-16",
        "Application/JSON;charset=latin-1; boundary=x",
        'application/json; x="\r\nEvil: 1"',
    ],
)
def test_no_parameter_of_a_content_type_goes_upstream(content_type: str) -> None:
    """The body is read as UTF-8 here, and must not be read as anything else there."""
    assert read_request(CHAT, orjson.dumps(HELLO), content_type).content_type == "application/json"


FORMS = [
    "text/plain",
    "Text/Plain;charset=utf-8",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
]


@pytest.mark.parametrize("content_type", FORMS)
def test_what_a_form_on_any_page_can_send_is_not_read(content_type: str) -> None:
    """That of a bare `curl -d` is one of them, so the words say what to add."""
    with pytest.raises(UnsupportedMedia) as refusal:
        read_request(CHAT, orjson.dumps(HELLO), content_type)
    assert "curl" in refusal.value.message


@pytest.mark.parametrize("content_type", ["", "application/octet-stream", "text/json", "application/vnd.api+json"])
def test_json_is_json_whatever_else_it_is_called(content_type: str) -> None:
    request = read_request(CHAT, orjson.dumps(HELLO), content_type)
    assert request.content_type == "application/json"
    with pytest.raises(InvalidJson):
        read_request(CHAT, b"hello", content_type)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_byte_order_mark_is_called_by_its_name(mark: bytes) -> None:
    with pytest.raises(InvalidJson) as refusal:
        read_request(CHAT, mark + orjson.dumps(HELLO), "application/json")
    assert "BOM" in refusal.value.message


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model":"a","model":"b","messages":[{}]}', b'{"temperature":1e400}'])
def test_a_body_is_parsed_strictly(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        read_request(CHAT, body, "application/json")
    with pytest.raises(TooComplex):
        read_request(CHAT, b"[" * 100_000, "application/json")


def test_a_special_token_in_a_prompt_is_text_like_any_other() -> None:
    document = {**HELLO, "messages": [{"role": "user", "content": "<|endoftext|>"}]}
    assert read(document).prompt.texts == ("<|endoftext|>",)


class TestUsageOfStreams:
    def test_a_stream_is_asked_for_its_usage_and_nothing_else_changes(self) -> None:
        body = b'\n { "model":"gpt-4o" , "messages":[{"role":"user","content":"{"}],"stream":true, "seed":1e2}'
        request = read_request(CHAT, body, "application/json")
        inserted = b'"stream_options":{"include_usage":true},'
        assert request.hides_usage
        assert inserted in request.body
        assert request.body.replace(inserted, b"", 1) == body
        assert orjson.loads(request.body) == {**orjson.loads(body), "stream_options": {"include_usage": True}}

    def test_a_stream_that_asks_for_usage_itself_is_left_alone(self) -> None:
        document = {**HELLO, "stream": True, "stream_options": {"include_usage": True, "x": 1}}
        request = read(document)
        assert request.body == orjson.dumps(document)
        assert not request.hides_usage

    @pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_obfuscation": False}])
    def test_other_options_are_kept(self, options: dict[str, Any] | None) -> None:
        request = read({**HELLO, "stream": True, "stream_options": options})
        assert request.hides_usage
        expected = {**(options or {}), "include_usage": True}
        assert orjson.loads(request.body) == {**HELLO, "stream": True, "stream_options": expected}

    @pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages"])
    def test_families_that_always_report_usage_are_not_asked(self, path: str) -> None:
        document = {**EXAMPLES[path], "stream": True}
        request = read(document, ENDPOINTS[path])
        assert (request.stream, request.hides_usage, request.body) == (True, False, orjson.dumps(document))

    def test_plain_answers_are_not_asked(self) -> None:
        assert read({**HELLO, "stream": False}).body == orjson.dumps({**HELLO, "stream": False})

    def test_an_endpoint_that_cannot_stream_does_not(self) -> None:
        document = {**EXAMPLES["/v1/embeddings"], "stream": True}
        assert not read(document, ENDPOINTS["/v1/embeddings"]).stream

    def test_speech_streams_when_it_is_asked_for_events(self) -> None:
        document = {**EXAMPLES["/v1/audio/speech"], "stream_format": "sse"}
        assert read(document, ENDPOINTS["/v1/audio/speech"]).stream


class TestConversation:
    def test_a_request_knows_its_conversation_by_the_session_or_by_its_words(self) -> None:
        body = orjson.dumps(HELLO)
        by_words = read_request(CHAT, body, "application/json")
        by_session = read_request(CHAT, body, "application/json", "canary")
        assert len({by_words.conversation, by_session.conversation, b""}) == 3
        assert by_session.body == body
        assert "canary" not in repr(by_session)

    def test_a_form_has_none(self) -> None:
        request = read_request(ENDPOINTS["/v1/audio/transcriptions"], *form(model="m"), "s")
        assert (request.conversation, request.refers, request.keeps, request.kept) == (b"", (), None, False)


class TestMaxWait:
    @pytest.mark.parametrize(("text", "seconds"), [(None, None), ("0", 0.0), ("30", 30.0), ("0.25", 0.25)])
    def test_it_is_a_number_of_seconds(self, text: str | None, seconds: float | None) -> None:
        assert max_wait(text) == seconds

    @pytest.mark.parametrize(
        "text",
        ["", "-1", "+1", "soon", "nan", "inf", "1e3", "1_0", "0x1", ".5", "5.", "1,5", " 5", "5s", "٣", "1" * 10],
    )
    def test_junk_is_refused_and_not_repeated(self, text: str) -> None:
        with pytest.raises(InvalidValue) as refusal:
            max_wait(text)
        assert refusal.value.message == "Invalid value for 'X-Max-Wait'."


class TestForms:
    TRANSCRIPTIONS = ENDPOINTS["/v1/audio/transcriptions"]

    def test_a_recording_is_forwarded_as_it_came(self) -> None:
        body, content_type = form(model="whisper-1", prompt="names", stream="true", temperature="0.5")
        request = read_request(self.TRANSCRIPTIONS, body, content_type)
        assert (request.model, request.stream, request.body, request.content_type) == (
            "whisper-1", True, body, content_type,
        )  # fmt: skip
        assert request.prompt.texts == ("names",)

    @pytest.mark.parametrize(
        ("fields", "param"), [({}, "model"), ({"model": "../x"}, "model"), ({"model": "m", "stream": "yes"}, "stream")]
    )
    def test_a_form_is_checked_like_a_document(self, fields: dict[str, str], param: str) -> None:
        with pytest.raises(ClientError) as refusal:
            read_request(self.TRANSCRIPTIONS, *form(**fields))
        assert refusal.value.param == param

    @pytest.mark.parametrize("temperature", ["hot", "nan", "1e400", "0x1"])
    def test_a_temperature_is_a_number(self, temperature: str) -> None:
        with pytest.raises(InvalidValue):
            read_request(self.TRANSCRIPTIONS, *form(model="m", temperature=temperature))

    def test_a_form_without_a_file_is_refused(self) -> None:
        with pytest.raises(MissingParameter) as refusal:
            read_request(self.TRANSCRIPTIONS, *form(files={"other": ("a", b"x")}, model="m"))
        assert refusal.value.param == "file"

    def test_json_is_not_a_form(self) -> None:
        with pytest.raises(UnsupportedMedia):
            read_request(self.TRANSCRIPTIONS, orjson.dumps({"model": "m"}), "application/json")


def test_prompts_and_bodies_do_not_show_in_a_repr() -> None:
    assert "canary" not in repr(read({**HELLO, "messages": [{"role": "user", "content": "canary"}]}))


@JSON_ENDPOINTS
def test_no_junk_makes_the_reader_fail_otherwise_than_by_refusing(path: str) -> None:
    junk: list[Any] = [
        None,
        True,
        0,
        -1.5,
        "",
        "x",
        [],
        {},
        [[]],
        [{}],
        [None, 1, "x", {"type": []}],
        {"type": {}, "x": 1},
    ]
    for name in (*EXAMPLES[path], "system", "tools", "text", "instructions", "response_format", "stop", "suffix"):
        for value in junk:
            try:
                read({**EXAMPLES[path], name: value}, ENDPOINTS[path])
            except ClientError as refusal:
                assert refusal.param == name


@pytest.mark.parametrize("tier", [None, "auto", "default", "flex", "standard_only"])
def test_a_service_at_the_list_price_is_nothing_special(tier: str | None) -> None:
    assert read({**HELLO, "service_tier": tier, "speed": 1.25}).dearer is None
    assert read(HELLO).dearer is None


@pytest.mark.parametrize("tier", ["priority", "fast", "scale", "Priority", 5, ["auto"], {}])
def test_a_service_of_another_price_is_noted(tier: Any) -> None:
    assert read({**HELLO, "service_tier": tier}).dearer == "service_tier"


def test_fast_answers_are_noted_too() -> None:
    assert read({**HELLO, "speed": "fast"}).dearer == "speed"
    assert read({**HELLO, "speed": "standard"}).dearer is None


@pytest.mark.parametrize("text", [None, "batch", "interactive"])
def test_a_request_may_ask_for_a_class(text: str | None) -> None:
    assert asked_class(text) == text


@pytest.mark.parametrize("text", ["", "Batch", "urgent", "batch,interactive"])
def test_there_are_no_other_classes(text: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        asked_class(text)
    assert refusal.value.message == "Invalid value for 'X-Fairgate-Class'."


@pytest.mark.parametrize(
    ("field", "value", "refused"),
    [
        ("models", ["cheap", "dear"], True),  # OpenRouter: the next one, if the first fails
        ("fallbacks", [{"model": "claude-mythos-5"}], True),  # Anthropic: another one, if the first refuses
        ("fallbacks", "default", True),
        ("models", None, False),
        ("fallbacks", [], False),
    ],
)
def test_no_body_chooses_another_model_than_the_one_that_is_priced(field: str, value: Any, refused: bool) -> None:
    body = orjson.dumps({"model": "cheap", "messages": [{"role": "user", "content": "models"}], field: value})
    if refused:
        with pytest.raises(InvalidValue) as error:
            read_request(ENDPOINTS["/v1/chat/completions"], body, "application/json")
        assert error.value.param == field
    else:
        read_request(ENDPOINTS["/v1/chat/completions"], body, "application/json")
