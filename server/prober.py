"""Whether a key works, asked for free.

`GET /models` costs nothing at any provider and shows whether a key is let in and which models it has. It does not show
whether there is credit left: that is learnt from real traffic. Only keys that the operator named are asked about.
Nothing that the upstream says is repeated, except the names of its models.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import aiohttp

from server.specs import Secret, UpstreamSpec

State = Literal["ready", "revoked", "unclear", "unreachable"]

PATIENCE = aiohttp.ClientTimeout(total=20, connect=10)
LARGEST_LIST = 4 << 20  # bytes; OpenRouter's list of some 400 models has 0.5 MB
ANTHROPIC_VERSION = "2023-06-01"


@dataclass(frozen=True, slots=True)
class Check:
    """What is known of a key now. `detail` is our own words; `models` is empty unless the state is ready."""

    state: State
    detail: str
    models: tuple[str, ...] = ()


async def check(spec: UpstreamSpec, secret: Secret, session: aiohttp.ClientSession) -> Check:
    """Ask the upstream for the models of this key. Never raises for what an upstream does or fails to do."""
    try:
        async with session.get(
            f"{spec.base_url}/models",
            params=_params(spec),
            headers=_headers(spec, secret),
            allow_redirects=False,
            timeout=PATIENCE,
        ) as response:
            if response.status == 200:
                return _listed(await _body(response))
            return _refused(response.status)
    except TimeoutError:
        return Check("unreachable", "no answer in time")
    except (aiohttp.ClientError, OSError, ValueError):
        # The reason may hold the address and the headers, and so the key.
        return Check("unreachable", "no connection, or not an HTTP answer")


def _params(spec: UpstreamSpec) -> dict[str, str]:
    return {} if "openai" in spec.dialects else {"limit": "1000"}  # Anthropic gives 20 unless asked for more


def _headers(spec: UpstreamSpec, secret: Secret) -> dict[str, str]:
    plain = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if "openai" in spec.dialects:
        return {**plain, "Authorization": f"Bearer {secret.reveal()}"}
    return {**plain, "x-api-key": secret.reveal(), "anthropic-version": ANTHROPIC_VERSION}


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """The body, or nothing where it is far too long."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > LARGEST_LIST:
            return b""
    return bytes(body)


def _listed(body: bytes) -> Check:
    try:
        models = tuple(sorted({_name(each) for each in json.loads(body)["data"]}))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Check("unclear", "the answer is no list of models")
    return Check("ready", "let in", models)


def _name(entry: dict[str, object]) -> str:
    name = entry["id"]
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 256:
        raise ValueError
    return name


def _refused(status: int) -> Check:
    if status == 401:
        return Check("revoked", "the upstream does not know this key (401)")
    if status >= 500:
        return Check("unreachable", f"the upstream is not well ({status})")
    # 403: OpenAI's restricted keys may not list models; 404: some servers have no list; 429: asked too often.
    return Check("unclear", f"the upstream does not say ({status})")
