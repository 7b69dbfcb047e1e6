"""The shapes of the JSON API's things, and how each is written.

Instants are text with a zone, money is integer micro-USD. Nothing here is a secret, but for what is shown once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from server.admin.commands.guest_passes import IssuedPass
from server.admin.consequences import Consequences
from server.admin.resources import AMOUNT, GROUP, KEY, KINDS_OF_RATES, LIMIT, NOTICE, PASS, PERSON, PRICE, TOKEN
from server.auth.guest_passes import Pass
from server.config.shapes import Instant, Many, Maybe, Shape, Text, Thing, Whole, Word
from server.keys.standing import KeyStanding
from server.keys.wishes import ListedKey
from server.ledger.export import sum_fields
from server.ledger.limits import Limit
from server.ledger.money import usd
from server.ledger.prices import Price, price_body
from server.ledger.question import GROUPING_NAMES
from server.ledger.reports import By, Sum
from server.ledger.when import iso
from server.policy.aliases import Alias, alias_body
from server.policy.groups import Group, prices_body
from server.policy.notices import Notice
from server.policy.notifications import Delivery
from server.store.base import DONE, FAILED, PENDING, Audit, Person, Token, TokenTerms

Fields = dict[str, Any]

ID = Text(64, pattern=r"[A-Za-z0-9_-]+")
PERSON_SHAPE = PERSON.record("Person")
TOKEN_SHAPE = TOKEN.record("Token")
NEW_TOKEN = TOKEN.record("NewToken", more={"secret": Text()})
PASS_SHAPE = PASS.record("Pass")
NEW_PASS = PASS.record("NewPass", more={"secret": Text(5000)})
GROUP_SHAPE = GROUP.record("Group")
LIMIT_SHAPE = LIMIT.record("Limit")
PRICE_SHAPE = PRICE.record("Price", absent=KINDS_OF_RATES)
NOTICE_SHAPE = NOTICE.record("Notice")
KEY_SHAPE = KEY.record("Key")
USED = Thing({"requests": Whole(), "total_tokens": Whole(), "cost_micro_usd": AMOUNT}, name="Used")
CHANGE = Thing(
    {
        "id": Text(1000),
        "at": Instant(),
        "actor": Text(1000),
        "action": Text(1000),
        "target": Text(1000, least=0),
        "before": Maybe(Thing({}, open=True)),
        "after": Maybe(Thing({}, open=True)),
        "outcome": Word((DONE, PENDING, FAILED)),
    },
    name="Change",
)


CONSEQUENCES = Thing({"sentences": Many(Text(1000))}, open=True, name="Consequences")
DONE_WITH = Thing({"consequences": CONSEQUENCES}, name="DoneWithConsequences")


def done_with(consequences: Consequences) -> Fields:
    """The consequences of an act that is done, in numbers."""
    return {"consequences": consequences.body()}


def page_of(shape: Shape) -> Thing:
    """A page of a list, and where the next one begins; null is nowhere."""
    return Thing({"data": Many(shape, 10_000), "next_cursor": Maybe(Text(1000))})


def list_of(shape: Shape) -> Thing:
    return Thing({"data": Many(shape, 100_000)})


def person_json(person: Person) -> Fields:
    return {
        "id": person.id,
        "name": person.name,
        "email": person.email,
        "groups": person.groups,
        "claimed_groups": person.claimed,
        "admin": person.admin,
        "disabled": person.disabled,
        "note": person.note,
        "mails": person.mails,
        "language": person.language or None,
        "nickname": person.nickname,
        "login": person.login,
        "created_at": iso(person.created_at),
        "last_login_at": when(person.last_login_at),
    }


def message_json(delivery: Delivery) -> Fields:
    return {
        "id": delivery.id,
        "kind": str(delivery.kind),
        "channel": str(delivery.channel),
        "receiver": delivery.receiver,
        "at": iso(delivery.at),
        "state": str(delivery.state),
        "tries": delivery.tries,
        "ended_at": when(delivery.ended_at),
        "failure": delivery.failure,
    }


def token_json(token: Token) -> Fields:
    terms = token.terms
    return {
        "id": token.id,
        "person": token.person_id,
        "name": token.name,
        "hint": token.hint,
        "created_at": iso(token.created_at),
        "expires_at": when(token.expires_at),
        "revoked_at": when(token.revoked_at),
        "kind": terms.kind,
        "models": terms.models,
        "networks": terms.networks,
        "addresses": terms.addresses,
        "keepalive": terms.keepalive,
    }


def terms_of(body: Mapping[str, Any]) -> TokenTerms:
    return TokenTerms(**{each.name: body[each.name] for each in fields(TokenTerms) if each.name in body})


def pass_json(what: Pass, revoked: bool = False) -> Fields:
    return {
        "id": what.id,
        "issuer": what.issuer,
        "group": what.group or None,
        "models": what.models,
        "micro_usd": what.usd,
        "issued_at": iso(what.issued_at),
        "expires_at": iso(what.expires_at),
        "revoked": revoked,
    }


def issued_json(issued: IssuedPass) -> Fields:
    return pass_json(issued.what, issued.revoked)


def group_json(group: Group) -> Fields:
    return {
        "name": group.name,
        "weight": group.weight,
        "models": group.models,
        "running": group.running,
        "batch": group.batch,
        "content_days": group.content_days,
        "readers": group.readers,
        "since": when(group.since),
        "until": when(group.until),
        "teachers": group.teachers,
        "guests": group.guests,
        "tool_prices": prices_body(group.tool_prices),
        "fallback": group.fallback,
        "joinable": bool(group.join),
        "note": group.note,
    }


def limit_json(limit: Limit) -> Fields:
    return {
        "id": limit.id,
        "scope": str(limit.scope),
        "subject": limit.subject,
        "unit": str(limit.unit),
        "window": str(limit.window),
        "amount": limit.amount,
        "models": limit.family,
        "since": when(limit.since),
        "until": when(limit.until),
        "extra": limit.extra,
        "extra_until": when(limit.extra_until),
        "person": limit.person or None,
    }


def price_json(price: Price) -> Fields:
    return {"id": price.id, **price_body(price), "valid_from": iso(price.valid_from)}


def notice_json(notice: Notice) -> Fields:
    since, until = iso(notice.since), when(notice.until)
    return {"id": notice.id, "kind": str(notice.kind), "text": notice.text, "since": since, "until": until}


def change_json(entry: Audit) -> Fields:
    return {
        "id": entry.id,
        "at": iso(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "before": entry.before,
        "after": entry.after,
        "outcome": entry.outcome,
    }


def alias_json(alias: Alias) -> Fields:
    return {"name": alias.name, **alias_body(alias)}


def key_json(key: ListedKey, standing: KeyStanding | None = None) -> Fields:
    """`standing`: how the key stands in a running gateway, if there is one to ask."""
    return {
        "id": key.id,
        "hint": key.hint,
        "upstream": key.spec.name,
        "owner": key.spec.owner,
        **_standing_json(standing),
        "added": key.added,
        "paused": key.paused,
        "models": key.spec.models,
        "slots": key.spec.slots,
        **{name: getattr(key.spec, name) for name in ("rpm", "tpm", "itpm", "otpm", "rpd", "organisation", "groups")},
        "monthly_cap_usd": None if key.spec.monthly_cap_micro_usd is None else usd(key.spec.monthly_cap_micro_usd),
    }


def _standing_json(standing: KeyStanding | None) -> Fields:
    return {
        "state": standing.state if standing else None,
        "state_since": when(standing.since_ms) if standing else None,
        "running": standing.running if standing else 0,
        "why": standing.why if standing else (),
        "next": standing.next if standing else (),
        "check": " ".join(standing.check) if standing else "",
        "checked_at": when(standing.checked_ms) if standing else None,
        "left": standing.left if standing else (),
    }


def used_json(found: Sum) -> Fields:
    fields = sum_fields(found)
    return {name: fields[name] for name in USED.members}


def sum_json(found: Sum, by: Sequence[By], names: Mapping[str, str]) -> Fields:
    """A sum and before it what it is of: a person's name in place of the id."""
    key = (
        names.get(value, value) if part is By.PERSON and value is not None else value
        for part, value in zip(by, found.key, strict=True)
    )
    return {**dict(zip((GROUPING_NAMES[part] for part in by), key, strict=True)), **sum_fields(found)}


def when(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
