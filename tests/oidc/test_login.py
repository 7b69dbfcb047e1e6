"""A login from its beginning to its end, and what is no login."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.auth.oidc.client import DISABLED, PARTIAL, REFUSED, STALE, LoginRefused
from server.auth.oidc.provisioning import Profile, Provisioning
from server.policy.claims import SAME, ClaimRules, Condition, Rule
from server.single_flight import Away
from server.store.base import Person
from tests.oidc.idp import CLIENT_ID, CLIENT_SECRET, NOW, broken, rsa_key, signed
from tests.oidc.lobby import ADMINS, ORIGIN, STUDENTS, Lobby, lobby

BY_GROUP = ClaimRules((Rule((Condition("groups", ("g-*",)),), (SAME,)),))


@pytest.mark.gen_test
async def test_who_comes_for_the_first_time_is_a_new_person_and_the_next_time_the_same() -> None:
    async with lobby() as place:
        first = await place.login("/me?tab=tokens")
        assert (first.person.name, first.person.email, first.next) == ("ada", "ada@example.org", "/me?tab=tokens")
        assert (first.person.login, first.person.last_login_at) == (f"{place.idp.url} ada-1", NOW * 1000)
        place.clock.now += 60
        again = await place.login()
        assert again.person.id == first.person.id
        assert await place.store.person(first.person.id) == again.person
        assert again.person.last_login_at == (NOW + 60) * 1000


@pytest.mark.gen_test
async def test_every_login_asks_with_values_of_its_own_and_with_pkce() -> None:
    async with lobby() as place:
        (one, _), (two, _) = await place.begin(), await place.begin()
        assert (one["response_type"], one["client_id"], one["code_challenge_method"]) == ("code", CLIENT_ID, "S256")
        assert one["scope"] == "openid profile email"
        for name in ("state", "nonce", "code_challenge"):
            assert len(one[name]) >= 43
            assert one[name] != two[name]


@pytest.mark.parametrize(
    ("client", "discovery", "shown"),
    [
        ({}, {}, {"basic": (CLIENT_ID, CLIENT_SECRET), "body": (None, None)}),
        (
            {},
            {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
            {"basic": ("", ""), "body": (CLIENT_ID, CLIENT_SECRET)},
        ),
        ({"secret": None}, {}, {"basic": ("", ""), "body": (CLIENT_ID, None)}),
    ],
    ids=["basic", "post", "public"],
)
@pytest.mark.gen_test
async def test_the_client_shows_its_secret_as_the_provider_wants_it(
    client: dict[str, Any], discovery: dict[str, Any], shown: dict[str, Any]
) -> None:
    async with lobby(client=client, discovery=discovery) as place:
        await place.login()
        assert place.idp.clients == [shown]


async def refused(place: Lobby, answer: dict[str, str], cookie: str | None) -> str:
    """Why; and nobody has come in."""
    with pytest.raises(LoginRefused) as error:
        await place.oidc.finish(answer, cookie)
    assert await place.store.people() == []
    return error.value.words


@pytest.mark.gen_test
async def test_an_answer_is_taken_only_with_its_own_state_from_its_own_browser_within_ten_minutes() -> None:
    async with lobby() as place:
        query, cookie = await place.begin()
        _, of_another_browser = await place.begin()
        answer = {"code": place.idp.code(query), "state": query["state"]}
        assert await refused(place, {"code": answer["code"]}, cookie) == STALE
        assert await refused(place, {**answer, "state": "x"}, cookie) == STALE
        assert await refused(place, {**answer, "state": "é"}, cookie) == STALE
        for other in (None, "", "x", "é", of_another_browser, cookie[:-4] + "AAA=", "x" * 10_000):
            assert await refused(place, answer, other) == STALE
        place.clock.now += 601
        assert await refused(place, answer, cookie) == STALE
        assert place.idp.asked["/token"] == 0


@pytest.mark.gen_test
async def test_an_answer_is_taken_once() -> None:
    async with lobby() as place:
        query, cookie = await place.begin()
        answer = {"code": place.idp.code(query), "state": query["state"]}
        await place.oidc.finish(answer, cookie)
        with pytest.raises(LoginRefused, match="already done"):
            await place.oidc.finish(answer, cookie)
        assert place.idp.asked["/token"] == 1


@pytest.mark.gen_test
async def test_a_code_is_worth_nothing_in_another_login() -> None:
    """Used before; of another browser, whose verifier it needs (PKCE); for another address; or none at all."""
    async with lobby(client={"redirect_uris": (f"{ORIGIN}/callback", "https://b.example.org/callback")}) as place:
        stolen = place.idp.code((await place.begin())[0])
        for code in ("used before", stolen, ""):
            query, cookie = await place.begin()
            assert await refused(place, {"code": code, "state": query["state"]}, cookie) == REFUSED
        query, cookie = await place.begin()
        code = place.idp.code({**query, "redirect_uri": "https://b.example.org/callback"})
        assert await refused(place, {"code": code, "state": query["state"]}, cookie) == REFUSED


@pytest.mark.gen_test
async def test_the_redirect_address_is_one_that_was_agreed_upon_and_on_the_host_that_was_asked() -> None:
    both = (f"{ORIGIN}/callback", "https://b.example.org:8443/llm/callback")
    async with lobby(client={"redirect_uris": both}) as place:
        for origin, uri in (
            (ORIGIN, both[0]),
            ("https://b.example.org:8443", both[1]),
            ("http://b.example.org:8443", both[1]),  # a proxy took the encryption off and nobody told us
            ("https://b.example.org", both[0]),
            ("https://evil.example", both[0]),
        ):
            assert (await place.begin(origin=origin))[0]["redirect_uri"] == uri
    async with lobby(client={"redirect_uris": ()}) as place:
        assert (await place.begin(origin="http://127.0.0.1:80"))[0]["redirect_uri"] == "http://127.0.0.1:80/callback"


@pytest.mark.parametrize(
    "changes",
    [{"nonce": "of another login"}, {"nonce": None}, {"aud": "others"}, {"exp": NOW - 31}, {"iss": "https://evil"}],
    ids=str,
)
@pytest.mark.gen_test
async def test_an_id_token_that_is_not_for_this_login_lets_nobody_in(changes: dict[str, Any]) -> None:
    async with lobby() as place:
        place.idp.sign = lambda claims: signed(
            {name: value for name, value in {**claims, **changes}.items() if value is not None}, rsa_key("one")
        )
        query, cookie = await place.begin()
        answer = {"code": place.idp.code(query), "state": query["state"]}
        assert await refused(place, answer, cookie) == REFUSED


@pytest.mark.gen_test
async def test_an_answer_of_another_issuer_is_refused_before_its_code_goes_anywhere() -> None:
    """RFC 9207: the mix-up of two providers."""
    async with lobby(discovery={"authorization_response_iss_parameter_supported": True}) as place:
        await place.login(iss=place.idp.url)
        for iss in ({"iss": "https://evil.example"}, {}):
            with pytest.raises(LoginRefused):
                await place.login(**iss)
        assert place.idp.asked["/token"] == 1


@pytest.mark.gen_test
async def test_the_providers_own_word_of_a_refusal_is_passed_on_shortened_to_who_began_the_login() -> None:
    async with lobby() as place:
        query, cookie = await place.begin()
        with pytest.raises(LoginRefused) as error:
            await place.oidc.finish({"error": "<script>" * 50, "state": query["state"]}, cookie)
        assert error.value.answer == ("<script>" * 10)
        with pytest.raises(LoginRefused) as error:
            await place.oidc.finish({"error": "call this number", "state": "x"}, None)
        assert error.value.answer == ""


@pytest.mark.gen_test
async def test_claims_that_the_id_token_lacks_are_asked_for_and_only_then() -> None:
    everything = {"affiliation": ["student@x"], "groups": ["llm-admins"]}
    async with lobby(more=everything) as place:
        arrival = await place.login()
        assert (arrival.person.claimed, arrival.person.admin) == (("students",), True)
        place.idp.user |= {"affiliation": [], "groups": []}
        assert (await place.login()).person.claimed == ()
        assert place.idp.asked["/userinfo"] == 1


@pytest.mark.gen_test
async def test_userinfo_of_somebody_else_is_refused() -> None:
    async with lobby(more={"sub": "eve"}) as place:
        with pytest.raises(LoginRefused):
            await place.login()


@pytest.mark.gen_test
async def test_what_the_provider_does_not_say_at_a_login_is_not_so_any_more() -> None:
    async with lobby(user={"sub": "a", "affiliation": "student@x", "groups": "llm-admins"}) as place:
        person = (await place.login()).person
        assert (person.claimed, person.admin, person.name) == (("students",), True, "person")
        place.idp.user = {"sub": "a"}
        person = (await place.login()).person
        assert (person.claimed, person.admin) == ((), False)
        entries = await place.store.audits(None, 10)
        said = [(entry.action, entry.after or {}) for entry in entries]
        assert sorted((action, str(after.get("admin")), str(after.get("claimed"))) for action, after in said) == [
            ("person.admin", "False", "[]"),
            ("person.admin", "True", "['students']"),
            ("person.create", "None", "None"),
        ]
        assert {entry.actor for entry in entries} == {"oidc"}


OVERAGE = {
    "names": {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}}},
    "a mark": {"hasgroups": True},
    "a mark in words": {"hasgroups": "true"},
}


@pytest.mark.parametrize("said", OVERAGE.values(), ids=OVERAGE)
@pytest.mark.gen_test
async def test_who_is_in_more_groups_than_a_token_holds_loses_nothing(
    said: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with lobby(BY_GROUP, user={"sub": "a", "groups": ["llm-admins", "g-physics"]}) as place:
        assert (await place.login()).person.admin
        place.clock.now += 1_000
        place.idp.user = {"sub": "a", **said}
        person = (await place.login()).person
        assert (person.claimed, person.admin) == (("g-physics",), True)
        assert person.last_login_at == place.clock.wall(), "the provider has vouched for them all the same"
        assert [PARTIAL in each.getMessage() for each in caplog.records] == [True]
        caplog.clear()
        place.idp.user = {"sub": "a", "groups": ["staff"], **said}
        person = (await place.login()).person
        assert (person.claimed, person.admin) == ((), False), "what is told counts"


@pytest.mark.gen_test
async def test_what_is_told_beside_withheld_groups_is_added(caplog: pytest.LogCaptureFixture) -> None:
    rules = ClaimRules((*BY_GROUP.rules, *STUDENTS.rules))
    async with lobby(rules, user={"sub": "a", "groups": ["g-physics"]}) as place:
        await place.login()
        place.idp.user = {"sub": "a", "affiliation": "student@x", **OVERAGE["names"]}
        person = (await place.login()).person
        assert (person.claimed, person.admin) == (("g-physics", "students"), False)
        caplog.clear()


@pytest.mark.gen_test
async def test_other_claims_that_are_withheld_change_nothing() -> None:
    async with lobby(BY_GROUP, user={"sub": "a", "groups": ["llm-admins", "g-physics"]}) as place:
        await place.login()
        place.idp.user = {"sub": "a", "_claim_names": {"address": "src1"}}
        person = (await place.login()).person
        assert (person.claimed, person.admin) == ((), False)


@pytest.mark.gen_test
async def test_without_a_rule_the_operator_says_who_administers() -> None:
    async with lobby(admin=None, user={"sub": "a", "groups": ["llm-admins"]}) as place:
        person = (await place.login()).person
        assert not person.admin
        await place.store.update_person(person.id, {"admin": True})
        assert (await place.login()).person.admin


@pytest.mark.gen_test
async def test_nobody_gets_anybody_elses_name() -> None:
    async with lobby() as place:
        await place.store.create_person(Person("usr_1", "ada", False, 1))
        people = Provisioning(place.store, place.clock.wall)
        profiles = [Profile(f"{place.idp.url} s{number}", "ada", None, (), None) for number in range(10)]
        names = [(await people.welcome(profile, NOW)).name for profile in profiles]
        assert names[:8] == [f"ada-{number}" for number in range(2, 10)]
        assert len(set(names)) == 10
        assert (await place.store.person_by_name("ada")) == Person("usr_1", "ada", False, 1)


@pytest.mark.parametrize("name", ["operator", "shared", "", "\u202e", ["x"] * 0, {"a": 1}, None, " "], ids=repr)
@pytest.mark.gen_test
async def test_who_has_no_name_that_can_be_used_is_called_person(name: Any) -> None:
    async with lobby(user={"sub": "a", "preferred_username": name}) as place:
        assert (await place.login()).person.name == "person"


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({"email": "a@x.org"}, "a@x.org"),
        ({"email": "a@x.org", "email_verified": True}, "a@x.org"),
        ({"email": "a@x.org", "email_verified": False}, None),
        ({"email": "a@x.org", "email_verified": "false"}, None),
        ({"email": ["a@x.org"]}, None),
        ({"email": "a@x.org\n"}, None),
        ({"email": "nobody"}, None),
    ],
    ids=str,
)
@pytest.mark.gen_test
async def test_an_address_counts_unless_it_is_called_unverified(claims: dict[str, Any], email: str | None) -> None:
    async with lobby(user={"sub": "a", **claims}) as place:
        assert (await place.login()).person.email == email


@pytest.mark.gen_test
async def test_whose_access_is_closed_cannot_log_in() -> None:
    async with lobby() as place:
        person = (await place.login()).person
        await place.store.set_person_disabled(person.id, True)
        with pytest.raises(LoginRefused) as error:
            await place.login()
        assert error.value.words == DISABLED


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"])
@pytest.mark.gen_test
async def test_a_provider_that_fails_is_away_and_the_login_may_begin_again(path: str) -> None:
    async with lobby(faults={path: broken}) as place:
        with pytest.raises(Away):
            await place.login()
        assert await place.store.people() == []
        del place.idp.faults[path]
        place.clock.now += 30
        assert (await place.login()).person.name == "ada"


@pytest.mark.gen_test
async def test_the_way_out_leads_by_the_provider() -> None:
    async with lobby(client={"post_logout_uri": f"{ORIGIN}/bye"}) as place:
        arrival = await place.login()
        address = await place.oidc.farewell(arrival.sealed)
        assert address is not None
        assert address.startswith(f"{place.idp.url}/logout?id_token_hint=eyJ")
        assert address.endswith(f"client_id={CLIENT_ID}&post_logout_redirect_uri=https%3A%2F%2Fllm.example.org%2Fbye")
        assert await place.oidc.farewell(b"") is None
        assert b"eyJ" not in arrival.sealed
    async with lobby(discovery={"end_session_endpoint": None}) as place:
        assert await place.oidc.farewell((await place.login()).sealed) is None


@pytest.mark.gen_test
async def test_people_are_told_what_the_provider_said_of_them() -> None:
    said = {"sub": "a", "name": "Ada L", "affiliation": ["student@x", "member@x", "staff@y", "odd"]}
    async with lobby(user=said) as place:
        assert place.oidc.described((await place.login()).sealed) == {
            "name": "Ada L",
            "email": None,
            "sub": "a",
            "preferred_username": None,
            "affiliations": {"x": ["student", "member"], "y": ["staff"]},
        }


@pytest.mark.gen_test
async def test_who_comes_in_by_many_doors_at_once_is_one_person() -> None:
    async with lobby() as place:
        people = Provisioning(place.store, place.clock.wall)
        profile = Profile(f"{place.idp.url} ada-1", "ada", "ada@example.org", ("students",), True)
        found = await asyncio.gather(*(people.welcome(profile, NOW) for _ in range(20)))
        assert len({person.id for person in found}) == len(await place.store.people()) == 1


def test_the_rule_of_administrators_is_one_condition() -> None:
    assert ADMINS.fitting({"groups": ["a", "llm-admins"]}) == ["llm-admins"]
