"""The rate limits and quotas of other proxies, as sentences for LIMITS.

They knew families of models by names of their own; here a family is a pattern of models' names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

QUOTA = "TOKEN_QUOTA_"

IMAGES = "dall-e* gpt-image*"
FAMILIES = {
    "TURBO": "gpt-3.5-turbo*",
    "GPT4": "gpt-4 gpt-4-0314 gpt-4-0613",
    "GPT4_32K": "gpt-4-32k*",
    "GPT4_TURBO": "gpt-4-turbo* gpt-4-1106* gpt-4-0125*",
    "GPT4O": "gpt-4o* chatgpt-4o*",
    "GPT41": "gpt-4.1 gpt-4.1-2*",
    "GPT41_MINI": "gpt-4.1-mini*",
    "GPT41_NANO": "gpt-4.1-nano*",
    "GPT45": "gpt-4.5*",
    "GPT5": "gpt-5 gpt-5-2*",
    "GPT5_MINI": "gpt-5-mini*",
    "GPT5_NANO": "gpt-5-nano*",
    "GPT5_CHAT_LATEST": "gpt-5-chat*",
    "O1": "o1 o1-2* o1-preview*",
    "O1_MINI": "o1-mini*",
    "O1_PRO": "o1-pro*",
    "O3": "o3 o3-2*",
    "O3_MINI": "o3-mini*",
    "O3_PRO": "o3-pro*",
    "O4_MINI": "o4-mini*",
    "CODEX_MINI": "codex-mini*",
    "DALL_E": "dall-e*",
    "GPT_IMAGE": "gpt-image*",
    "CLAUDE": "claude-v* claude-2* claude-instant* claude*haiku* claude*sonnet*",
    "CLAUDE_OPUS": "claude*opus*",
    "GEMINI_FLASH": "gemini*flash*",
    "GEMINI_PRO": "gemini*pro*",
    "GEMINI_ULTRA": "gemini*ultra*",
    "MISTRAL_TINY": "mistral-tiny* open-mistral-7b*",
    "MISTRAL_SMALL": "mistral-small* open-mixtral-8x7b*",
    "MISTRAL_MEDIUM": "mistral-medium*",
    "MISTRAL_LARGE": "mistral-large*",
    "DEEPSEEK": "deepseek*",
    "XAI": "grok*",
    "COHERE": "command*",
    "QWEN": "qwen*",
    "GLM": "glm*",
    "MOONSHOT": "moonshot* kimi*",
}

# Rate limits: over how many minutes each counts, and of which models. Of two for the same models the first counts.
RATES = {
    "TEXT_MODEL_RATE_LIMIT": (1, ""),
    "MODEL_RATE_LIMIT": (1, ""),
    "IMAGE_MODEL_RATE_LIMIT": (1, IMAGES),
    "RATE_LIMIT": (15, ""),
}
FHSWF = ("API_URL", "ISSUER", "IGNORE_AUTH", "IGNORE_DB")  # fhswf/openai-proxy is known by one of these
PERIOD = "QUOTA_REFRESH_PERIOD"


def is_theirs(name: str) -> bool:
    return name == PERIOD or name in RATES or name.startswith(QUOTA)


def sentences(known: Mapping[str, str]) -> dict[str, str]:
    """Each sentence that follows from what is known, and the name from which it does."""
    return dict(_rates(_meant(known))) | dict(_quotas(known))


def notes(known: Mapping[str, str]) -> Iterator[str]:
    """The notes about limits that could not be translated exactly."""
    if "LIMITS" in known and (names := [name for name in known if name in RATES or name.startswith(QUOTA)]):
        yield f"{', '.join(names)}: not used, since LIMITS is said"
        return
    if "RATE_LIMIT" in known and "RATE_LIMIT" not in _meant(known):
        yield "RATE_LIMIT: not used, any program may have it: say LIMITS"
    for name in known:
        if name.startswith(QUOTA) and name.removeprefix(QUOTA) not in FAMILIES:
            yield f"{name}: not used, no such family of models is known: say LIMITS"
    if any(name.startswith(QUOTA) for name in known) and _window(known.get(PERIOD, "")) == ("ever", 1):
        yield f"{PERIOD}: no day, week or month, so a quota is what there is in all"


def _meant(known: Mapping[str, str]) -> Mapping[str, str]:
    """Without RATE_LIMIT, which any program may have, unless something shows whose it is."""
    if any(name in known for name in FHSWF):
        return known
    return {name: value for name, value in known.items() if name != "RATE_LIMIT"}


def _rates(known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    done: set[str] = set()
    for name, (minutes, models) in RATES.items():
        if known.get(name, "0") != "0" and models not in done:
            done.add(models)
            yield f"{_times(known[name], 1, minutes)} requests/minute {models}".strip(), name


def _quotas(known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    window, hours = _window(known.get(PERIOD, ""))
    for family, models in FAMILIES.items():
        if known.get(QUOTA + family, "0") != "0":
            yield f"{_times(known[QUOTA + family], hours)} tokens/{window} {models}", QUOTA + family


def _times(number: str, factor: int, divisor: int = 1) -> str:
    """A whole number, rounded up. Anything else is left to the reader of LIMITS, who says what is wrong with it."""
    return str(-(-int(number) * factor // divisor)) if number.isascii() and number.isdigit() else number


def _window(period: str) -> tuple[str, int]:
    """The window in which a quota begins anew, and how many periods it has: hourly, daily or a line of cron."""
    match period.lower().split():
        case ["daily"]:
            return "day", 1
        case ["hourly"] | [_, "*", "*", "*", "*"]:
            return "day", 24
        case [_, hour, "*", "*", "*"] if hour.isdigit():
            return "day", 1
        case [_, _, "*", "*", weekday] if weekday.isalnum():
            return "week", 1
        case [_, _, day, "*", "*"] if day.isdigit():
            return "month", 1
    return "ever", 1
