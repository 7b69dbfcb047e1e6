"""A small identity provider on a real socket, which signs whatever a test wants it to sign.

It is strict where real ones are: a code is taken once, with the verifier of its challenge, for the redirect address
that it was issued for, and only from the client that it knows. `faults` say how it answers otherwise.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote_plus, urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

CLIENT_ID, CLIENT_SECRET = "fairgate", "secret: of/the client"
NOW = 1_800_000_000  # seconds since 1970

Json = dict[str, Any]


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key(name: str) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str | None, **more: Any) -> Json:
    """The public half, as a provider publishes it."""
    kinds: dict[type, Callable[..., Any]] = {
        rsa.RSAPrivateKey: RSAAlgorithm.to_jwk,
        ec.EllipticCurvePrivateKey: ECAlgorithm.to_jwk,
    }
    write = next((write for kind, write in kinds.items() if isinstance(key, kind)), OKPAlgorithm.to_jwk)
    public = json.loads(write(key.public_key()))
    public.pop("key_ops", None)
    return public | ({"kid": kid} if kid is not None else {}) | more


def signed(claims: Json, key: Any, kid: str | None = "one", algorithm: str = "RS256", **header: Any) -> str:
    return jwt.encode(claims, key, algorithm, headers=({"kid": kid} if kid is not None else {}) | header)


def forged(header: Json, claims: Json, signature: bytes = b"") -> str:
    """A token that no library would write."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@dataclass
class Idp:
    """`user` are the claims that everybody has who logs in here; `sign` makes the id token out of claims."""

    url: str = ""
    user: Json = field(
        default_factory=lambda: {"sub": "ada-1", "preferred_username": "ada", "email": "ada@example.org"}
    )
    more: Json = field(default_factory=dict)  # what only the userinfo endpoint tells
    keys: list[Json] = field(default_factory=lambda: [jwk(rsa_key("one"), "one")])
    sign: Callable[[Json], str] = lambda claims: signed(claims, rsa_key("one"))
    redirect_uris: set[str] = field(default_factory=set)  # empty: any
    discovery: Json = field(default_factory=dict)  # what the document says otherwise
    faults: dict[str, Callable[[], Any]] = field(default_factory=dict)  # by path: what is answered instead
    now: Callable[[], float] = lambda: NOW
    asked: Counter[str] = field(default_factory=Counter)
    codes: dict[str, Json] = field(default_factory=dict)
    clients: list[Json] = field(default_factory=list)  # how we showed who we are

    def claims(self, **changes: Any) -> Json:
        """Those of a good id token; None takes one away."""
        now = int(self.now())
        good = {"iss": self.url, "aud": CLIENT_ID, "exp": now + 300, "iat": now, **self.user, **changes}
        return {name: value for name, value in good.items() if value is not None}

    def code(self, query: Json) -> str:
        """Consent to an authorization request."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = dict(query)
        return code

    async def on_discovery(self, request: web.Request) -> web.Response:
        endpoints = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "end_session_endpoint": f"{self.url}/logout",
        }
        said = {**endpoints, **self.discovery}
        return web.json_response({name: value for name, value in said.items() if value is not None})

    async def on_jwks(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": self.keys})

    async def on_authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        wrong = self.redirect_uris and query["redirect_uri"] not in self.redirect_uris
        if wrong or query["client_id"] != CLIENT_ID or query["code_challenge_method"] != "S256":
            return web.Response(status=400, text="no such client, or another redirect_uri")
        back = {"code": self.code(query), "state": query["state"]}
        raise web.HTTPFound(f"{query['redirect_uri']}?{urlencode(back)}")

    async def on_token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        name, _, secret = (unquote_plus(part) for part in base64.b64decode(basic).decode().partition(":"))
        self.clients.append({"basic": (name, secret), "body": (form.get("client_id"), form.get("client_secret"))})
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not asked or asked["redirect_uri"] != form["redirect_uri"] or asked["code_challenge"] != challenge:
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = self.sign(self.claims(nonce=asked["nonce"]))
        return web.json_response({"id_token": token, "access_token": "access", "token_type": "Bearer"})

    async def on_userinfo(self, request: web.Request) -> web.Response:
        return web.json_response({"sub": self.user["sub"], **self.more})


@asynccontextmanager
async def identity_provider(**attributes: Any) -> AsyncIterator[Idp]:
    """A provider that answers."""
    idp = Idp(**attributes)
    paths = {
        "/.well-known/openid-configuration": idp.on_discovery,
        "/jwks": idp.on_jwks,
        "/authorize": idp.on_authorize,
        "/token": idp.on_token,
        "/userinfo": idp.on_userinfo,
    }

    @web.middleware
    async def watched(request: web.Request, handler: Any) -> Any:
        idp.asked[request.path] += 1
        fault = idp.faults.get(request.path)
        return await fault() if fault else await handler(request)

    app = web.Application(middlewares=[watched])
    for path, handler in paths.items():
        app.router.add_route("*", path, handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    idp.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield idp
    finally:
        await runner.cleanup()


async def broken() -> web.Response:
    return web.Response(status=500)


async def endless() -> web.Response:
    return web.Response(body=b'{"keys": [' + b" " * (5 << 20) + b"]}", content_type="application/json")


async def never() -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError
