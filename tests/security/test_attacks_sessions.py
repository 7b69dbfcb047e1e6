"""What was let in is shown and taken back, piece by piece: sessions, and what a token may do."""

from __future__ import annotations

from typing import Any

import pytest

from server.auth.token_terms import narrowed
from server.http.browsed import SESSION
from server.ledger.when import iso
from server.store.base import Token, TokenTerms
from tests.admin.estate import estate

NOW, END = 1_000, 5_000
FREE = Token("tok_1", "usr_ada", "laptop", "", 0)
BOUND = Token(
    "tok_2", "usr_ada", "lab", "", 0, END,
    terms=TokenTerms(models=("gpt-5*", "o3"), networks=("10.0.0.0/8",), addresses=3),
)  # fmt: skip


@pytest.mark.parametrize(
    ("token", "wanted"),
    [
        (FREE, {"models": ("gpt-5",)}),
        (FREE, {"networks": ("10.0.0.0/8", "fd00::/8")}),
        (FREE, {"addresses": 2}),
        (FREE, {"expires_at": END}),
        (FREE, {"kind": "temporary", "expires_at": END}),
        (BOUND, {"models": ("gpt-5-mini*", "o3")}),
        (BOUND, {"models": ("gpt-5?",)}),
        (BOUND, {"networks": ("10.1.0.0/16", "10.2.3.4/32")}),
        (BOUND, {"addresses": 1}),
        (BOUND, {"expires_at": END - 1}),
        (BOUND, {}),
    ],
)
def test_a_token_may_be_made_to_do_less(token: Token, wanted: dict[str, Any]) -> None:
    after = narrowed(token, wanted, NOW)
    for name, value in wanted.items():
        assert (after.expires_at if name == "expires_at" else getattr(after.terms, name)) == value


@pytest.mark.parametrize(
    ("token", "wanted", "field"),
    [
        (FREE, {"kind": "special"}, "kind"),
        (FREE, {"expires_at": NOW}, "expires_at"),
        (BOUND, {"models": ()}, "models"),
        (BOUND, {"models": ("*",)}, "models"),
        (BOUND, {"models": ("gpt-*",)}, "models"),
        (BOUND, {"models": ("o3*",)}, "models"),
        (BOUND, {"models": ("gpt-[45]*",)}, "models"),
        (BOUND, {"networks": ()}, "networks"),
        (BOUND, {"networks": ("0.0.0.0/0",)}, "networks"),
        (BOUND, {"networks": ("10.0.0.0/8", "fd00::/8")}, "networks"),
        (BOUND, {"addresses": 0}, "addresses"),
        (BOUND, {"addresses": 4}, "addresses"),
        (BOUND, {"expires_at": None}, "expires_at"),
        (BOUND, {"expires_at": END + 1}, "expires_at"),
    ],
)
def test_and_never_more(token: Token, wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}"):
        narrowed(token, wanted, NOW)


@pytest.mark.parametrize(("old", "new"), [("gpt-?", "gpt-*"), ("*a*", "[ab]"), ("[ab]", "*")])
def test_a_pattern_that_only_looks_narrower_is_refused(old: str, new: str) -> None:
    token = Token("tok_3", "usr_ada", "x", "", 0, terms=TokenTerms(models=(old,)))
    with pytest.raises(ValueError, match=r"^models"):
        narrowed(token, {"models": (new,)}, NOW)
    assert narrowed(token, {"models": (old,)}, NOW) == token


@pytest.mark.gen_test
async def test_a_token_is_narrowed_at_once_by_the_api() -> None:
    async with estate() as place:
        token, place.tokens["laptop"] = await place.services.accounts.create_token("ada", "laptop")
        path = f"/api/me/tokens/{token.id}"
        assert (await place.ask("GET", "/v1/models/gpt-4o", "laptop")).status == 200
        ends = iso(place.services.wall() + 3_600_000)
        answer = await place.ask("PATCH", path, "ada", {"models": ["gpt-5"], "expires_at": ends})
        assert (answer.status, answer.json["models"], answer.json["expires_at"]) == (200, ["gpt-5"], ends)
        assert (await place.ask("GET", "/v1/models/gpt-4o", "laptop")).status == 404
        for wider in ({"models": []}, {"models": ["gpt-5", "o3"]}, {"expires_at": None}, {"kind": "special"}):
            assert (await place.ask("PATCH", path, "ada", wider)).status == 409, wider
            assert (await place.ask("PATCH", f"/api/admin/tokens/{token.id}", "boss", wider)).status == 409, wider
        assert (await place.ask("PATCH", path, "laptop", {"models": ["gpt-5"]})).status == 403
        assert (await place.ask("PATCH", path, "bob", {"models": ["gpt-5"]})).status == 404
        assert "token.narrow" in [action for _, action, _, _ in await place.audited()]


@pytest.mark.gen_test
async def test_a_session_whose_token_was_narrowed_changes_nothing_any_more() -> None:
    async with estate() as place:
        sessions, (token,) = place.services.sessions, await place.services.store.tokens(place.ids["boss"])
        cookie = await sessions.open(place.ids["boss"], token_id=token.id)
        headers = {"Cookie": f"{SESSION}={cookie}", "Accept": "text/html"}
        assert (await place.send("GET", "/admin/people", None, headers)).status == 200
        narrow = await place.ask("PATCH", f"/api/me/tokens/{token.id}", "boss", {"models": ["gpt-5"]})
        assert narrow.status == 200
        assert (await place.send("GET", "/admin/people", None, headers)).status == 403


@pytest.mark.gen_test
async def test_sessions_are_listed_and_ended_one_by_one() -> None:
    async with estate() as place:
        sessions, ada = place.services.sessions, place.ids["ada"]
        one, other = await sessions.open(ada), await sessions.open(ada)
        await sessions.open(place.ids["bob"])
        listed = (await place.ask("GET", "/api/me/sessions", "ada")).json["data"]
        assert {each["id"] for each in listed} == {sessions.id_of(one), sessions.id_of(other)}
        path = f"/api/me/sessions/{sessions.id_of(one)}"
        assert (await place.ask("DELETE", path, "bob")).status == 404
        assert (await place.ask("DELETE", path, "ada")).status == 204
        assert (await place.ask("DELETE", path, "ada")).status == 404
        assert await sessions.visit(one) is None
        headers = {"Cookie": f"{SESSION}={other}", "Content-Type": "application/x-www-form-urlencoded"}
        assert await sessions.visit(other) is not None
        form = f"xsrf={sessions.xsrf(other)}"
        ended = await place.send("POST", f"/me/sessions/{sessions.id_of(other)}/end", form, headers)
        assert ended.status == 303
        assert await sessions.visit(other) is None
