"""Families of models and keys by provider, in the words of the OAI Reverse Proxy, for pages that were written for it.

Pure. A model belongs to the first family whose pattern its name fits; most newer ones belong to none, as there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from keypool.health import KeyState
from keypool.keys import Key
from web.view import ModelView
from web.view_public import FamilyView

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "turbo": ("gpt-3.5*",),
    "gpt432k": ("gpt-4-32k*",),
    "gpt4_turbo": ("gpt-4-turbo*", "gpt-4-*-preview", "gpt-4o*", "gpt-4.1*"),
    "gpt4": ("gpt-4", "gpt-4-*"),
    "anthropic": ("claude*",),
    "grok": ("grok*",),
    "google": ("gemini*", "gemma*"),
    "mistral": ("mistral*", "mixtral*", "ministral*", "codestral*", "magistral*"),
    "palm": ("palm*", "*bison*"),
    "ai21": ("jamba*", "j2-*"),
}
PROVIDERS = ("openai", "anthropic", "google", "mistral", "grok", "ai21")


def family_of(model: str) -> str | None:
    """The family of a model; None if it has none."""
    for family, patterns in FAMILIES.items():
        if any(fnmatchcase(model, pattern) for pattern in patterns):
            return family
    return None


def provider_of(key: Key) -> str:
    """The provider of a key: by its upstream's name, else by its dialect."""
    named = key.upstream.partition("-")[0].lower()
    if named in PROVIDERS:
        return named
    return "openai" if "openai" in key.dialects else "anthropic"


def families(models: Iterable[ModelView], keys: Iterable[Key]) -> dict[str, FamilyView]:
    """How each family stands."""
    ours: dict[str, list[ModelView]] = {family: [] for family in FAMILIES}
    for model in models:
        if (family := family_of(model.name)) is not None:
            ours[family].append(model)
    known = list(keys)
    return {family: _family(mine, known) for family, mine in ours.items()}


def keys_by_provider(keys: Iterable[Key]) -> dict[str, int]:
    """How many keys there are for whose service."""
    found = dict.fromkeys(PROVIDERS, 0)
    for key in keys:
        found[provider_of(key)] += 1
    return found


def tokens_by_provider(tokens: Mapping[str, int], keys: Iterable[Key]) -> dict[str, int]:
    """Tokens by model as tokens by the provider that has it now."""
    owners = {model: provider_of(key) for key in keys for model in key.models}
    found = dict.fromkeys(PROVIDERS, 0)
    for model, number in tokens.items():
        if model in owners:
            found[owners[model]] += number
    return found


def _family(models: list[ModelView], keys: list[Key]) -> FamilyView:
    names = {model.name for model in models}
    states = [key.whole.state for key in keys if not names.isdisjoint(key.models)]
    waits = [model.wait_seconds for model in models if model.answers and model.wait_seconds is not None]
    return FamilyView(
        active=sum(state in (KeyState.READY, KeyState.UNCHECKED, KeyState.COOLING) for state in states),
        exhausted=states.count(KeyState.EXHAUSTED),
        revoked=states.count(KeyState.REVOKED),
        disabled=states.count(KeyState.PAUSED),
        waiting=sum(model.waiting for model in models),
        wait_seconds=min(waits, default=None),
    )
