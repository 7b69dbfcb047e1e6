"""The provider's tokens at the API: whose they are, for how long that is remembered, and what they change."""

from __future__ import annotations

from typing import Any

import pytest

from server.policy.authority import Means
from server.store.base import Caller
from tests.oidc.idp import NOW, forged, rsa_key, signed
from tests.oidc.lobby import Lobby, lobby


def token(place: Lobby, **changes: Any) -> str:
    return signed(place.idp.claims(**changes), rsa_key("one"))


@pytest.mark.gen_test
async def test_who_presents_a_token_of_the_provider_is_the_person_of_its_subject() -> None:
    async with lobby() as place:
        person = (await place.login()).person
        await place.store.update_person(person.id, {"groups": ("choir",)})
        caller = await place.oidc.bearer.caller_of(token(place, affiliation=["student@x"], groups=[]))
        assert caller == Caller(
            person.id, "ada", None, groups=("choir", "students"), means=Means.BEARER, ends_at=caller.ends_at
        )
        assert caller.ends_at is not None


@pytest.mark.gen_test
async def test_who_has_never_logged_in_is_made_known_as_at_a_login() -> None:
    async with lobby() as place:
        caller = await place.oidc.bearer.caller_of(token(place, affiliation=["student@x"], groups=["llm-admins"]))
        assert caller is not None
        assert (caller.person_name, caller.groups, caller.admin) == ("ada", ("students",), True)


@pytest.mark.parametrize("text", ["", "fg_x", "a.b.c", "eyJ.eyJ", "eyJhbGciOiJub25lIn0.e30.", "eyJé.e30.x"])
@pytest.mark.gen_test
async def test_what_is_no_signed_token_is_not_even_looked_at(text: str) -> None:
    async with lobby() as place:
        assert await place.oidc.bearer.caller_of(text) is None
        assert not place.idp.asked


@pytest.mark.gen_test
async def test_a_token_that_is_not_believed_is_nobodys() -> None:
    async with lobby() as place:
        for wrong in (token(place, aud="others"), token(place, exp=NOW - 31), forged({"alg": "none"}, {}, b"x")):
            assert await place.oidc.bearer.caller_of(wrong) is None
        assert await place.store.people() == []


@pytest.mark.gen_test
async def test_an_answer_is_remembered_for_a_minute_at_most_and_not_beyond_the_tokens_end() -> None:
    async with lobby() as place:
        long, short = token(place, groups=[], affiliation=[]), token(place, groups=[], affiliation=[], exp=NOW + 10)
        for each in (long, short):
            caller = await place.oidc.bearer.caller_of(each)
            assert caller is not None
        await place.store.set_person_disabled(caller.person_id, True)
        place.clock.now += 9
        assert await place.oidc.bearer.caller_of(short) is not None
        place.clock.now += 1
        assert await place.oidc.bearer.caller_of(short) is None
        place.clock.now += 49
        assert await place.oidc.bearer.caller_of(long) is not None
        place.clock.now += 1
        assert await place.oidc.bearer.caller_of(long) is None


@pytest.mark.gen_test
async def test_it_is_remembered_by_the_whole_token() -> None:
    async with lobby() as place:
        good = token(place, groups=[], affiliation=[])
        assert await place.oidc.bearer.caller_of(good) is not None
        assert await place.oidc.bearer.caller_of(good[:-20] + "A" * 20) is None


@pytest.mark.gen_test
async def test_forgetting_looks_everybody_up_anew() -> None:
    async with lobby() as place:
        good = token(place, groups=[], affiliation=[])
        caller = await place.oidc.bearer.caller_of(good)
        assert caller is not None
        await place.store.set_person_disabled(caller.person_id, True)
        place.oidc.bearer.forget()
        assert await place.oidc.bearer.caller_of(good) is None


@pytest.mark.gen_test
async def test_an_access_token_that_lacks_claims_is_completed_by_the_provider() -> None:
    async with lobby(more={"affiliation": "student@x", "groups": []}) as place:
        caller = await place.oidc.bearer.caller_of(token(place))
        assert caller is not None
        assert caller.groups == ("students",)
        assert place.idp.asked["/userinfo"] == 1


@pytest.mark.gen_test
async def test_an_id_token_that_says_nothing_of_groups_neither_takes_them_away_nor_vouches_for_them() -> None:
    async with lobby() as place:
        person = (await place.login()).person
        await place.store.update_person(person.id, {"claimed": ("students",), "admin": True, "last_login_at": 5})
        caller = await place.oidc.bearer.caller_of(token(place, nonce="n"))
        assert caller == Caller(
            person.id, "ada", None, groups=("students",), admin=True, means=Means.BEARER, ends_at=caller.ends_at
        )
        known = await place.store.person(person.id)
        assert known is not None
        assert known.last_login_at == 5


@pytest.mark.gen_test
async def test_an_old_token_does_not_turn_the_last_login_back() -> None:
    async with lobby() as place:
        person = (await place.login()).person
        await place.oidc.bearer.caller_of(token(place, iat=NOW - 3600, groups=[], affiliation=[]))
        assert (await place.store.person(person.id)) == person
