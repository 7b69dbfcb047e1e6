"""Every method of both official SDKs: it is served and its answer is of its type, or it does not exist here.

What does not exist says so in the SDK's own error, and nothing of it goes upstream. A method that a release adds is
found by this test: it is a new row of `SERVED`, or it has to be a clear refusal.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic._resource import AsyncAPIResource as AnthropicResource
from openai._resource import AsyncAPIResource as OpenAIResource

from tests.clients.talking import CHAT, CLAUDE, EMBEDDING, HEARING, IMAGE, QUESTION, SPEECH, Talk

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the SDKs' own, of methods that will go
]

FILE = ("a.png", b"\x89PNG fake", "image/png")
SERVED: dict[str, dict[str, Any]] = {
    "audio.speech.create": {"model": SPEECH, "input": "hello", "voice": "alloy"},
    "audio.transcriptions.create": {"model": HEARING, "file": FILE},
    "audio.translations.create": {"model": HEARING, "file": FILE},
    "chat.completions.create": {"model": CHAT, "messages": QUESTION},
    "chat.completions.parse": {"model": CHAT, "messages": QUESTION},
    "completions.create": {"model": CHAT, "prompt": "Once"},
    "embeddings.create": {"model": EMBEDDING, "input": "hello"},
    "images.create_variation": {"model": IMAGE, "image": FILE},
    "images.edit": {"model": IMAGE, "image": [FILE, FILE], "prompt": "a hat"},
    "images.generate": {"model": IMAGE, "prompt": "a hat"},
    "models.list": {},
    "models.retrieve": {"model": CHAT},
    "moderations.create": {"input": "hello"},
    "responses.compact": {"model": CHAT, "input": "hello"},
    "responses.create": {"model": CHAT, "input": "hello"},
    "responses.input_tokens.count": {"model": CHAT, "input": "hello"},
    "responses.parse": {"model": CHAT, "input": "hello"},
}
SERVED |= {f"beta.{name}": asked for name, asked in SERVED.items() if name.startswith(("chat.", "responses."))}
del SERVED["beta.responses.parse"]  # there is none
SERVED_ANTHROPIC: dict[str, dict[str, Any]] = {
    "messages.count_tokens": {"model": CLAUDE, "messages": QUESTION},
    "messages.create": {"model": CLAUDE, "max_tokens": 50, "messages": QUESTION},
    "messages.parse": {"model": CLAUDE, "max_tokens": 50, "messages": QUESTION},
    "models.list": {},
    "models.retrieve": {"model_id": CLAUDE},
}
SERVED_ANTHROPIC |= {f"beta.{name}": asked for name, asked in SERVED_ANTHROPIC.items()}
ABSENT = frozenset({"unknown_url", "method_not_allowed", "stateful_disabled"})
# Helpers that ask several times, hold a socket, read files or only compute; what they ask for has methods of its own.
HELPERS = (
    *("poll", "stream", "connect", "unwrap", "verify_signature", "parse_unverified", "tool_runner", "worker", "poller"),
    *(
        "thread",
        "wait_for_processing",
        "upload_file_chunked",
        "prepare",
        "prepare_directory",
        "for_result",
        "upload",
        "retrieve_content",
    ),
)


def methods(client: Any, kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The methods of an SDK, by their paths in it."""
    pending = [("", client)]
    for path, resource in pending:  # it grows while we walk
        for name in sorted(dir(type(resource))):
            if name.startswith(("_", "with_")):
                continue
            value = getattr(resource, name, None)
            if isinstance(value, kind):
                pending.append((f"{path}{name}.", value))
            elif isinstance(resource, kind) and callable(value) and not _helps(name):
                yield path + name, value


def _helps(name: str) -> bool:
    return name in HELPERS or name.endswith(("_and_poll", "_stream"))


def anything(method: Callable[..., Any]) -> dict[str, Any]:
    """Some value for each argument that a method must have."""
    named = inspect.signature(method).parameters.items()
    return {name: _value(name, each.annotation) for name, each in named if each.default is inspect.Parameter.empty}


def _value(name: str, annotation: Any) -> Any:
    kind = str(annotation)
    if "FileTypes" in kind or name in ("file", "data", "video", "recording", "audio_sample"):
        return FILE
    if "Iterable" in kind or "SequenceNotStr" in kind or "List" in kind:
        return []
    if kind.startswith(("int", "float")):
        return 1
    return "abc"


async def answer_of(method: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """What a method answers. One that has several forms names the arguments of its first, and is called once more."""
    try:
        called = method(**arguments)
        return await called if inspect.isawaitable(called) else called
    except TypeError as error:
        needed = re.findall(r"'(\w+)'", str(error).partition("(")[2].partition(")")[0])
        if "Missing required" not in str(error) or needed[0] in arguments:
            raise
        return await answer_of(method, {name: _value(name, "") for name in needed} | arguments)


async def tried(talk: Talk, client: Any, kind: type, served: dict[str, dict[str, Any]], error: type) -> None:
    """Call each method once, and hold the gateway to what is served and what is not."""
    wrong: list[str] = []
    found = dict(methods(client, kind))
    assert served.keys() <= found.keys()
    for name, method in found.items():
        before = len(talk.fake.records)
        try:
            answer = await answer_of(method, served.get(name) or anything(method))
        except error as refused:
            body = refused.body if isinstance(refused.body, dict) else {}  # type: ignore[attr-defined]
            code = body.get("code") or {"not_found_error": "unknown_url"}.get(body.get("error", {}).get("type"), "")
            status = refused.status_code  # type: ignore[attr-defined]
            absent = status in (404, 405) and (code in ABSENT or status == 405)
            if name in served or not absent or len(talk.fake.records) > before:
                wrong.append(f"{name}: {status} {code}")
        except (TypeError, ValueError, RuntimeError) as ours:
            wrong.append(f"{name}: {type(ours).__name__} {ours}")
        else:
            if name not in served or answer is None:
                wrong.append(f"{name}: served")
    assert not wrong, wrong


@pytest.mark.gen_test(timeout=150)
async def test_each_method_of_openai_s_sdk_is_served_or_does_not_exist(talk: Talk) -> None:
    async with talk:
        client = await talk.openai(admin_api_key=talk.running.token, max_retries=0)
        await tried(talk, client, OpenAIResource, SERVED, openai.APIStatusError)


@pytest.mark.gen_test(timeout=150)
async def test_each_method_of_anthropic_s_sdk_is_served_or_does_not_exist(talk: Talk) -> None:
    async with talk:
        client = await talk.anthropic(max_retries=0)
        await tried(talk, client, AnthropicResource, SERVED_ANTHROPIC, anthropic.APIStatusError)
