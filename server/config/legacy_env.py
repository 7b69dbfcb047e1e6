"""The settings of the proxies that fairgate follows, by the names that they had there.

An operator who moves here from OAI Reverse Proxy or one of four other projects may keep the `.env`: each of its
names stands in one table, here or in `legacy_limits.py`, exactly once. It becomes a setting of ours, or it is left
alone for a reason that the start names. What our own names say wins. No note holds a value: many are secrets.

Some names are used by many: a client of this very gateway has its token in `OPENAI_API_KEY`. Such a name counts only
beside another one that shows whose it is.

What a hosting platform sets is read the same way: where people come, and that a proxy of the platform stands in front.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from server.config import legacy_limits
from server.config.legacy_limits import FHSWF

Known = Mapping[str, str]

OPENAI = "https://api.openai.com/v1"
SHORTEST_ADMIN_KEY = 16  # characters, as ADMIN_KEY wants it


@dataclass(frozen=True, slots=True)
class Translation:
    """The settings by our names, the name of theirs that each was made of, and notes for the operator."""

    known: dict[str, str]
    sources: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Renamed:
    """Settings of ours that take a value of theirs. Where `read` gives nothing, `otherwise` tells why."""

    ours: tuple[str, ...]
    read: Callable[[Known], str]
    otherwise: str = ""


def translate(known: Known) -> Translation:
    """Add what the other projects' names say to what is known."""
    made: dict[str, str] = {}
    sources: dict[str, str] = {}
    for theirs, row in RENAMED.items():
        value = row.read(known) if theirs in known else ""
        for ours in row.ours:
            if value and ours not in known and ours not in made:
                made[ours], sources[ours] = value, theirs
    if "LIMITS" not in known and (sentences := legacy_limits.sentences(known)):
        made["LIMITS"] = ", ".join(sentences)
        sources["LIMITS"] = ", ".join(dict.fromkeys(sentences.values()))
    platform = next((name for name in PLATFORMS if name in known), "")
    if platform and not {HOPS} & {*known, *made}:
        made[HOPS] = PLATFORM_HOPS
    reworded = {name: words[word] for name, words in REWORDED.items() if (word := known.get(name, "").lower()) in words}
    return Translation({**made, **known, **reworded}, sources, tuple(_notes(known, sources, platform)))


def _notes(known: Known, sources: Mapping[str, str], platform: str) -> Iterator[str]:
    if platform and not {HOPS} & {*known, *sources}:
        yield f"{platform}: a proxy of the platform stands in front, so {HOPS} is {PLATFORM_HOPS}"
    for ours, theirs in sources.items():
        yield f"{theirs}: read as {ours}"
    for theirs, row in RENAMED.items():
        if theirs in known and theirs not in sources.values():
            why = f"since {row.ours[0]} is said" if row.read(known) else row.otherwise
            yield f"{theirs}: not used, {why}"
    yield from legacy_limits.notes(known)
    for why, names in UNUSED.items():
        given = [name for name in known if why and _is_one_of(name, names)]
        if given:
            yield f"{', '.join(given)}: not used, {why}"


def is_theirs(name: str) -> bool:
    """Whether a name is another project's."""
    return name in RENAMED or any(_is_one_of(name, names) for names in UNUSED.values()) or legacy_limits.is_theirs(name)


def _is_one_of(name: str, names: str) -> bool:
    return any(name == each or (each.endswith("*") and name.startswith(each[:-1])) for each in names.split())


# --- what becomes a setting of ours

_FLASK = ("PROXY_SERVER_USER", "DB_OPTION", "DB_TYPE")


def _same(name: str) -> Callable[[Known], str]:
    return lambda known: known[name]


def _beside(others: tuple[str, ...], read: Callable[[Known], str]) -> Callable[[Known], str]:
    return lambda known: read(known) if any(other in known for other in others) else ""


def _key_at(name: str, url: str) -> Callable[[Known], str]:
    """A key and the address that another name says; some name an endpoint there."""

    def read(known: Known) -> str:
        address = known.get(url, OPENAI).rstrip("/").removesuffix("/chat/completions")
        return known[name] if address == OPENAI else f"{known[name]}@{address}"

    return read


def _long(name: str) -> Callable[[Known], str]:
    return lambda known: known[name] if len(known[name]) >= SHORTEST_ADMIN_KEY else ""


def _login(ours: str, theirs: str) -> Renamed:
    """A list of theirs is JSON; of ours it has commas between."""

    def read(known: Known) -> str:
        return re.sub(r'^\[\s*"|"\s*\]$|"(?=\s*,)|(?<=,)\s*"', "", known[theirs])

    return Renamed((ours,), _beside(("ISSUER",), read), f"any program may have it: say {ours}")


RENAMED: dict[str, Renamed] = {
    # OAI Reverse Proxy
    "SERVER_TITLE": Renamed(("TITLE",), _same("SERVER_TITLE")),
    "BIND_ADDRESS": Renamed(("HOST",), _same("BIND_ADDRESS")),
    "TRUSTED_PROXIES": Renamed(("TRUSTED_PROXY_HOPS",), _same("TRUSTED_PROXIES")),
    "USER_CONCURRENCY_LIMIT": Renamed(("QUEUE_PER_PERSON",), _same("USER_CONCURRENCY_LIMIT")),
    "MAX_OUTPUT_TOKENS": Renamed(
        ("MAX_OUTPUT_TOKENS_OPENAI", "MAX_OUTPUT_TOKENS_ANTHROPIC"), _same("MAX_OUTPUT_TOKENS")
    ),
    # fhswf/openai-proxy
    "API_KEY": Renamed(
        ("OPENAI_KEY",), _beside(FHSWF, _key_at("API_KEY", "API_URL")), "any program may have it: say OPENAI_KEY"
    ),
    "MONGO_URL": Renamed(
        ("STORE_URL",), _beside(FHSWF, _same("MONGO_URL")), "any program may have it: say STORE_URL"
    ),
    "ISSUER": Renamed(
        ("OIDC_ISSUER",), _beside(("CLIENT_ID",), _same("ISSUER")), "CLIENT_ID is not said beside it"
    ),
    "CLIENT_ID": _login("OIDC_CLIENT_ID", "CLIENT_ID"),
    "CLIENT_SECRET": _login("OIDC_CLIENT_SECRET", "CLIENT_SECRET"),
    "REDIRECT_URIS": _login("OIDC_REDIRECT_URIS", "REDIRECT_URIS"),
    "REDIRECT_URI": _login("OIDC_REDIRECT_URIS", "REDIRECT_URI"),
    "POST_LOGOUT_REDIRECT_URI": _login("POST_LOGOUT_URI", "POST_LOGOUT_REDIRECT_URI"),
    # AI-Northstar-Tech/openai-proxy, and the README of fhswf/openai-proxy
    "OPENAI_API_KEY": Renamed(
        ("OPENAI_KEY",), _beside((*FHSWF, *_FLASK), _key_at("OPENAI_API_KEY", "API_URL")),
        "a client has it too: say OPENAI_KEY if that key is to be shared",
    ),
    "PROXY_SERVER_PASS": Renamed(
        ("ADMIN_KEY",), _long("PROXY_SERVER_PASS"), f"ADMIN_KEY has {SHORTEST_ADMIN_KEY} characters or more"
    ),
    # adam-sse/openai-api-proxy
    "FORWARD_TOKEN": Renamed(("OPENAI_KEY",), _key_at("FORWARD_TOKEN", "FORWARD_URL")),
    "SERVER_PORT": Renamed(
        ("PORT",), _beside(("FORWARD_TOKEN",), _same("SERVER_PORT")), "any program may have it: say PORT"
    ),
}  # fmt: skip

# Where hosting platforms say under which address people come. Each has a proxy of its own in front, so one hop is sure;
# a platform that has more makes callers look alike, which is stricter, while one too many would let them choose.
PLATFORMS: dict[str, Renamed] = {
    "RENDER_EXTERNAL_URL": Renamed(("PUBLIC_URL",), _same("RENDER_EXTERNAL_URL")),
    "SPACE_HOST": Renamed(("PUBLIC_URL",), lambda known: f"https://{known['SPACE_HOST']}"),
}
HOPS = "TRUSTED_PROXY_HOPS"
PLATFORM_HOPS = "1"

RENAMED |= PLATFORMS

# Names that are ours as well, with words that were only theirs.
REWORDED: dict[str, dict[str, str]] = {
    "GATEKEEPER": {"proxy_key": "shared"},
    "LOG_LEVEL": {"trace": "debug", "http": "info", "warn": "warning", "fatal": "error"},
}


# --- what is left alone, and why; a star stands for any ending

_READ_BESIDE_OTHERS = "API_URL FORWARD_URL PROXY_SERVER_USER"
_OF_THE_PLATFORM = """
    NODE_ENV BUILD_INFO RENDER RENDER_GIT_COMMIT RENDER_GIT_BRANCH RENDER_GIT_REPO_SLUG RENDER_SERVICE_NAME
    SPACE_ID SPACE_TITLE SPACE_AUTHOR_NAME
"""

UNUSED: dict[str, str] = {
    "": _READ_BESIDE_OTHERS + _OF_THE_PLATFORM,
    "trial keys and keys of strangers are not farmed here; PROBE_INTERVAL says how often your own are checked": (
        "CHECK_KEYS"
    ),
    "name the provider in UPSTREAMS_FILE, or write KEY@URL into OPENAI_KEY, if it speaks OpenAI's dialect": """
        PALM_KEY GOOGLE_PALM_KEY
        AI21_KEY COHERE_KEY DEEPSEEK_KEY GLM_KEY GOOGLE_AI_KEY GOOGLE_KEY GROK_KEY MISTRAL_AI_KEY MISTRAL_KEY
        MOONSHOT_KEY OPENROUTER_KEY QWEN_KEY TOGETHER_KEY XAI_KEY PROVIDERS_FILE
    """,
    "the clouds' own ways to sign a request are not spoken": "AWS_CREDENTIALS AZURE_CREDENTIALS GCP_CREDENTIALS",
    "what comes through OpenAI's dialect has the bounds of MAX_CONTEXT_TOKENS_OPENAI and MAX_OUTPUT_TOKENS_OPENAI": """
        MAX_CONTEXT_TOKENS_GOOGLE MAX_CONTEXT_TOKENS_MISTRAL MAX_OUTPUT_TOKENS_GOOGLE MAX_OUTPUT_TOKENS_MISTRAL
        MAX_CONTEXT_TOKENS_AI21 MAX_OUTPUT_TOKENS_AI21 MAX_CONTEXT_TOKENS_PALM MAX_OUTPUT_TOKENS_PALM
    """,
    "OPENAI_MODELS, ANTHROPIC_MODELS and UPSTREAMS_FILE say which models there are, and for which groups": """
        ALLOWED_MODEL_FAMILIES BLOCKED_MODEL_FAMILIES DISABLED_MODELS DISABLED_GPT_MODELS TURBO_ONLY
        RESTRICTED_MODEL_MESSAGE
    """,
    "pictures and tools are passed on as they are": "ALLOWED_VISION_SERVICES ALLOW_OPENAI_TOOL_USAGE",
    "REJECT_PHRASES says what is refused, and TITLE and PAGE_FILE what the page says": "REJECT_DISALLOWED GREETING_URL",
    "nothing is put into a prompt": "PROMPT_INJECTIONS GOOGLE_INSERTINJECT",
    "the queue is always fair, and a request that waits keeps its stream open by small signs of life": """
        QUEUE_MODE HEARTBEAT_INTERVAL_SEC MIN_HEARTBEAT_SIZE_B MAX_HEARTBEAT_SIZE_KB PAYLOAD_SCALE_FACTOR LOAD_THRESHOLD
        TOKENS_PUNISHMENT_FACTOR
    """,
    "tokens are issued by the operator and not earned by computing": """
        CAPTCHA_MODE POW_CHALLENGE_TIMEOUT POW_DIFFICULTY_LEVEL POW_TOKEN_HOURS POW_TOKEN_MAX_IPS POW_TOKEN_PURGE_HOURS
        ARGON2_TIME_COST ARGON2_MEMORY_KB ARGON2_PARALLELISM ARGON2_HASH_LENGTH
    """,
    "a token says by itself from how many addresses it may be used": "MAX_IPS_PER_USER MAX_IPS_AUTO_BAN",
    "people and usage are in STORE_URL; `import` brings the people of another proxy's files and databases": """
        GATEKEEPER_STORE SQLITE_DATA_PATH USERS_JSON FIREBASE_KEY FIREBASE_RTDB_URL FIREBASE_USERS_REF_NAME
        DB_OPTION DB_TYPE DB_MODULE DB_USERNAME DB_PASSWORD DB_HOST DB_NAME SPRING_DATASOURCE_URL IGNORE_DB
    """,
    "every request has a row without its text; USAGE_DAYS says for how long": "EVENT_LOGGING EVENT_LOGGING_TRIM",
    "texts are kept only for a group that switched its log on; CONTENT_DAYS says for how long": """
        PROMPT_LOGGING PROMPT_LOGGING_BACKEND PROMPT_LOGGING_FILE_PREFIX GOOGLE_SHEETS_KEY GOOGLE_SHEETS_SPREADSHEET_ID
        ALLOW_AWS_LOGGING
    """,
    "which addresses get through is for the proxy or the firewall in front": """
        ADMIN_WHITELIST IP_BLACKLIST ENABLE_COUNTRY_BLOCKING BLOCKED_COUNTRIES ALLOWED_COUNTRIES IPINFO_TOKEN
        ENABLE_ANTI_ABUSE_IP_SPIKE ENABLE_ANTI_ABUSE_24H_FLEX ENABLE_ANTI_ABUSE_14H_CONTINUOUS
    """,
    "a refused caller gets an error; BLOCK_MESSAGE sets its text": "BLOCK_REDIRECT RESPONSE_ON_UNAUTHORIZED",
    "who sends a request is not disguised": "HTTP_AGENT_PROXY_URL HTTP_AGENT_INTERFACE GOOGLE_PROXY SPECIAL_HOST",
    "prompts are sent to no other service, neither for moderation nor to be counted": """
        OPENAI_MODERATION_KEY MODERATION_THRESHOLD_* USE_REMOTE_TOKEN_COUNTING
    """,
    "the page shows what there is to see without names": """
        SHOW_TOKEN_COSTS SHOW_RECENT_IMAGES STATIC_SERVICE_INFO SERVICE_INFO_PASSWORD SERVICE_INFO_AUTH_MODE
        ENABLE_INFO_PAGE_LOGIN LOGIN_IMAGE_URL DISABLE_USER_STATS QUOTA_DISPLAY_MODE ALLOW_NICKNAME_CHANGES
    """,
    "pictures are passed on and not kept": "IMAGE_EXPIRY IMGBB_KEY",
    "the API is always under /v1 and under /proxy": "PROXY_ENDPOINT_ROUTE API_PREFIX",
    "GATEKEEPER says who may ask": "IGNORE_AUTH",
    "PUBLIC_URL says under which address people come": "BASE_URL",
    "SSL_CERT_FILE names the certificates that are trusted": "NODE_EXTRA_CA_CERTS",
    "cookies are sealed under TOKEN_PEPPER, and are Secure but on this machine": """
        COOKIE_SECRET SIGNING_KEY USE_INSECURE_COOKIES
    """,
}
