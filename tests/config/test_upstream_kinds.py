"""What differs between kinds of upstreams: addresses, keys, lists, and the marks by which a kind is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keypool.codes import Fault
from keypool.complaint import complaint_of
from keypool.health import KeyEvent
from keypool.verdict import judge
from server.config.specs import Secret, UpstreamSpec
from server.config.upstream_kinds import KINDS, address, kind_at, path, query, recognised
from server.keys.registry import pool_key

AZURE = KINDS["azure"]


@pytest.mark.parametrize(
    ("url", "dialect", "kind"),
    [
        *((kind.example, min(kind.dialects), kind.name) for kind in KINDS.values() if "https:" in kind.example),
        ("https://api.anthropic.com/v1", "openai", "generic"),  # Anthropic's endpoint for OpenAI's SDK
        ("https://x.openai.azure.com/openai/v1", "openai", "azure"),
        ("https://x.services.ai.azure.com/models", "openai", "generic"),  # another API of the same host
        ("https://x.services.ai.azure.com/anthropic/v1", "anthropic", "generic"),
        ("https://openai.azure.com.example.org/v1", "openai", "generic"),
        ("https://notopenrouter.ai/api/v1", "openai", "generic"),
        ("http://127.0.0.1:8000/v1", "openai", "generic"),
    ],
)  # fmt: skip
def test_an_address_shows_its_kind(url: str, dialect: str, kind: str) -> None:
    assert kind_at(url.replace("RESOURCE", "x"), (dialect,)).name == kind


@pytest.mark.parametrize("base", ["https://x.example", "https://x.example/openai", "https://x.example/openai/v1"])
def test_both_apis_of_azure_stand_below_its_resource(base: str) -> None:
    assert address(AZURE, base, "") == "https://x.example/openai/v1"
    assert address(AZURE, base, "2024-10-21") == "https://x.example/openai"
    assert address(KINDS["generic"], base, "") == base


@pytest.mark.parametrize(
    ("kind", "endpoint", "version", "wanted"),
    [
        ("azure", "/v1/chat/completions", "", "/chat/completions"),
        ("azure", "/v1/chat/completions", "2024-10-21", "/deployments/my%20gpt%2F5/chat/completions"),
        ("azure", "/v1/embeddings", "2024-10-21", "/deployments/my%20gpt%2F5/embeddings"),
        ("azure", "/v1/responses", "2025-04-01-preview", "/responses"),
        ("gemini", "/v1/chat/completions", "", "/chat/completions"),
        ("generic", "/v1/messages/count_tokens", "", "/messages/count_tokens"),
    ],
)
def test_only_the_dated_api_of_azure_names_the_deployment_in_its_path(
    kind: str, endpoint: str, version: str, wanted: str
) -> None:
    assert path(KINDS[kind], endpoint, "my gpt/5", version) == wanted


@pytest.mark.parametrize(
    ("kind", "asked", "version", "wanted"),
    [
        ("azure", "api-version=2024-10-21", "", ""),
        ("azure", "api-version=preview", "", "api-version=preview"),
        ("azure", "api-version=2024-02-01&beta=true", "2024-10-21", "api-version=2024-10-21"),
        ("azure", "", "2024-10-21", "api-version=2024-10-21"),
        ("generic", "beta=true", "", "beta=true"),
    ],
)
def test_the_operator_says_by_which_date_azure_is_asked(kind: str, asked: str, version: str, wanted: str) -> None:
    assert query(KINDS[kind], asked, version) == wanted


@pytest.mark.parametrize(
    ("kind", "dialects", "said", "spoken"),
    [
        ("openai", ("openai",), None, {"openai", "responses"}),
        ("generic", ("openai", "anthropic"), None, {"openai", "anthropic", "responses"}),
        ("generic", ("openai",), False, {"openai"}),
        ("gemini", ("openai",), None, {"openai"}),
        ("mistral", ("openai",), None, {"openai"}),
        ("mistral", ("openai",), True, {"openai", "responses"}),
        ("anthropic", ("anthropic",), None, {"anthropic"}),
        ("anthropic", ("anthropic",), True, {"anthropic"}),
    ],
)
def test_responses_are_apart_from_the_dialect(
    kind: str, dialects: tuple[str, ...], said: bool | None, spoken: set[str]
) -> None:
    """A key without them serves none: they are translated to its chats."""
    url = "https://llm.example.org/v1"
    each = UpstreamSpec(name="x", dialects=dialects, base_url=url, keys=(), kind=kind, responses=said)
    assert each.spoken == spoken
    assert pool_key("k", each).dialects == spoken


def test_a_key_is_shown_as_its_kind_wants_it() -> None:
    usual = {"Authorization": "Bearer s"}
    assert AZURE.credentials(usual, "s") == {"api-key": "s"}
    assert KINDS["vllm"].credentials(usual, "s") == usual


def test_models_have_our_names_in_our_lists() -> None:
    spec = UpstreamSpec(
        name="g", dialects=("openai",), base_url=KINDS["gemini"].example, keys=(),
        names=("fast=gemini-2.5-flash", "small=gemini-2.5-flash", "gone=gemini-1.0"),
    )  # fmt: skip
    assert spec.ours(["models/gemini-2.5-flash", "models/gemini-2.5-pro"]) == ("fast", "gemini-2.5-pro", "small")
    assert spec.theirs["fast"] == "gemini-2.5-flash"


# Lists as their servers give them, cut down to one entry; and refusals, which bear marks, too.
ANSWERS: list[tuple[str, dict[str, str], Any]] = [
    ("openai", {"openai-version": "2020-10-01"}, {"object": "list", "data": [{"id": "gpt-5", "owned_by": "system"}]}),
    ("openai", {}, {"object": "list", "data": [{"id": "gpt-4", "object": "model", "owned_by": "openai"}]}),
    (
        "anthropic",
        {},
        {"data": [{"type": "model", "id": "claude-opus-4-8", "display_name": "Claude"}], "has_more": False},
    ),
    ("anthropic", {}, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}),
    (
        "azure",
        {},
        {"data": [{"id": "gpt-4o-2024-08-06", "lifecycle_status": "generally-available", "object": "model"}]},
    ),
    (
        "azure",
        {"apim-request-id": "1", "x-ms-region": "Sweden Central"},
        {"error": {"code": "404", "message": "Resource not found"}},
    ),
    (
        "openrouter",
        {},
        {"data": [{"id": "openai/gpt-5", "canonical_slug": "openai/gpt-5", "pricing": {"prompt": "0.1"}}]},
    ),
    ("gemini", {}, {"data": [{"id": "models/gemini-2.5-pro", "owned_by": "google", "display_name": "Gemini 2.5 Pro"}]}),
    ("mistral", {}, {"data": [{"id": "mistral-small-latest", "owned_by": "mistralai", "type": "base"}]}),
    ("vllm", {}, {"data": [{"id": "Qwen/Qwen3-8B", "owned_by": "vllm", "root": "/models", "max_model_len": 32768}]}),
    ("ollama", {}, {"data": [{"id": "llama3.1:8b", "object": "model", "created": 1, "owned_by": "library"}]}),
    (
        "llamacpp",
        {},
        {"models": [{"type": "model"}], "data": [{"id": "q", "owned_by": "llamacpp", "meta": {"n_ctx": 1}}]},
    ),
]


@pytest.mark.parametrize(("kind", "headers", "document"), ANSWERS)
def test_each_kind_is_known_by_its_answer(kind: str, headers: dict[str, str], document: Any) -> None:
    found = recognised({name.title(): value for name, value in headers.items()}, document)
    assert found is KINDS[kind]


@pytest.mark.parametrize(
    "document", [None, [], "x", {}, {"data": 1}, {"data": []}, {"data": [1]}, {"data": [{"owned_by": []}]}]
)
def test_what_bears_no_mark_is_of_no_kind(document: Any) -> None:
    assert recognised({"Content-Type": "application/json"}, document) is None


# One refusal of each kind about each thing that its words tell apart, as public reports show them.
FILTERED = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": None, "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}},
    }
}  # fmt: skip
BAD_GEMINI = [
    {
        "error": {
            "code": 400, "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
            "status": "INVALID_ARGUMENT",
        }
    }
]  # fmt: skip
EXTRA = {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"]}]}, "code": None}
REFUSALS: list[tuple[str, int, Any, KeyEvent | None]] = [
    ("azure", 400, FILTERED, None),
    (
        "azure",
        404,
        {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}},
        KeyEvent.NO_SUCH_MODEL,
    ),
    (
        "azure",
        401,
        {"error": {"code": "401", "message": "Access denied due to invalid subscription key."}},
        KeyEvent.KEY_REFUSED,
    ),
    (
        "azure",
        429,
        {"error": {"code": "429", "message": "Requests have exceeded the call rate limit."}},
        KeyEvent.RATE_LIMITED,
    ),
    ("openrouter", 402, {"error": {"code": 402, "message": "Insufficient credits"}}, KeyEvent.OUT_OF_QUOTA),
    ("openrouter", 403, {"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["x"]}}}, None),
    ("gemini", 400, BAD_GEMINI, None),
    (
        "gemini",
        429,
        [{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}],
        KeyEvent.RATE_LIMITED,
    ),
    ("mistral", 422, EXTRA, None),
    ("mistral", 429, {"message": "Requests rate limit exceeded"}, KeyEvent.RATE_LIMITED),
    (
        "vllm",
        404,
        {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404},
        KeyEvent.NO_SUCH_MODEL,
    ),
    ("ollama", 404, {"error": {"message": "model 'x' not found", "type": "not_found_error"}}, KeyEvent.NO_SUCH_MODEL),
    (
        "llamacpp",
        503,
        {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
        KeyEvent.FAILED,
    ),
]


@pytest.mark.parametrize(("kind", "status", "body", "event"), REFUSALS)
def test_a_refusal_of_each_kind_is_laid_where_it_belongs(
    kind: str, status: int, body: Any, event: KeyEvent | None
) -> None:
    assert judge(status, {}, json.dumps(body).encode(), 0.0).event is event, kind


def test_a_filtered_prompt_is_its_callers_own() -> None:
    assert complaint_of({}, json.dumps(FILTERED).encode()).blames(Fault.CALLER)


def test_a_key_of_two_accounts_is_two_keys_and_hides_what_it_carries() -> None:
    key = Secret("sk-0123456789abcdef")
    first = key.carrying((("openai-organization", Secret("org-1")), ("x-title", Secret("campus"))))
    second = key.carrying((("openai-organization", Secret("org-2")),))
    assert len({key.fingerprint, first.fingerprint, second.fingerprint}) == 3
    assert key.carrying((("x-title", Secret("a")),)).fingerprint == key.fingerprint  # no other account
    assert first.last4 == key.last4 == "cdef"
    assert first.opened() == ("sk-0123456789abcdef", {"openai-organization": "org-1", "x-title": "campus"})
    assert "org-1" not in f"{first!r}{first}"


def test_the_manual_has_a_row_for_each_kind() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "upstreams.md").read_text(encoding="utf-8")
    for kind in KINDS.values():
        assert f"| `{kind.name}` | `{kind.example}`" in manual
