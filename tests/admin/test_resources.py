"""The three front ends are compared with the table of resources, verb by verb and field by field.

What one of them has and the others have not stands below, with the reason. An exception that is none any more fails.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping

import pytest

from server.admin.resource import Resource, Verb
from server.admin.resources import (
    ALIAS,
    GROUP,
    KEY,
    LIMIT,
    NOTICE,
    PASS,
    PERSON,
    PRICE,
    RESOURCES,
    TOKEN,
)
from server.cli.main import _parser
from server.config.shapes import Thing
from server.http.api import schemas
from server.http.api.aliases import ALIAS_SHAPE
from server.http.api.table import Operation
from server.http.routes import OPERATIONS as API
from web.forms import FORMS

NO_GATEWAY = "`queue` only shows the requests of the running gateway: its page and its API end them"
OF_ONES_OWN = "it is one's own doing: the command line is the operator's"
BY_FIELD = "a form of its own for one field: a press of a button, instead of a box among others"
BY_GROUPS = "the page of a person has their groups in a field"
BY_CODE = "administrators have it in the form of the group: its last day, or a new code"
THE_MASTER = "the master keys stand in the environment of the command line, which no browser reaches"
IT_READS = "a comparison: all three front ends have it (`usage reconcile`), and it changes nothing"
# Verbs that are in this front end ("api", "page", "line") and in no other.
MORE: Mapping[tuple[str, str], str] = {
    ("page", "/admin/people/*/disable"): BY_FIELD,
    ("page", "/admin/people/*/enable"): BY_FIELD,
    ("page", "/admin/people/*/promote"): BY_FIELD,
    ("page", "/admin/people/*/demote"): BY_FIELD,
    ("line", "user disable"): BY_FIELD,
    ("line", "user enable"): BY_FIELD,
    ("api", "/api/me PUT /nickname"): OF_ONES_OWN,
    ("api", "/api/me PUT /mails"): OF_ONES_OWN,
    ("page", "/me/mails"): OF_ONES_OWN,
    ("line", "notify new-secret"): "a secret is made for a setting: nothing of the gateway changes",
    ("page", "/me/nickname"): OF_ONES_OWN,
    ("api", "/api/me DELETE /sessions/*"): OF_ONES_OWN,
    ("page", "/me/sessions/*/end"): OF_ONES_OWN,
    ("page", "/me/sessions/end"): OF_ONES_OWN,
    ("page", "/login"): OF_ONES_OWN,
    ("api", "/api/admin POST /bill"): IT_READS,
    ("page", "/admin/bill"): IT_READS,
    ("page", "/invitation"): OF_ONES_OWN,
    ("line", "user remove"): "another word for `user erase`",
    ("page", "/admin/backup"): "it answers with a file: `backup` on the command line, and no verb of a JSON API",
    ("line", "key rotate-master"): THE_MASTER,
    ("line", "key new-master"): THE_MASTER,
    ("line", "key check"): "it asks the providers from where the operator sits; a gateway probes by itself",
}
# Verbs of the table that this front end has not.
LACKING: Mapping[tuple[str, str, str], str] = {
    ("line", "request", "cancel"): NO_GATEWAY,
    ("line", "request", "cancel of"): NO_GATEWAY,
    ("line", "request", "cancel all"): NO_GATEWAY,
    ("line", "price", "reprice"): "it is `usage reprice`, for any number of rows",
    ("page", "group", "add"): BY_GROUPS,
    ("page", "group", "drop"): BY_GROUPS,
    ("api", "course", "code"): BY_CODE,
    ("api", "course", "close"): BY_CODE,
    ("page", "course", "close"): BY_CODE,
    **{(front, "course", verb): OF_ONES_OWN for front in ("api", "page", "line") for verb in ("join", "leave")},
}
ONCE = "it is said by the verb `raise`"
WITH_TIERS = "prices with tiers stand in the price file: a table in a table is no form and no option"
# Fields that a verb has in the table and not in this front end.
WITHOUT: Mapping[tuple[str, str, str, str], str] = {
    **{(front, "limit", "set", name): ONCE for front in ("page", "line") for name in ("extra", "extra_until")},
    **{(front, "price", "set", "tiers"): WITH_TIERS for front in ("page", "line")},
    ("page", "person", "change", "admin"): BY_FIELD,
    ("page", "person", "change", "mails"): "the person has it on their own page",
    ("page", "person", "change", "disabled"): BY_FIELD,
    ("line", "person", "change", "disabled"): BY_FIELD,
}
# What says which one is meant, or that it shall happen, and is no field of the thing.
NAMING = {"id", "user", "key", "group", "course", "person", "file", "yes", "help"}
MANNER = {"partial", "trial", "csv", "confirm", "new", "invite", "file"}


def operations() -> Iterator[str]:
    for each in API:
        if each.description.method != "GET" and (found := re.match(r"(/api/(?:admin|me))(/.*)", each.description.path)):
            under, path = found.groups()
            yield f"{under} {each.description.method} {re.sub(r'{[^}]*}', '*', path)}"


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, set[str]]:
    """Of each "noun verb" the names of its arguments."""
    found: dict[str, set[str]] = {}
    for noun, verbs in _children(parser):
        for verb, arguments in _children(verbs):
            found[f"{noun} {verb}"] = {each.dest for each in arguments._actions}
    return found


def _children(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for each in parser._actions:
        if isinstance(each, argparse._SubParsersAction):
            yield from each.choices.items()


LINE = verbs_of(_parser(lambda: ""))
READING = {"list", "show", "view", "export"}
NOUNS = {
    "user",
    "token",
    "pass",
    "group",
    "course",
    "limit",
    "price",
    "notice",
    "maintenance",
    "alias",
    "key",
    "audit",
    "notify",
}


def expected(front: str) -> dict[str, tuple[Resource, Verb]]:
    """What the table says that a front end has."""
    found = {}
    for resource in RESOURCES:
        for verb in resource.verbs:
            mine, own = (
                {"api": verb.api, "page": verb.page, "line": verb.line}[front],
                (*verb.own, "")[{"api": 0, "page": 1, "line": 2}[front]] if verb.own else "",
            )
            if mine:
                found[_address(front, "admin", mine)] = (resource, verb)
            if own:
                found[_address(front, "me", own)] = (resource, verb)
    return found


def _address(front: str, whose: str, place: str) -> str:
    if front == "api":
        return f"/api/{whose} {place}"
    if front == "page":
        return place if place.startswith("/me/") else f"/{whose}{place}"
    return place


def there(front: str) -> set[str]:
    """What it has."""
    if front == "api":
        return set(operations())
    if front == "page":
        return set(FORMS)
    return {name for name in LINE if name.split()[0] in NOUNS and name.split()[1] not in READING}


def differences(front: str, found: Iterable[str]) -> set[str]:
    allowed = {place for kind, place in MORE if kind == front}
    return set(found) ^ (set(expected(front)) | allowed)


@pytest.mark.parametrize("front", ["api", "page", "line"])
def test_each_front_end_has_the_verbs_of_the_table_and_no_others(front: str) -> None:
    assert differences(front, there(front)) == set()
    assert differences(front, there(front) | {"another one"}) == {"another one"}


def test_a_verb_that_a_front_end_lacks_is_named_with_its_reason() -> None:
    lacking = {
        (front, resource.name, verb.name)
        for resource in RESOURCES
        for verb in resource.verbs
        for front, place in (("api", verb.api), ("page", verb.page), ("line", verb.line))
        if not place
    }
    assert lacking == set(LACKING)


def wanted(front: str, resource: Resource, verb: Verb) -> set[str]:
    """The names under which a front end takes the fields of a verb."""
    names: set[str] = set()
    for name in verb.fields:
        if (front, resource.name, verb.name, name) in WITHOUT:
            continue
        field = resource.field(name)
        other = {"page": field.page, "line": field.option}.get(front)
        names |= {name} if other is None else {other} if isinstance(other, str) else set(other)
    return names


def taken(front: str, place: str) -> set[str]:
    if front == "page":
        return set(FORMS[place]) - MANNER
    if front == "line":
        return LINE[place] - MANNER
    method, path = re.fullmatch(r"/api/\w+ (\w+) (.*)", place).groups()  # type: ignore[union-attr]  # it is one
    (one,) = [each for each in API if f"{place.split()[0]} {method} {path}" == _of(each)]
    body = one.description.body
    assert body is None or isinstance(body, Thing)
    return set() if body is None else {*body.members, *body.optional} - MANNER


def _of(operation: Operation) -> str:
    found = re.match(r"(/api/(?:admin|me))(/.*)", operation.description.path)
    under, path = found.groups() if found else ("", operation.description.path)
    return f"{under} {operation.description.method} {re.sub(r'{[^}]*}', '*', path)}"


PLACES = [(front, place) for front in ("api", "page", "line") for place in expected(front)]


def unlike(front: str, place: str, fields: set[str]) -> set[str]:
    """Fields that are in one of the two. A verb of one's own may have less than the administrator's."""
    resource, verb = expected(front)[place]
    table = wanted(front, resource, verb)
    is_own = verb.own is not None and place in (_address(front, "me", verb.own[0]), _address(front, "me", verb.own[1]))
    more = fields - table - (NAMING if front == "line" else set()) - _besides(place)
    less = table - fields - ({"kind"} if is_own else set()) - ALTERNATIVES.get(place, set())
    return more | less


# Of a token the pass for a guest is called on its page; the name of a new one is shown beside the secret and not kept.
BESIDES = {
    "/admin/aliases": {"name"},
    "alias set": {"name"},
    "/me/passes": {"name"},
    "/admin/people/*/passes": {"name"},
    "notice set": {"id"},
    "group texts": {"json"},  # a listing
    "notify test": {"json"},  # likewise
    "limit raise": {"amount"},
}
# One field is said by one option or another: when a token ends in days or on a day, how a person is called.
ALTERNATIVES = {
    "token create": {"until"},
    "token narrow": {"days"},
    "user create": {"name"},
}


def _besides(place: str) -> set[str]:
    return BESIDES.get(place, set())


@pytest.mark.parametrize(("front", "place"), PLACES, ids=[" ".join(each) for each in PLACES])
def test_each_verb_takes_the_fields_of_the_table_in_every_front_end(front: str, place: str) -> None:
    fields = taken(front, place)
    assert unlike(front, place, fields) == set()
    assert unlike(front, place, fields | {"another_one"}) == {"another_one"}
    for name in sorted(fields - NAMING - _besides(place) - ALTERNATIVES.get(place, set()))[:1]:
        assert name in unlike(front, place, fields - {name}) or name == "kind"


def test_no_exception_stands_there_in_vain() -> None:
    fields = {
        (resource.name, verb.name, name) for resource in RESOURCES for verb in resource.verbs for name in verb.fields
    }
    assert {key[1:] for key in WITHOUT} <= fields
    for front, place in MORE:
        assert place in there(front), place
        assert place not in expected(front), place


RECORDS = {
    "person": (PERSON, schemas.PERSON_SHAPE),
    "token": (TOKEN, schemas.TOKEN_SHAPE),
    "pass": (PASS, schemas.PASS_SHAPE),
    "group": (GROUP, schemas.GROUP_SHAPE),
    "limit": (LIMIT, schemas.LIMIT_SHAPE),
    "price": (PRICE, schemas.PRICE_SHAPE),
    "notice": (NOTICE, schemas.NOTICE_SHAPE),
    "alias": (ALIAS, ALIAS_SHAPE),
    "key": (KEY, schemas.KEY_SHAPE),
}


@pytest.mark.parametrize(("resource", "shape"), RECORDS.values(), ids=RECORDS)
def test_a_record_is_answered_with_every_field_that_is_kept(resource: Resource, shape: Thing) -> None:
    kept = {field.name for field in resource.fields if field.kept}
    assert {*shape.members, *shape.optional} == kept | set(resource.columns)


def test_a_field_of_a_verb_is_a_field_of_its_resource() -> None:
    for resource in RESOURCES:
        names = [field.name for field in resource.fields]
        assert len(set(names)) == len(names)
        for verb in resource.verbs:
            assert set(verb.fields) <= set(names), (resource.name, verb.name)
