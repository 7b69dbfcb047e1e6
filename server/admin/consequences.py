"""The consequences of an act that hurts, in numbers, before it is done.

The pages and the command line show it and ask; the API answers it with what was done. Nothing here changes anything.
Only a running gateway knows the requests of this moment: without `live` nothing is said of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from keypool.live import LiveRequest
from server.admin.changes import Changes, no_such
from server.keys.wishes import IN_CONFIGURATION, KeyWishError, ListedKey, no_such_key
from server.ledger.limits import Limit, Scope
from server.ledger.reports import Days
from server.store.base import Person, Store
from web.wording import Wording

Live = Collection[LiveRequest]


@dataclass(frozen=True, slots=True)
class Consequences:
    """In numbers, by names for programs, and in sentences for people."""

    numbers: Mapping[str, int]
    sentences: tuple[str, ...]

    def lines(self) -> list[str]:
        return list(self.sentences)

    def body(self) -> dict[str, Any]:
        """As the API answers it."""
        return {**self.numbers, "sentences": list(self.sentences)}


async def of_group_removal(store: Store, changes: Changes, name: str) -> Consequences:
    """Raises NotThere."""
    unreadable = {record.id for record in await changes.unreadable() if record.kind == "group"}
    if name not in unreadable | {group.name for group in await changes.groups()}:
        raise no_such("group")
    people = sum(name in (*person.groups, *person.claimed) for person in await store.people())
    of_group = (Scope.GROUP, Scope.MEMBER)
    limits = sum(limit.scope in of_group and limit.subject == name for limit in await changes.limits())
    return Consequences(
        {"people": people, "limits": limits},
        (
            Wording(
                "People who lose what it gives them (models, weight, prompts kept, guest passes): %(people)s.",
                people=people,
            ),
            Wording("Limits that name it and go on to hold: %(limits)s.", limits=limits),
            Wording(
                "Its name stays with its members as a label. A person in no other group then has the rights "
                "of the group “everyone”, or all models where there is no such group."
            ),
        ),
    )


async def of_revocation(store: Store, token_id: str, owner: str | None = None) -> Consequences:
    """Of a token; with `owner`, a person's id, only if it is theirs. Raises NotThere."""
    if all(token.id != token_id for token in await store.tokens(owner)):
        raise no_such("token")
    (used,) = await store.sums(Days(token_id=token_id), ())
    return Consequences(
        {"requests": used.requests},
        (
            Wording("The token opens nothing any more, for good."),
            Wording("Requests that came with it so far: %(requests)s.", requests=used.requests),
        ),
    )


async def of_limit_removal(store: Store, changes: Changes, limit_id: str) -> Consequences:
    """Raises NotThere."""
    limits = await changes.limits()
    limit = next((each for each in limits if each.id == limit_id), None)
    if limit is None:
        if any(record.id == limit_id and record.kind == "limit" for record in await changes.unreadable()):
            return Consequences({"people": 0, "limits": 0}, (Wording("It cannot be read, and limits nothing now."),))
        raise no_such("limit")
    people = sum(1 for person in await store.people() if _meets(limit, person))
    others = sum((each.scope, each.subject) == (limit.scope, limit.subject) for each in limits) - 1
    return Consequences(
        {"people": people, "limits": others},
        (
            Wording("People whom it limits: %(people)s.", people=people),
            Wording("Limits of the same scope and subject that still hold: %(others)s.", others=others),
        ),
    )


def _meets(limit: Limit, person: Person) -> bool:
    """Of a token's and an upstream's limit it is not known whom they meet."""
    if limit.person:
        return limit.person == person.id
    if limit.scope in (Scope.GROUP, Scope.MEMBER):
        return limit.subject in (*person.groups, *person.claimed)
    return limit.scope is Scope.EVERYONE or (limit.scope is Scope.PERSON and limit.subject == person.id)


async def of_price_removal(changes: Changes, price_id: str, served: Iterable[str]) -> Consequences:
    """`served`: models of the pool. Raises NotThere."""
    own = await changes.prices()
    price = next((each for each in own if each.id == price_id), None)
    if price is None:
        if any(record.id == price_id and record.kind == "price" for record in await changes.unreadable()):
            return Consequences({"models": 0, "left": 0}, (Wording("It cannot be read, and prices nothing now."),))
        raise no_such("price")
    others = [each.model for each in own if each.id != price_id]
    models = [name for name in served if fnmatchcase(name, price.model)]
    left = [name for name in models if not any(fnmatchcase(name, other) for other in others)]
    return Consequences(
        {"models": len(models), "left": len(left)},
        (
            Wording("Models that are served and that it prices: %(models)s.", models=len(models)),
            Wording(
                "Of these, models that no other price of yours fits: %(left)s; they cost what the price file "
                "or the provider's list says. A model without any price is refused.",
                left=len(left),
            ),
        ),
    )


def of_key_removal(keys: Iterable[ListedKey], key_id: str, live: Live | None = None) -> Consequences:
    """Raises CommandError for one of the configuration, and NotThere."""
    known = {key.id: key for key in keys}
    if key_id not in known:
        raise no_such_key()
    if not known[key_id].added:
        raise KeyWishError(IN_CONFIGURATION)
    upstream = known[key_id].spec.name
    left = sum(key.spec.name == upstream and key.id != key_id and not key.paused for key in known.values())
    running = [each for each in live or () if each.key == key_id]
    people = len({each.person for each in running})
    return Consequences(
        {"keys": left, "running": len(running), "people": people},
        (
            Wording("Keys of this upstream that are left and not paused: %(left)s.", left=left),
            *_now(
                live,
                Wording(
                    "Requests that run on it now: %(running)s, of %(people)s people.",
                    running=len(running),
                    people=people,
                ),
            ),
            Wording("Its secret is forgotten: to use it again it has to be typed in anew."),
        ),
    )


async def of_promotion(store: Store, person: Person) -> Consequences:
    """Of making an administrator."""
    people = await store.people()
    others = sum(each.admin and each.id != person.id for each in people)
    return Consequences(
        {"administrators": others + 1, "people": len(people)},
        (
            Wording(
                "%(name)s may read and change everything here: people, %(people)s of them, keys, money.",
                name=person.name,
                people=len(people),
            ),
            Wording("Administrators afterwards: %(others)s.", others=others + 1),
        ),
    )


async def of_disabling(store: Store, person: Person, live: Live | None = None) -> Consequences:
    tokens = sum(token.revoked_at is None for token in await store.tokens(person.id))
    logins = len(await store.sessions_of(person.id))
    mine = [each for each in live or () if each.person == person.id]
    return Consequences(
        {"tokens": tokens, "logins": logins, "requests": len(mine)},
        (
            Wording(
                "Tokens that open nothing until access is opened again: %(tokens)s. Logins that end: %(logins)s.",
                tokens=tokens,
                logins=logins,
            ),
            *_now(live, Wording("Requests that run and wait now, and are still served: %(mine)s.", mine=len(mine))),
        ),
    )


async def of_erasure(store: Store, person: Person) -> Consequences:
    tokens = sum(token.revoked_at is None for token in await store.tokens(person.id))
    (used,) = await store.sums(Days(person_id=person.id), ())
    return Consequences(
        {"tokens": tokens, "requests": used.requests},
        (
            Wording(
                "%(name)s is forgotten: the name, the address, logins, kept prompts and answers.", name=person.name
            ),
            Wording("Tokens that end for good: %(tokens)s.", tokens=tokens),
            Wording("Requests that stay on the ledger as no one's: %(requests)s.", requests=used.requests),
        ),
    )


def of_cancelling(live: Live) -> Consequences:
    """Of ending all requests of this moment."""
    waiting = sum(each.key is None for each in live)
    running, people = len(live) - waiting, len({each.person for each in live})
    return Consequences(
        {"running": running, "waiting": waiting, "people": people},
        (
            Wording(
                "%(running)s running requests and %(waiting)s waiting of %(people)s people end.",
                running=running,
                waiting=waiting,
                people=people,
            ),
        ),
    )


def of_cancelling_person(live: Live, person: str, name: str) -> Consequences:
    """Of ending all requests of a person at this moment."""
    mine = [each for each in live if each.person == person]
    waiting = sum(each.key is None for each in mine)
    running = len(mine) - waiting
    sentence = Wording(
        "%(running)s running and %(waiting)s waiting requests of %(name)s end.",
        running=running,
        waiting=waiting,
        name=name,
    )
    return Consequences({"running": running, "waiting": waiting}, (sentence,))


def _now(live: Live | None, sentence: str) -> tuple[str, ...]:
    return () if live is None else (sentence,)
