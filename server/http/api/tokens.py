"""Tokens and guest passes: the caller's own under `/api/me`, any person's under `/api/admin`. A verb is a function.

`asking.own` is the authority that the route leaves: a caller under `/api/me` reaches only what is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.admin.commands.guest_passes import WantedPass
from server.admin.commands.tokens import WantedToken
from server.admin.consequences import of_revocation
from server.admin.resources import PASS, TOKEN
from server.config.openapi import Description
from server.config.shapes import Text
from server.http.api.schemas import (
    DONE_WITH,
    NEW_PASS,
    NEW_TOKEN,
    PASS_SHAPE,
    TOKEN_SHAPE,
    done_with,
    issued_json,
    list_of,
    pass_json,
    terms_of,
    token_json,
)
from server.http.api.table import Asking, Operation

WHOSE = {"person": Text(64)}
WANTED_TOKEN = TOKEN.body("create", "WantedToken")
WANTED_PASS = PASS.body("issue", "WantedPass")
NARROWING = TOKEN.body("narrow", "Narrowing")
ROTATION = TOKEN.body("rotate", "Rotation")


async def list_tokens(asking: Asking) -> object:
    return {"data": [token_json(each) for each in await asking.services.store.tokens(_whose(asking))]}


async def create_token(asking: Asking) -> object:
    whose = asking.actor if asking.own else asking.id
    token, secret = await asking.services.tokens.create(asking.maker, asking.actor, whose, wanted_token(asking.body))
    return {**token_json(token), "secret": secret}


async def rotate_token(asking: Asking) -> object:
    grace = asking.body.get("grace_seconds", 0)
    token, secret = await asking.services.tokens.rotate(asking.maker, asking.actor, asking.id, _owner(asking), grace)
    return {**token_json(token), "secret": secret}


async def narrow_token(asking: Asking) -> object:
    return token_json(await asking.services.tokens.narrow(asking.actor, asking.id, asking.body, _owner(asking)))


async def revoke_token(asking: Asking) -> object:
    consequences = await of_revocation(asking.services.store, asking.id, _owner(asking))
    await asking.services.tokens.revoke(asking.actor, asking.id, _owner(asking))
    return done_with(consequences)


async def list_passes(asking: Asking) -> object:
    return {"data": [issued_json(each) for each in await asking.services.passes.issued(_whose(asking))]}


async def issue_pass(asking: Asking) -> object:
    wanted, passes = wanted_pass(asking.body), asking.services.passes
    if asking.own:
        what, secret = await passes.issue(asking.maker, await asking.person(), wanted)
    else:
        issuer = await asking.services.people.person(asking.id)
        what, secret = await passes.issue_for(asking.maker, asking.actor, issuer, wanted)
    return {**pass_json(what), "secret": secret}


async def revoke_pass(asking: Asking) -> None:
    await asking.services.passes.revoke(asking.actor, asking.id, _owner(asking))


def wanted_token(body: Mapping[str, Any]) -> WantedToken:
    return WantedToken(body["name"], body.get("expires_at"), terms_of(body), body.get("budget_micro_usd"))


def wanted_pass(body: Mapping[str, Any]) -> WantedPass:
    return WantedPass(body["seconds"], body["micro_usd"], body.get("group", ""), body.get("models", ()))


def _owner(asking: Asking) -> str | None:
    """The person who has to own the token or pass; None is any person."""
    return asking.actor if asking.own else None


def _whose(asking: Asking) -> str | None:
    """The person whose tokens or passes are listed; None is all people."""
    return asking.actor if asking.own else asking.query.get("person")


def _rows(under: str, role: str, makes: str, **listing: Any) -> tuple[Operation, ...]:
    """The operations below one address; `makes` is where a new one is made of whom."""

    def describe(method: str, path: str, summary: str, **more: Any) -> Description:
        return Description(method=method, path=path, summary=summary, role=role, **more)

    return (
        Operation(describe("GET", f"{under}/tokens", "Tokens, the oldest first", answer=list_of(TOKEN_SHAPE),
        **listing),
                  list_tokens),
        Operation(
            describe("POST", f"{makes}/tokens", "A new token; its secret is shown now and never again",
                 body=WANTED_TOKEN, answer=NEW_TOKEN, status=201),
            create_token,
        ),
        Operation(
            describe("POST", f"{under}/tokens/{{token}}/rotate", "Another secret in a token's place", body=ROTATION,
                 answer=NEW_TOKEN, status=201),
            rotate_token,
        ),
        Operation(
            describe("PATCH", f"{under}/tokens/{{token}}", "Let a token do less; no term grows", body=NARROWING,
                 answer=TOKEN_SHAPE),
            narrow_token,
        ),
        Operation(describe("DELETE", f"{under}/tokens/{{token}}", "Revoke a token, for good", answer=DONE_WITH),
                  revoke_token),
        Operation(
            describe("GET", f"{under}/passes", "Guest passes that have not expired", answer=list_of(PASS_SHAPE),
            **listing), list_passes,
        ),
        Operation(
            describe("POST", f"{makes}/passes", "A pass for a guest, shown now and never again", body=WANTED_PASS,
                 answer=NEW_PASS, status=201),
            issue_pass,
        ),
        Operation(describe("DELETE", f"{under}/passes/{{pass}}", "Revoke a pass", status=204), revoke_pass),
    )  # fmt: skip


OWN = _rows("/api/me", "person", "/api/me")
OF_ALL = _rows("/api/admin", "admin", "/api/admin/people/{person}", query=WHOSE)
