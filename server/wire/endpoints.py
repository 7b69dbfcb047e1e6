"""The endpoints that fairgate passes on: one row each, and no others.

Billing, organisation, files, fine-tuning, batches and assistants are absent on purpose: with a shared key they would
show or change what belongs to others. `GET /v1/models` is answered by the gateway itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from server.wire.answers import Chat, Complete, Completions, Embeddings, Free, Media, Messages, Pictures, Responses
from server.wire.anthropic import ANTHROPIC
from server.wire.dialect import Dialect
from server.wire.meter import Meter
from server.wire.openai import OPENAI
from server.wire.rerank import Rerank
from server.wire.speech import Speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint that the gateway passes on."""

    path: str
    kind: str  # names the shape of the request, for `tokens.prompt_of`, and of the answer, for statistics
    dialect: Dialect
    meter: Callable[[], Meter]
    required: tuple[str, ...]  # fields beside the model, in the order in which they are asked for
    output_limits: tuple[str, ...] = ()  # the fields that bound the output here; elsewhere they mean nothing
    unbounded: bool = False  # it writes text that no field bounds, but the model itself
    streams: bool = False
    asks_usage: bool = False  # a stream reports its usage only if it is asked to
    keeping: tuple[str, ...] = ()  # the fields that ask the provider to keep the answer
    keeps_by_default: bool = False  # it also does where `store` is absent
    following: tuple[str, ...] = ()  # the fields that name something it has kept
    media: Literal["json", "multipart"] = "json"
    answer: Literal["json", "any"] = "json"
    default_model: str | None = None  # what the provider takes when the body names none

    @property
    def spoken(self) -> str:
        """What a key must speak to serve this: the dialect; of OpenAI's the responses apart, which many lack."""
        return "responses" if self.path.startswith("/v1/responses") else self.dialect.name

    @property
    def writes(self) -> bool:
        """Whether its answer is text that is billed by its tokens."""
        return self.unbounded or bool(self.output_limits)

    @property
    def free(self) -> bool:
        """Whether no provider charges for an answer."""
        return self.meter is Free


_TABLE = (
    Endpoint(
        path="/v1/chat/completions",
        kind="chat",
        dialect=OPENAI,
        meter=Chat,
        required=("messages",),
        output_limits=("max_completion_tokens", "max_tokens"),
        streams=True,
        asks_usage=True,
        keeping=("deferred", "store"),  # xAI answers a deferred one later, to any holder of the key
    ),
    Endpoint(
        path="/v1/completions",
        kind="completions",
        dialect=OPENAI,
        meter=Completions,
        required=("prompt",),
        output_limits=("max_tokens",),
        streams=True,
        asks_usage=True,
    ),
    Endpoint(
        path="/v1/responses",
        kind="responses",
        dialect=OPENAI,
        meter=Responses,
        required=("input",),
        output_limits=("max_output_tokens",),
        streams=True,
        keeping=("store", "background", "conversation"),
        keeps_by_default=True,
        following=("previous_response_id", "conversation"),
    ),
    Endpoint(
        path="/v1/responses/compact",
        kind="compact",
        dialect=OPENAI,
        meter=Responses,
        required=(),  # what was said may be named instead (`previous_response_id`)
        unbounded=True,
        following=("previous_response_id",),
    ),
    Endpoint(
        path="/v1/responses/input_tokens",
        kind="input_tokens",
        dialect=OPENAI,
        meter=Free,
        required=(),
        following=("previous_response_id", "conversation"),
    ),
    Endpoint(path="/v1/embeddings", kind="embeddings", dialect=OPENAI, meter=Embeddings, required=("input",)),
    Endpoint(
        path="/v1/moderations",
        kind="moderations",
        dialect=OPENAI,
        meter=Free,
        required=("input",),
        default_model="omni-moderation-latest",
    ),
    Endpoint(
        path="/v1/images/generations",
        kind="images",
        dialect=OPENAI,
        meter=Pictures,
        required=("prompt",),
        streams=True,
    ),
    Endpoint(
        path="/v1/images/edits",
        kind="edits",
        dialect=OPENAI,
        meter=Pictures,
        required=("image", "prompt"),
        streams=True,
        media="multipart",
    ),
    Endpoint(
        path="/v1/images/variations",
        kind="variations",
        dialect=OPENAI,
        meter=Pictures,
        required=("image",),
        media="multipart",
    ),
    Endpoint(path="/v1/rerank", kind="rerank", dialect=OPENAI, meter=Rerank, required=("query", "documents")),
    Endpoint(
        path="/v1/audio/speech",
        kind="speech",
        dialect=OPENAI,
        meter=Speech,
        required=("input",),
        streams=True,
        answer="any",
    ),
    Endpoint(
        path="/v1/audio/transcriptions",
        kind="transcriptions",
        dialect=OPENAI,
        meter=Media,
        required=("file",),
        streams=True,
        media="multipart",
        answer="any",
    ),
    Endpoint(
        path="/v1/audio/translations",
        kind="translations",
        dialect=OPENAI,
        meter=Media,
        required=("file",),
        media="multipart",
        answer="any",
    ),
    Endpoint(
        path="/v1/messages",
        kind="messages",
        dialect=ANTHROPIC,
        meter=Messages,
        required=("messages", "max_tokens"),
        output_limits=("max_tokens",),
        streams=True,
    ),
    Endpoint(
        path="/v1/complete",
        kind="complete",
        dialect=ANTHROPIC,
        meter=Complete,
        required=("prompt", "max_tokens_to_sample"),
        output_limits=("max_tokens_to_sample",),
        streams=True,
    ),
    Endpoint(
        path="/v1/messages/count_tokens",
        kind="count_tokens",
        dialect=ANTHROPIC,
        meter=Free,
        required=("messages",),
    ),
)

ENDPOINTS: dict[str, Endpoint] = {endpoint.path: endpoint for endpoint in _TABLE}
