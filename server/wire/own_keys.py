"""Where a request with the caller's own key may go, and which of its headers pass.

It goes to one of the addresses that the operator named, chosen by its name. A path stays below that address, however it
is spelt. Headers pass by list in both directions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from server.wire.answers import Free
from server.wire.anthropic import ANTHROPIC
from server.wire.dialect import Dialect
from server.wire.endpoints import ENDPOINTS, Endpoint
from server.wire.errors import InvalidValue
from server.wire.openai import OPENAI

GROUP_HEADER = "X-Institution"
# The caller's credential among them: it is the caller's own, and meant for the provider.
REQUEST_HEADERS = frozenset(
    {
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "authorization",
        "content-type",
        "idempotency-key",
        "openai-beta",
        "openai-organization",
        "openai-project",
        "x-api-key",
    }
)
ANSWER_HEADERS = re.compile(
    r"content-(?:type|length|disposition)|retry-after(?:-ms)?|x-should-retry"
    r"|(?:x-ratelimit|openai|anthropic)-[a-z-]+",
    re.IGNORECASE,
)
SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]+")
HIDDEN = re.compile(r"[/\\\x00-\x20\x7f]")  # what a part of a path may not turn out to hold
QUERY = re.compile(r"[!\"$-~]*")


@dataclass(frozen=True, slots=True)
class OwnKeyProvider:
    """Where own keys may be taken. `base_url` is what stands before `/chat/completions`."""

    name: str
    base_url: str
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class OwnKey:
    """The way of one request with the caller's own key. `url` is made by `target`; the key is among the headers."""

    upstream: str
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)


def _other(dialect: Dialect) -> Endpoint:
    """An endpoint of which nothing is known: its body is bounded like an upload."""
    return Endpoint(path="other", kind="other", dialect=dialect, meter=Free, required=(), media="multipart")


OTHERS = {dialect.name: _other(dialect) for dialect in (OPENAI, ANTHROPIC)}


def is_known(endpoint: Endpoint) -> bool:
    """Whether the bodies and answers of an endpoint can be read here."""
    return endpoint.kind != "other"


def endpoint_of(path: str, method: str, dialect: Dialect) -> Endpoint:
    """The endpoint at a path such as "v1/chat/completions"; one of `OTHERS` where nothing is known of it."""
    known = ENDPOINTS.get("/v1/" + path.removeprefix("v1/")) if method == "POST" else None
    return OTHERS[dialect.name] if known is None else known


def target(base_url: str, path: str, query: str) -> str | None:
    """The whole address of a path such as "v1/chat/completions"; None if it would leave what lies below the base.

    `path` and `query` are as they came, still encoded; a leading "v1/" is the one that a base ends in already.
    """
    parts = path.removeprefix("v1/").split("/")
    for part in parts:
        plain = unquote(part)
        if not SEGMENT.fullmatch(part) or plain in (".", "..") or HIDDEN.search(plain) or "%" in plain:
            return None
    if not QUERY.fullmatch(query):
        return None
    return f"{base_url}/{'/'.join(parts)}" + (f"?{query}" if query else "")


def institution(named: str | None, mine: Sequence[str], allowed: Collection[str]) -> str | None:
    """The group that a request is booked on: the one that was named, if it may be, else the caller's first.

    Raises InvalidValue.
    """
    if named is None:
        return mine[0] if mine else None
    if named not in allowed:
        raise InvalidValue(GROUP_HEADER)
    return named


def passed_back(headers: Mapping[str, str], *, packed: bool) -> dict[str, str]:
    """The upstream's headers that a caller gets. `packed`: its length was that of other bytes."""
    found = {name: value for name, value in headers.items() if ANSWER_HEADERS.fullmatch(name)}
    passed = {"Content-Type": "application/octet-stream"} | {_titled(name): found[name] for name in found}
    if packed:
        passed.pop("Content-Length", None)
    return passed


def _titled(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))
