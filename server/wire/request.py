"""Reading a request: what the gateway must know, and nothing else.

Only named fields are read, and unknown ones pass: providers add fields faster than a gateway can list them. The body
is forwarded byte for byte, with four exceptions: `_asking_for_usage`, `capped`, `unkept` and `bounding_tools`. What we
ask for in them and the client did not is named in `Request.added`.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from server.wire import multipart, strict
from server.wire.conversation import conversation_of
from server.wire.endpoints import Endpoint
from server.wire.errors import BodyOfAnotherRoute, InvalidValue, MissingParameter, UnsupportedMedia
from server.wire.extent import Extent, extent_of, with_kept
from server.wire.hosted import UNBOUNDED, Hosted, hosted_of, with_uses
from server.wire.published import is_of_others
from server.wire.records import made_quickly
from server.wire.rerank import searches_of
from server.wire.sound import Sound, sound_of
from server.wire.stored import Reference, asks_to_keep, references, seals
from server.wire.tokens import Prompt, prompt_of, with_pictures

AskedClass = Literal["batch", "interactive"]

JSON = "application/json"
# What a form on any page may send without a question (Fetch, "CORS-safelisted request-header"): never read as JSON.
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
MAX_OUTPUT = 10_000_000  # tokens; above this a number is a mistake or a probe
MAX_CHOICES = 128

# What clients write for models, also those that are unknown here: `claude-opus-4-8[1m]`, `~anthropic/latest`.
_MODEL = re.compile(r"(?!.*\.\.)[A-Za-z0-9._:/@+\[\]()~=,#*!-]{1,256}")
# Some clients send one API's bodies to another one's route.
_BELONGS = {"messages": "/v1/chat/completions", "input": "/v1/responses"}
_OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample")
# Some gateways let these choose another upstream. Here they never do, so a request with one is refused.
_FORBIDDEN = frozenset({"api_base", "base_url", "api_key", "extra_headers"})
# And some providers answer with another model than the one that was asked for: it would be at the price, and with the
# rights, of this one.
_OTHER_MODELS = frozenset({"models", "fallbacks", "svg[model]"})
# In what people write, and in the schemas of their own tools, those words are only words.
_CONTENT = frozenset(
    {
        "messages", "input", "prompt", "system", "instructions", "tools", "functions", "tool_choice", "function_call",
        "response_format", "text", "output_config", "metadata", "prediction", "mcp_servers", "container", "query",
        "documents",
    }
)  # fmt: skip
_NOTHING_GENERATED = frozenset({"messages", "completions", "responses"})  # kinds that know a bound of 0
_PICTURES = (b"image", b"mask", b"markup")
_NUMBERS = ("n", "partial_images", "frame_count")  # in forms
_LIST_PRICE = (None, "auto", "default", "flex", "standard_only")
_ASKED = b'{"stream_options":{"include_usage":true},'


@made_quickly
@dataclass(frozen=True, slots=True)
class Request:
    """A request, read and found to be in order."""

    endpoint: Endpoint
    body: bytes = field(repr=False)  # what is forwarded
    content_type: str  # written anew from what was read: no parameter of the client's tells the upstream otherwise
    model: str
    stream: bool
    max_tokens: int | None  # the client's own bound on output tokens of one choice
    choices: int  # how many outputs the client asked for
    hides_usage: bool  # we asked for the usage-only chunk, the client did not
    prompt: Prompt = field(repr=False)
    extent: Extent = field(repr=False)  # what it asks for beside text
    conversation: bytes = field(repr=False)  # its name, to be bound to person and model; empty if it has none
    refers: tuple[Reference, ...] = field(repr=False)  # the kept objects that it names
    seals: tuple[bytes, ...] = field(repr=False)  # of the encrypted content that it brings (`stored.seal_of`)
    keeps: str | None  # the field by which it asks the provider to keep something
    kept: bool  # the provider keeps the answer, asked or by its own default: a later request may name it
    names_person: bool  # it tells the provider who asks
    dearer: str | None  # the field by which it asks to be served better, for more than the list price
    background: bool = False  # its answer says only that the provider has begun
    added: tuple[str, ...] = ()  # the fields of the body by which we ask for what the client did not (`wire/added.py`)
    hosted: Hosted = field(default=Hosted(), repr=False)


def read_request(endpoint: Endpoint, body: bytes, content_type: str, session: str | None = None) -> Request:
    """Read and check a body. Raises a `ClientError` that names the parameter, never its value.

    `session` is the client's own name for the conversation (`conversation.session_of`).
    """
    document = _document(endpoint, body, content_type)
    _refuse_forbidden(document)
    model = _model(document, endpoint.default_model)
    for name in endpoint.required:
        _check_required(name, document)
    stream = _stream(document) and endpoint.streams
    max_tokens = _max_tokens(document, endpoint)
    choices = _choices(document)
    _check_temperature(document.get("temperature"))
    uploads = _uploads(endpoint, body, content_type)
    keeps = asks_to_keep(document, endpoint.keeping)
    refers = references(body, document, endpoint.following) if endpoint.media == "json" else ()
    hides_usage = stream and endpoint.asks_usage and not _asks_for_usage(document)
    return Request(
        endpoint=endpoint,
        body=_asking_for_usage(body, document) if hides_usage else body,
        content_type=multipart.media_type(content_type) if endpoint.media == "multipart" else JSON,
        model=model,
        stream=stream,
        max_tokens=max_tokens,
        choices=choices,
        hides_usage=hides_usage,
        prompt=with_pictures(prompt_of(endpoint.kind, document), uploads),
        extent=with_kept(
            extent_of(endpoint.kind, document, _sound(endpoint, body, content_type), body, uploads),
            [reference.param for reference in refers],
        ),
        conversation=conversation_of(endpoint.kind, document, session),
        refers=refers,
        seals=seals(document) if endpoint.following else (),
        keeps=keeps,
        kept=keeps is not None or (endpoint.keeps_by_default and document.get("store") is None),
        names_person=names_person(document),
        dearer=None if endpoint.free else _dearer(document),
        background="background" in endpoint.keeping and document.get("background") is True,
        added=("stream_options",) if hides_usage else (),
        hosted=searches_of(document) if endpoint.kind == "rerank" else hosted_of(document, model, endpoint.kind),
    )


def as_it_came(request: Request, body: bytes) -> Request:
    """Return the request with the body that it was read from: nothing of ours is asked for in it."""
    return replace(request, body=body, hides_usage=False, added=())


def unread(endpoint: Endpoint, body: bytes, content_type: str) -> Request:
    """Return a request to an endpoint of which nothing is known: nothing in its body is looked for."""
    return Request(
        endpoint=endpoint,
        body=body,
        content_type=content_type,
        model="",
        stream=False,
        max_tokens=None,
        choices=1,
        hides_usage=False,
        prompt=Prompt(),
        extent=Extent(),
        conversation=b"",
        refers=(),
        seals=(),
        keeps=None,
        kept=False,
        names_person=False,
        dearer=None,
    )


def capped(request: Request, most_output: int) -> Request:
    """Return the request with a bound of at most so many output tokens for each choice; 0 is no bound.

    Where it has none, the first field that bounds an answer here is put into the body, and all else stays as it came.
    Where it has a higher one, the body is written anew. Endpoints whose answers are not counted in tokens have none.
    """
    limits = request.endpoint.output_limits
    if not most_output or not limits or (request.max_tokens is not None and request.max_tokens <= most_output):
        return request
    document = orjson.loads(request.body)
    if request.max_tokens is None:
        return replace(_with(request, document, bounding_field(request), most_output), max_tokens=most_output)
    bounds = {name: min(document[name], most_output) for name in limits if document.get(name) is not None}
    return replace(request, body=orjson.dumps(document | bounds), max_tokens=most_output)


def unkept(request: Request) -> Request:
    """Return the request with `store: false`, where its provider would keep the answer without being asked to."""
    if not request.kept or request.keeps is not None:
        return request
    may_say = b'"store"' in request.body or b"\\u00" in request.body  # most do not, and are not parsed again
    document = orjson.loads(request.body) if may_say else {}
    return replace(_with(request, document, "store", False), kept=False)


def bounding_tools(request: Request, dear: Container[str]) -> Request:
    """Return the request with a bound on the calls of those hosted tools that cost something and have none.

    It is what was held for. Only these two APIs have a word for it.
    """
    names = frozenset(name for name in request.hosted.unbounded if name in dear)
    if not names or request.endpoint.kind not in ("responses", "messages"):
        return request
    document = orjson.loads(request.body)
    if request.endpoint.kind == "responses":
        return _with(request, document, "max_tool_calls", UNBOUNDED)
    body = orjson.dumps(document | {"tools": with_uses(document.get("tools") or [], names)})
    return replace(request, body=body, added=(*request.added, "max_uses"))


def _with(request: Request, document: dict[str, Any], name: str, value: int) -> Request:
    """Return the request with a field of ours. All else stays as it came, but where the client has sent it as null."""
    if name in document:  # a second one would be a duplicate key
        body = orjson.dumps(document | {name: value})
    else:
        body = request.body.replace(b"{", b'{"%b":%b,' % (name.encode(), orjson.dumps(value)), 1)
    return replace(request, body=body, added=(*request.added, name))


def bounding_field(request: Request) -> str:
    """The field by which its model's providers take a bound of the answer. Only where the endpoint has one.

    OpenAI's newer models refuse `max_tokens` in a chat; other makers' servers do not know `max_completion_tokens`, and
    some pass over it in silence.
    """
    first, *others = request.endpoint.output_limits
    return others[0] if others and is_of_others(request.model) else first


def _sound(endpoint: Endpoint, body: bytes, content_type: str) -> Sound | None:
    """How long a recording is that is uploaded here; None where none is."""
    if "file" not in endpoint.required:
        return None
    return sound_of(multipart.file_in(body, content_type, "file"))


def _uploads(endpoint: Endpoint, body: bytes, content_type: str) -> int:
    """How many pictures are uploaded here to be worked on, masks included."""
    return multipart.files_in(body, content_type, _PICTURES) if "image" in endpoint.required else 0


def max_wait(text: str | None) -> float | None:
    """Return how long a caller would wait in the queue, in seconds, as the header `X-Max-Wait` says; None: no matter.

    Raises InvalidValue.
    """
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        raise InvalidValue("X-Max-Wait")
    return float(text)


def asked_class(text: str | None) -> AskedClass | None:
    """Return the class that the header `X-Fairgate-Class` asks for; None if it does not say. Raises InvalidValue."""
    if text is None:
        return None
    if text == "batch":
        return "batch"
    if text == "interactive":
        return "interactive"
    raise InvalidValue("X-Fairgate-Class")


def _document(endpoint: Endpoint, body: bytes, content_type: str) -> dict[str, Any]:
    if endpoint.media == "multipart":
        fields: dict[str, Any] = dict(multipart.read_fields(body, content_type))
        return fields | _typed(fields)
    if content_type.partition(";")[0].strip().lower() in _FORMS:
        raise UnsupportedMedia
    return strict.loads(body)


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    """A form knows only texts; return those fields that are read as something else."""
    typed: dict[str, Any] = {name: _integral(fields[name]) for name in _NUMBERS if name in fields}
    if "image[]" in fields:
        typed["image"] = ""
    if "stream" in fields:
        typed["stream"] = {"true": True, "false": False}.get(fields["stream"].lower(), fields["stream"])
    if "temperature" in fields:
        typed["temperature"] = _number(fields["temperature"])
    return typed


def _integral(text: str) -> int | str:
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else text


def _number(text: str) -> float | str:
    return float(text) if re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", text, re.ASCII) else text


def _model(document: dict[str, Any], default: str | None) -> str:
    if "model" not in document and default is None:
        raise MissingParameter("model")
    value = document.get("model", default)
    if type(value) is not str or not _MODEL.fullmatch(value):
        raise InvalidValue("model")
    return value


def _missing(name: str, document: dict[str, Any]) -> MissingParameter:
    """Say where a body like this belongs, if it is another API's."""
    routes = [route for field, route in _BELONGS.items() if field in document and field != name]
    return BodyOfAnotherRoute(name, route=routes[0]) if routes and name in _BELONGS else MissingParameter(name)


def _check_required(name: str, document: dict[str, Any]) -> None:
    if name not in document:
        raise _missing(name, document)
    value = document[name]
    if name == "messages":
        if type(value) is not list or not value or not all(type(message) is dict for message in value):
            raise InvalidValue(name)
    elif name in ("input", "prompt", "query", "documents"):
        if type(value) not in (str, list) or not value:
            raise InvalidValue(name)
    elif value is None:
        raise InvalidValue(name)


def _stream(document: dict[str, Any]) -> bool:
    value = document.get("stream")
    if value is not None and type(value) is not bool:
        raise InvalidValue("stream")
    # Speech has no `stream`; it asks for events this way.
    return value is True or document.get("stream_format") == "sse"


def _max_tokens(document: dict[str, Any], endpoint: Endpoint) -> int | None:
    """Return the bound that holds at this endpoint: one that the upstream ignores must not shrink the estimate.

    Nothing is generated with a bound of 0, where that means something: it warms a cache, and weighs a text.
    """
    nothing = endpoint.output_limits if endpoint.kind in _NOTHING_GENERATED else ()
    for name in _OUTPUT_LIMITS:
        if name in document:
            _integer(document, name, MAX_OUTPUT, 0 if name in nothing else 1)
    bounds = [document[name] for name in endpoint.output_limits if document.get(name) is not None]
    return max(bounds, default=None)


def _choices(document: dict[str, Any]) -> int:
    """Return how many outputs are generated: `best_of` is paid for as well, and a list of prompts multiplies."""
    each = max(_integer(document, "n", MAX_CHOICES) or 1, _integer(document, "best_of", MAX_CHOICES, 0) or 1)
    prompts = document.get("prompt")
    return each * (len(prompts) if type(prompts) is list and type(prompts[0]) is not int else 1)


def _integer(document: dict[str, Any], name: str, largest: int, least: int = 1) -> int | None:
    value = document.get(name)
    if value is not None and (type(value) is not int or not least <= value <= largest):
        raise InvalidValue(name)
    return value


def _check_temperature(value: Any) -> None:
    if value is not None and type(value) not in (int, float):
        raise InvalidValue("temperature")


def _refuse_forbidden(document: dict[str, Any]) -> None:
    for name, value in document.items():
        if name in _FORBIDDEN or (name in _OTHER_MODELS and value):
            raise InvalidValue(name)
        if name == "svg" and type(value) is dict and value.get("model"):
            raise InvalidValue("svg.model")
        if (type(value) is dict or type(value) is list) and name not in _CONTENT:
            _refuse_forbidden_inside(value)


def _refuse_forbidden_inside(value: Any) -> None:
    if type(value) is dict:
        for name, child in value.items():
            if name in _FORBIDDEN:
                raise InvalidValue(name)
            _refuse_forbidden_inside(child)
    elif type(value) is list:
        for child in value:
            if type(child) is dict or type(child) is list:  # numbers may come by the hundred thousand
                _refuse_forbidden_inside(child)


def names_person(document: dict[str, Any]) -> bool:
    """Whether it has one of the fields that name the person to the provider (`wire/identity.py`)."""
    metadata = document.get("metadata")
    named = type(metadata) is dict and "user_id" in metadata
    return named or "user" in document or "safety_identifier" in document


def _dearer(document: dict[str, Any]) -> str | None:
    """The field that asks for a service of which no price list here knows the price; a new one is taken for dear."""
    if document.get("service_tier") not in _LIST_PRICE:
        return "service_tier"
    return "speed" if document.get("speed") == "fast" else None


def _asks_for_usage(document: dict[str, Any]) -> bool:
    options = document.get("stream_options")
    if options is not None and type(options) is not dict:
        raise InvalidValue("stream_options")
    return options is not None and options.get("include_usage") is True


def _asking_for_usage(body: bytes, document: dict[str, Any]) -> bytes:
    """Return the body with `stream_options.include_usage`: without it the upstream keeps a stream's usage to itself."""
    if "stream_options" not in document:
        return body.replace(b"{", _ASKED, 1)
    # The field is there with another value, and a second one of the same name would be a duplicate key. Finding the
    # end of the first in the text would be a second parser, so this rare body is written anew.
    options = {**(document["stream_options"] or {}), "include_usage": True}
    return orjson.dumps({**document, "stream_options": options})
