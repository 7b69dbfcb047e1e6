"""The kinds of upstreams: what differs between those that speak the same dialect. One row for each.

An upstream's kind is what the operator says (`kind` in the upstreams file), else what its host tells (`kind_at`), else
`generic`: a server that does all as its dialect does. From a row comes where a request goes, how its key is shown, by
which names the upstream lists its models, and which fields of ours (`wire/added.py`) it is never sent. How errors,
limits and figures differ is no matter of kinds: `keypool/complaint.py`, `keypool/limits.py` and `wire/figures.py` read
all of them side by side, because a gateway behind this one may pass on anybody's.

`recognised` reads an answer for the marks of the kind that gave it. It is asked only where an operator wants to know
whether the kind is right, and decides nothing.

Sources. Azure: Microsoft's "api-version-lifecycle", `lib/azure.py` of openai-python (`_deployments_endpoints`).
Gemini: Google's "OpenAI compatibility"; OpenCoworkAI/open-codesign#186 (`models/` in its list), ed-donner/agents#45
(`store` is refused). Mistral: avante-corp/avante.nvim#2347 (`stream_options`), editor-code-assistant/eca#231
(`max_completion_tokens`), Gitlawb/openclaude#739 (`store`). OpenRouter: "Usage Accounting", "App Attribution". Ollama:
"OpenAI compatibility", ollama/ollama#7125 (`max_completion_tokens` is passed over in silence). llama.cpp: the README of
its server; abetlen/llama-cpp-python#1907. vLLM: "OpenAI-Compatible Server".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote, urlsplit

_OF_DEPLOYMENTS = frozenset(
    {
        *("/chat/completions", "/completions", "/embeddings", "/images/generations", "/images/edits"),
        *("/audio/speech", "/audio/transcriptions", "/audio/translations"),
    }
)
AZURE_PATHS = ("", "/openai", "/openai/v1")  # behind the name of a resource
_NO_BOUND = frozenset({"max_completion_tokens"})


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamKind:
    """What is so at an upstream of this kind.

    `hosts`: names that show it, each with all below it. `key_header`: the header of its key, where that is not its
    dialect's. `prefix`: what stands before the ids in its list, and before no id in a request. `lists_served`: its list
    names what it serves; else what it could serve. `refuses`: fields of ours that it refuses, or passes over in
    silence. `dated`: it has paths with an `api-version`. `responses`: it has `/v1/responses` beside its chats.
    `conversations`: it keeps conversations (`/v1/conversations`).
    `states_bill`: `usage.cost` of its answers is what it bills for them (`wire/stated.py`).
    """

    name: str
    example: str
    dialects: frozenset[str] = frozenset({"openai"})
    hosts: tuple[str, ...] = ()
    key_header: str = ""
    prefix: str = ""
    lists_served: bool = True
    refuses: frozenset[str] = frozenset()
    dated: bool = False
    responses: bool = True
    conversations: bool = False
    states_bill: bool = False

    def credentials(self, usual: Mapping[str, str], secret: str) -> dict[str, str]:
        """The headers that show the key; `usual` are those of the dialect."""
        if not self.key_header:
            return dict(usual)
        return {self.key_header: secret}

    def listed(self, name: str) -> str:
        """The name of a model in requests, of the name in the upstream's list."""
        return name.removeprefix(self.prefix)


_BOTH = frozenset({"openai", "anthropic"})
_ROWS = (
    UpstreamKind(
        name="openai",
        example="https://api.openai.com/v1",
        hosts=("api.openai.com",),
        conversations=True,
    ),
    UpstreamKind(
        name="anthropic",
        example="https://api.anthropic.com/v1",
        dialects=frozenset({"anthropic"}),
        hosts=("api.anthropic.com",),
    ),
    UpstreamKind(
        name="azure",
        example="https://RESOURCE.openai.azure.com",
        hosts=("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com"),
        key_header="api-key",
        lists_served=False,
        dated=True,
        conversations=True,
    ),
    UpstreamKind(
        name="openrouter",
        example="https://openrouter.ai/api/v1",
        dialects=_BOTH,
        hosts=("openrouter.ai",),
        states_bill=True,
    ),
    UpstreamKind(
        name="gemini",
        example="https://generativelanguage.googleapis.com/v1beta/openai",
        hosts=("generativelanguage.googleapis.com",),
        prefix="models/",
        refuses=frozenset({"store"}),
        responses=False,
    ),
    UpstreamKind(
        name="mistral",
        example="https://api.mistral.ai/v1",
        hosts=("api.mistral.ai", "codestral.mistral.ai"),
        refuses=frozenset({"stream_options", "store"}) | _NO_BOUND,
        responses=False,
    ),
    UpstreamKind(
        name="vllm",
        example="http://127.0.0.1:8000/v1",
        dialects=_BOTH,
    ),
    UpstreamKind(
        name="ollama",
        example="http://127.0.0.1:11434/v1",
        dialects=_BOTH,
        hosts=("ollama.com",),
        refuses=_NO_BOUND,
    ),
    UpstreamKind(
        name="llamacpp",
        example="http://127.0.0.1:8080/v1",
        dialects=_BOTH,
        refuses=_NO_BOUND,
    ),
    UpstreamKind(name="generic", example="https://llm.example.org/v1", dialects=_BOTH, conversations=True),
)
KINDS: Mapping[str, UpstreamKind] = MappingProxyType({row.name: row for row in _ROWS})
GENERIC = KINDS["generic"]


# The marks of a kind in its answer to `GET /models`, the surest first: a header, a field of the list's entries, what
# they say of their owner, and the type of the whole.
_MARKS: tuple[tuple[str, str, str], ...] = (
    ("azure", "header", "apim-request-id"),
    ("azure", "header", "x-ms-region"),
    ("azure", "field", "lifecycle_status"),
    ("openrouter", "field", "canonical_slug"),
    ("anthropic", "header", "anthropic-organization-id"),
    ("mistral", "header", "mistral-correlation-id"),
    ("gemini", "owner", "google"),
    ("mistral", "owner", "mistralai"),
    ("vllm", "owner", "vllm"),
    ("ollama", "owner", "library"),
    ("llamacpp", "owner", "llamacpp"),
    ("anthropic", "type", "error"),
    ("anthropic", "field", "display_name"),
    ("openai", "header", "openai-version"),
    ("openai", "owner", "openai"),
    ("openai", "owner", "system"),
)


def kind_at(base_url: str, dialects: Collection[str]) -> UpstreamKind:
    """The kind that an address shows; `generic` where it shows none, or one that speaks other dialects."""
    place = urlsplit(base_url)
    host = place.hostname or ""
    for kind in KINDS.values():
        known = any(host == name or host.endswith(f".{name}") for name in kind.hosts)
        if known and kind.dialects.issuperset(dialects) and (not kind.dated or place.path in AZURE_PATHS):
            return kind
    return GENERIC


def address(kind: UpstreamKind, base_url: str, api_version: str) -> str:
    """What stands before `/chat/completions`: Azure's resource has it below, and two forms of it.

    The dated API begins at `/openai`, the present one at `/openai/v1`.
    """
    if not kind.dated:
        return base_url
    base = base_url.removesuffix("/v1").removesuffix("/openai") + "/openai"
    return base if api_version else f"{base}/v1"


def path(kind: UpstreamKind, endpoint: str, model: str, api_version: str) -> str:
    """The path of an endpoint behind the address. The dated API of Azure names the deployment in it, at some endpoints.

    `endpoint` is ours, `/v1/chat/completions`; `model` is the upstream's name.
    """
    bare = endpoint.removeprefix("/v1")
    if kind.dated and api_version and bare in _OF_DEPLOYMENTS:
        return f"/deployments/{quote(model, safe='')}{bare}"
    return bare


def query(kind: UpstreamKind, asked: str, api_version: str) -> str:
    """The query of a request: a date that its caller names is for another API than the one that Azure is asked by."""
    if not kind.dated:
        return asked
    words = [word for word in asked.split("&") if word in ("api-version=preview", "api-version=latest")]
    return f"api-version={quote(api_version)}" if api_version else "&".join(words[:1])


def recognised(headers: Mapping[str, str], document: object) -> UpstreamKind | None:
    """The kind that gave an answer to `GET /models`, good or bad; None if it bears no mark. Never raises."""
    body = document if isinstance(document, dict) else {}
    entries = body.get("data")
    first = entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}
    found: Mapping[str, Collection[object]] = {
        "header": {name.lower() for name in headers},
        "field": first.keys(),
        "owner": (first.get("owned_by"),),
        "type": (body.get("type"),),
    }
    return next((KINDS[kind] for kind, place, word in _MARKS if word in found[place]), None)
