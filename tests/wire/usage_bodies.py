"""Usage as providers report it, each with what it means: a name, an endpoint, the answer, the usage, its cost.

The shapes are those of the providers' references and of bodies in public reports. `stream` bodies are the events of one
answer in their order. Costs are micro-USD by `RATES`: 1 a million read, 10 generated, 0.1 cached, 1.25 into a cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.ledger.prices import Rates
from server.wire.usage import Usage

RATES = Rates(
    input=1_000_000,
    cached=100_000,
    cache_write=1_250_000,
    output=10_000_000,
    input_audio=4_000_000,
    output_audio=20_000_000,
    output_text=5_000_000,
    audio_hour=360_000,
    image=40_000,
)
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
EMBEDDINGS, PICTURES = "/v1/embeddings", "/v1/images/generations"
SPEECH, TRANSCRIPTS, COMPLETIONS = "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/completions"


@dataclass(frozen=True, slots=True)
class Body:
    name: str
    path: str
    answer: dict[str, Any] | list[dict[str, Any]]
    usage: Usage
    cost: int


def chat(usage: dict[str, Any], **beside: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage, **beside}


def chunk(usage: Any = None, finish: str | None = None, **beside: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": "hi"}, "finish_reason": finish}
    used = {} if usage is None else {"usage": usage}
    return {"object": "chat.completion.chunk", "model": "m", "choices": [choice], **used, **beside}


def last(usage: dict[str, Any], **beside: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "model": "m", "choices": [], "usage": usage, **beside}


def openai(read: int, written: int, total: int | None = None, **beside: Any) -> dict[str, Any]:
    counted = read + written if total is None else total
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": counted, **beside}


def response(usage: dict[str, Any], *output: dict[str, Any], **beside: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "output": list(output),
        "usage": usage,
        **beside,
    }


def message(usage: dict[str, Any], *content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "model": "m", "content": list(content), "usage": usage}


def start(usage: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message_start", "message": {"model": "m", "usage": usage}}


def delta(usage: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


READ_1000 = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}

BODIES = [
    # ---- OpenAI, chat completions
    Body("openai: plain", CHAT, chat(openai(1000, 100)), Usage(1000, output=100), 2000),
    Body(
        "openai: everything of gpt-5",
        CHAT,
        chat(
            openai(
                1000,
                100,
                prompt_tokens_details={"cached_tokens": 600, "audio_tokens": 0},
                completion_tokens_details={
                    "reasoning_tokens": 64,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 20,
                    "rejected_prediction_tokens": 10,
                },
            ),
            service_tier="default",
        ),
        Usage(1000, cached=600, output=100, reasoning=64, tier="default"),
        400 + 60 + 1000,
    ),
    Body(
        "openai: sound both ways, and the words that were said",
        CHAT,
        chat(
            openai(
                1000,
                100,
                prompt_tokens_details={"cached_tokens": 0, "audio_tokens": 800, "text_tokens": 200},
                completion_tokens_details={"reasoning_tokens": 0, "audio_tokens": 70, "text_tokens": 30},
            )
        ),
        Usage(1000, output=100, input_audio=800, output_audio=70, output_text=30),
        200 + 3200 + 1400 + 150,
    ),
    Body(
        "openai: flex",
        CHAT,
        chat(openai(1000, 100), service_tier="flex"),
        Usage(1000, output=100, tier="flex"),
        2000,
    ),
    Body(
        "openai: priority, in a stream whose chunks all say so",
        CHAT,
        [chunk(service_tier="priority"), chunk(finish="stop", service_tier="priority"), last(openai(1000, 100))],
        Usage(1000, output=100, tier="priority"),
        5000,
    ),
    # ---- OpenAI, responses
    Body("openai responses: plain", RESPONSES, response(READ_1000), Usage(1000, output=100), 2000),
    Body(
        "openai responses: two searches, one page that is only opened, a file search, two runs in one container",
        RESPONSES,
        response(
            READ_1000,
            {"type": "web_search_call", "action": {"type": "search", "query": "a"}},
            {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}},
            {"type": "web_search_call", "action": {"type": "search", "query": "b"}},
            {"type": "file_search_call", "queries": ["c"]},
            {"type": "code_interpreter_call", "container_id": "cntr_1"},
            {"type": "code_interpreter_call", "container_id": "cntr_1"},
            {"type": "function_call", "name": "own", "arguments": "{}"},
        ),
        Usage(1000, output=100, tools="code_interpreter=1 file_search=1 web_search=2"),
        2000 + 20_000 + 2_500 + 30_000,
    ),
    Body(
        "openai responses: the same search in a stream, once as it is done and once in the end",
        RESPONSES,
        [
            {"type": "response.output_item.done", "item": {"type": "web_search_call", "action": {"type": "search"}}},
            {
                "type": "response.completed",
                "response": response(READ_1000, {"type": "web_search_call", "action": {"type": "search"}}),
            },
        ],
        Usage(1000, output=100, tools="web_search=1"),
        12_000,
    ),
    Body(
        "openai responses: a picture whose tokens are reported is paid by these alone",
        RESPONSES,
        response(
            READ_1000,
            {"type": "image_generation_call", "result": "AAAA"},
            tool_usage={"image_gen": {"input_tokens": 50, "output_tokens": 4160}, "web_search": {"num_requests": 0}},
        ),
        Usage(1000, output=100, tools="image_generation=1 image_input_token=50 image_output_token=4160"),
        2000 + 500 + 166_400,
    ),
    Body(
        "openai responses: a picture without reported tokens",
        RESPONSES,
        response(READ_1000, {"type": "image_generation_call", "result": "AAAA"}),
        Usage(1000, output=100, tools="image_generation=1"),
        252_000,
    ),
    # ---- OpenAI, the others
    Body("openai embeddings", EMBEDDINGS, {"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}, Usage(8), 8),
    Body(
        "openai pictures by the token",
        PICTURES,
        {
            "data": [{"b64_json": "A"}],
            "usage": {
                "input_tokens": 50,
                "output_tokens": 1056,
                "total_tokens": 1106,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens_details": {"image_tokens": 1056, "text_tokens": 0},
            },
        },
        Usage(50, output=1056, images=1, input_image=40, output_image=1056),
        50 + 10_560 + 40_000,
    ),
    Body("openai pictures by the picture", PICTURES, {"data": [{"url": "u"}] * 3}, Usage(images=3), 120_000),
    Body(
        "openai transcription by the token",
        TRANSCRIPTS,
        {
            "text": "hi",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "output_tokens": 45,
                "total_tokens": 59,
                "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
            },
        },
        Usage(14, output=45, input_audio=10),
        4 + 40 + 450,
    ),
    Body(
        "openai transcription by the time",
        TRANSCRIPTS,
        {"text": "hi", "usage": {"type": "duration", "seconds": 60}},
        Usage(audio_ms=60_000),
        6_000,
    ),
    Body(
        "openai speech in a stream",
        SPEECH,
        [{"type": "speech.audio.delta", "audio": "AAAA"}, {"type": "speech.audio.done", "usage": READ_1000}],
        Usage(1000, output=100),
        2000,
    ),
    Body(
        "openai completions",
        COMPLETIONS,
        {"choices": [{"index": 0, "text": "hi", "finish_reason": "stop"}], "usage": openai(10, 2)},
        Usage(10, output=2),
        30,
    ),
    # ---- Azure
    Body(
        "azure: filters come first, with an empty choice list and no usage",
        CHAT,
        [{"choices": [], "model": "", "prompt_filter_results": []}, chunk(), chunk(finish="stop"), last(openai(10, 2))],
        Usage(10, output=2),
        30,
    ),
    # ---- Anthropic
    Body(
        "anthropic: all kinds of input",
        MESSAGES,
        message(
            {
                "input_tokens": 10,
                "output_tokens": 20,
                "cache_read_input_tokens": 200,
                "cache_creation_input_tokens": 30,
                "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
                "server_tool_use": None,
                "service_tier": "standard",
                "inference_geo": "not_available",
            }
        ),
        Usage(240, 200, 30, 20, cache_write_1h=20, tier="standard", geo="not_available"),
        10 + 20 + 12 + 40 + 200,
    ),
    Body(
        "anthropic: the split without its sum",
        MESSAGES,
        message({"input_tokens": 10, "output_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 100}}),
        Usage(110, cache_write=100, output=1, cache_write_1h=100),
        10 + 200 + 10,
    ),
    Body(
        "anthropic: searches, pages and code, in a stream",
        MESSAGES,
        [
            start({"input_tokens": 1000, "output_tokens": 1}),
            {"type": "content_block_start", "content_block": {"type": "server_tool_use", "name": "web_search"}},
            delta(
                {
                    "output_tokens": 100,
                    "server_tool_use": {
                        "web_search_requests": 2,
                        "web_fetch_requests": 1,
                        "code_execution_requests": 4,
                    },
                }
            ),
            {"type": "message_stop"},
        ],
        Usage(1000, output=100, tools="code_execution=1 web_fetch=1 web_search=2"),
        2000 + 20_000 + 50_000,
    ),
    Body(
        "anthropic: the faster service, in the US",
        MESSAGES,
        message({"input_tokens": 1000, "output_tokens": 100, "speed": "fast", "inference_geo": "us"}),
        Usage(1000, output=100, tier="fast", geo="us"),
        13_200,
    ),
    Body(
        "anthropic: nothing is taken back by zeros and nulls",
        MESSAGES,
        [
            start({"input_tokens": 1000, "cache_read_input_tokens": 5000, "output_tokens": 1}),
            delta({"input_tokens": 0, "cache_read_input_tokens": None, "output_tokens": 20}),
            delta({"output_tokens": 0}),
        ],
        Usage(6000, 5000, output=20),
        1700,
    ),
    Body(
        "anthropic: compaction in a stream, with the tools and the cache of each turn",
        MESSAGES,
        [
            start({"input_tokens": 100, "output_tokens": 1}),
            delta(
                {
                    "input_tokens": 100,
                    "output_tokens": 10,
                    "iterations": [
                        {"type": "compaction", "input_tokens": 5000, "output_tokens": 50},
                        {"type": "message", "input_tokens": 100, "cache_read_input_tokens": 900, "output_tokens": 10},
                    ],
                }
            ),
        ],
        Usage(6000, 900, output=60),
        5100 + 90 + 600,
    ),
    # ---- OpenRouter
    Body(
        "openrouter",
        CHAT,
        chat(
            openai(
                1000,
                100,
                cost=0.95,
                is_byok=False,
                prompt_tokens_details={"cached_tokens": 100, "cache_write_tokens": 200, "audio_tokens": 0},
                completion_tokens_details={"reasoning_tokens": 60, "image_tokens": 0},
                server_tool_use={"web_search_requests": 2},
            )
        ),
        Usage(1000, 100, 200, 100, 60, tools="web_search=2"),
        700 + 10 + 250 + 1000 + 20_000,
    ),
    # ---- xAI
    Body(
        "xai: reasoning on top, sources of live search",
        CHAT,
        chat(
            openai(
                1000,
                100,
                1600,
                num_sources_used=3,
                prompt_tokens_details={
                    "text_tokens": 1000,
                    "audio_tokens": 0,
                    "image_tokens": 0,
                    "cached_tokens": 200,
                },
                completion_tokens_details={"reasoning_tokens": 500, "audio_tokens": 0},
            )
        ),
        Usage(1000, 200, output=600, reasoning=500, tools="live_search_source=3"),
        800 + 20 + 6000 + 75_000,
    ),
    Body(
        "xai: tools at its side",
        RESPONSES,
        response(
            {
                **READ_1000,
                "num_server_side_tools_used": 3,
                "server_side_tool_usage_details": {
                    "web_search_calls": 1,
                    "x_search_calls": 2,
                    "code_interpreter_calls": 1,
                    "mcp_calls": 4,
                },
            }
        ),
        Usage(1000, output=100, tools="code_interpreter_call=1 web_search=1 x_search=2"),
        2000 + 5000 + 10_000 + 10_000,
    ),
    # ---- Gemini, behind its OpenAI interface
    Body("gemini: thoughts stand in the total only", CHAT, chat(openai(10, 5, 115)), Usage(10, output=105), 1060),
    # ---- Mistral, Groq, DeepSeek, Moonshot, Alibaba
    Body("mistral", CHAT, chat(openai(10, 2, prompt_audio_seconds=None, num_cached_tokens=0)), Usage(10, output=2), 30),
    Body(
        "groq: under its own name and at the top, twice the same",
        CHAT,
        [chunk(finish="stop", x_groq={"id": "r", "usage": openai(10, 2)}), last(openai(10, 2, queue_time=0.01))],
        Usage(10, output=2),
        30,
    ),
    Body(
        "groq: tools that its compound models ran",
        CHAT,
        {
            **chat(openai(10, 2)),
            "choices": [
                {"message": {"executed_tools": [{"type": "search"}, {"type": "python"}]}, "finish_reason": "stop"}
            ],
        },
        Usage(10, output=2, tools="code_interpreter_call=1 web_search=1"),
        30 + 15_000,
    ),
    Body(
        "deepseek",
        CHAT,
        chat(
            openai(
                1000,
                100,
                prompt_cache_hit_tokens=900,
                prompt_cache_miss_tokens=100,
                completion_tokens_details={"reasoning_tokens": 80},
            )
        ),
        Usage(1000, 900, output=100, reasoning=80),
        100 + 90 + 1000,
    ),
    Body(
        "moonshot: in the last choice",
        CHAT,
        [chunk(), {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": openai(10, 2)}]}],
        Usage(10, output=2),
        30,
    ),
    Body(
        "moonshot: its own search",
        CHAT,
        {
            **chat(openai(10, 2)),
            "choices": [{"message": {"tool_calls": [{"function": {"name": "$web_search", "arguments": "{}"}}]}}],
        },
        Usage(10, output=2, tools="web_search=1"),
        10_030,
    ),
    Body(
        "alibaba: its explicit cache",
        CHAT,
        chat(
            openai(
                1000,
                100,
                prompt_tokens_details={
                    "cached_tokens": 0,
                    "cache_type": "ephemeral",
                    "cache_creation_input_tokens": 800,
                    "cache_creation": {"ephemeral_5m_input_tokens": 800},
                },
            )
        ),
        Usage(1000, cache_write=800, output=100),
        200 + 1000 + 1000,
    ),
    # ---- servers of one's own
    Body(
        "vllm: in every chunk, cumulative",
        CHAT,
        [chunk(openai(10, 0)), chunk(openai(10, 1)), chunk(openai(10, 2), "stop"), last(openai(10, 2))],
        Usage(10, output=2),
        30,
    ),
    Body("vllm: null details", CHAT, chat(openai(10, 2, prompt_tokens_details=None)), Usage(10, output=2), 30),
    Body("some: zeros at the end", CHAT, [chunk(openai(10, 2)), chunk(openai(0, 0), "stop")], Usage(10, output=2), 30),
    Body("ollama", CHAT, {**chat(openai(26, 2)), "system_fingerprint": "fp_ollama"}, Usage(26, output=2), 46),
    Body(
        "llama.cpp: with its timings",
        CHAT,
        [last(openai(10, 2, prompt_tokens_details={"cached_tokens": 4}), timings={"prompt_n": 6})],
        Usage(10, 4, output=2),
        26,
    ),
    Body(
        "sglang: reasoning beside the details",
        CHAT,
        chat(openai(10, 5, prompt_tokens_details=None, reasoning_tokens=3)),
        Usage(10, output=5, reasoning=3),
        60,
    ),
]
