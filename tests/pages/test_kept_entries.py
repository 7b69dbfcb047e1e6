"""A form that cannot be carried out keeps all that was entered, and nothing is guessed from what is missing.

Once a typo in a person's name emptied the form of a limit, and the second try became a limit for everyone.
"""

from __future__ import annotations

import re
from html import unescape

import pytest

from tests.pages.visitors import Visitor, ada_at, operator_at, services
from web.forms import FORMS, XSRF

ODD = "no & such <thing>"
LIMIT = {"scope": "person", "subject": ODD, "unit": "tokens", "window": "week", "amount": "12", "models": "gpt-5*"}
PRICE = {"model": "gpt-5", "input": "1.25", "output": ODD, "cached": "0.1", "cache_write": "", "request": "3"}
TOKEN = {"name": "laptop", "models": "o4*", "networks": ODD, "addresses": "3", "keepalive": "off", "usd": "5"}
GROUP = {"weight": "2.5", "models": "gpt-5*", "running": "3", "teachers": ODD, "note": ODD, "guests": "yes"}
RAISE = {name: LIMIT[name] for name in ("unit", "window", "models")}


def entries(page: str, action: str) -> dict[str, str]:
    """What stands in the fields of a form, as a browser would send it."""
    found = re.search(rf'<form method="post" action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    assert found, action
    stands = {}
    for field in re.findall(r"<input [^>]*>", found[0]):
        said = {name: unescape(value) for name, value in re.findall(r'(name|value|type)="([^"]*)"', field)}
        if said["type"] != "checkbox" or " checked" in field:
            stands[said["name"]] = said.get("value", "")
    for name, options in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', found[0], re.DOTALL):
        values = re.findall(r'<option value="([^"]*)"( selected)?', options)
        stands[name] = next((value for value, chosen in values if chosen), values[0][0])
    for name, text in re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', found[0], re.DOTALL):
        stands[name] = unescape(text)
    stands.pop(XSRF)
    return stands


async def kept(someone: Visitor, page: str, action: str, fields: dict[str, str], status: int = 400) -> None:
    answer = await someone.send_once(page, action, **fields)
    assert answer.status == status, action
    stands = entries(answer.text, action)
    assert {name: stands.get(name) for name in fields} == fields


@pytest.mark.gen_test
async def test_the_administrators_forms_keep_what_was_entered() -> None:
    async with services() as running, operator_at(running) as operator:
        await operator.send_and_follow("/admin/groups", "/admin/groups", name="lab")
        await operator.send_and_follow("/admin/limits", "/admin/limits", **{**LIMIT, "subject": "ada"})
        (limit,) = running.services.book.limits
        ada = f"/admin/people/{limit.subject}"
        for page, action, fields in (
            ("/admin/limits", "/admin/limits", LIMIT),
            ("/admin/limits", f"/admin/limits/{limit.id}/raise", {"extra": ODD, "until": "2098-01-01"}),
            ("/admin/prices", "/admin/prices", PRICE),
            ("/admin/bill", "/admin/bill", {"usage": ODD, "costs": "", "keys": ODD, "tolerance": "1"}),
            ("/admin/groups", "/admin/groups", {"name": "choir", **GROUP}),
            ("/admin/groups?edit=lab", "/admin/groups/lab/change", GROUP),
            ("/admin/keys", "/admin/aliases", {"name": ODD, "model": ODD}),
            ("/admin/notices", "/admin/notices", {"text": ODD, "since": ODD, "until": ""}),
            ("/admin/notices", "/admin/maintenance", {"text": ODD, "since": "2098-01-01T06:00", "until": ODD}),
            ("/admin/notices", "/admin/close", {"text": ODD, "until": ODD}),
            ("/admin/people", "/admin/people", {"name": "grace", "email": "", "groups": ODD, "note": ""}),
            (ada, ada, {"name": "Ada", "email": "", "groups": ODD, "note": ODD}),
            (ada, f"{ada}/tokens", {**TOKEN, "kind": "special"}),
            (ada, f"{ada}/erase", {"confirm": ODD}),
            (ada, f"{ada}/raise", {**RAISE, "extra": ODD, "until": "2098-01-01"}),
            ("/admin/prices", "/admin/prices/reprice", {"first": "2029-02-01", "last": "2029-01-01", "model": ODD}),
        ):
            await kept(operator, page, action, fields)
        key = await running.services.keys.add("ada", "sk-to-be-changed", {"upstream": "fake", "untested": True})
        terms = {"slots": "2", "rpm": "60", "owner": ODD, "groups": "staff", "monthly_cap_usd": ODD}
        await kept(operator, "/admin/keys", f"/admin/keys/{key.id}/change", terms)
        wrong = {"csv": f"name,admin\n{ODD},perhaps\n"}
        await kept(operator, "/admin/people/import", "/admin/people/import", wrong, 200)


@pytest.mark.gen_test
async def test_the_forms_of_ones_own_keep_what_was_entered() -> None:
    async with services() as running, ada_at(running) as ada, operator_at(running) as boss:
        course = {"name": "algebra", "since": "2030-01-01", "until": "2029-01-01", "pot": "5", "per_head": "1"}
        await kept(boss, "/me/groups", "/me/groups", course)
        await kept(ada, "/me/groups", "/me/groups/join", {"code": ODD})
        await kept(ada, "/me/tokens", "/me/tokens", TOKEN)
        await kept(ada, "/me/privacy", "/me/nickname", {"nickname": ODD})
        await kept(ada, "/me/privacy", "/me/erase", {"confirm": ODD})


@pytest.mark.gen_test
async def test_what_was_entered_stays_in_its_own_form_and_a_key_in_none() -> None:
    async with services() as running, operator_at(running) as operator:
        secret = "sk-of-no-upstream-at-all"
        answer = await operator.send_once("/admin/keys", "/admin/keys", upstream="nowhere", secret=secret)
        assert (answer.status, secret in answer.text) == (400, False)
        wrong = await operator.send_once("/admin/limits", "/admin/limits", **LIMIT)
        assert entries(wrong.text, "/admin/limits")["subject"] == ODD
        again = await operator.get("/admin/limits")
        assert entries(again.text, "/admin/limits")["subject"] == ""


@pytest.mark.parametrize("scope", ["", "everyone"])
@pytest.mark.gen_test
async def test_a_scope_is_never_guessed_and_each_person_has_no_name(scope: str) -> None:
    async with services() as running, operator_at(running) as operator:
        fresh = entries((await operator.get("/admin/limits")).text, "/admin/limits")
        assert fresh["scope"] == ""
        await kept(operator, "/admin/limits", "/admin/limits", {**LIMIT, "scope": scope, "subject": "ada"})
        assert list(running.services.book.limits) == []
        everyone = {**LIMIT, "scope": "everyone", "subject": ""}
        await operator.send_and_follow("/admin/limits", "/admin/limits", **everyone)
        assert [each.subject for each in running.services.book.limits] == [""]


def test_every_form_with_fields_to_type_into_is_tried_above() -> None:
    """Those whose fields are choices, confirmations or secrets only are not; a new form belongs into a list above."""
    tried = {
        "/admin/limits", "/admin/limits/*/raise", "/admin/prices", "/admin/groups", "/admin/groups/*/change",
        "/admin/notices", "/admin/maintenance", "/admin/close", "/admin/aliases",
        "/admin/people", "/admin/people/*", "/admin/people/*/tokens", "/admin/people/*/erase",
        "/admin/people/import", "/me/groups", "/me/groups/join", "/me/tokens", "/me/nickname", "/me/erase",
        "/admin/bill", "/admin/people/*/raise", "/admin/prices/reprice", "/admin/keys/*/change",
    }  # fmt: skip
    others = {"/me/mails", "/login", "/invitation", "/admin/keys", "/me/passes", "/admin/people/*/passes"}
    others |= {f"/{whose}/groups/*/texts" for whose in ("me", "admin")}
    others |= {f"/{whose}/tokens/*/{verb}" for whose in ("me", "admin") for verb in ("rotate", "narrow")}
    assert {action for action, fields in FORMS.items() if fields} == tried | others
