"""What every store promises about people, their tokens' terms and their logins."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace
from typing import Any

import pytest

from server.store.base import NameTaken, Person, Session, TokenTerms
from tests.store.conftest import Fresh
from tests.store.samples import ADA, BOB, token

DIGEST = b"d" * 32
EVERYTHING = Person(
    "usr_ada", "Ada", True, 1_000, groups=("staff", "phd"), claimed=("physics",), admin=True, login="issuer|ada",
    email="ada@example.org", last_login_at=5_000, nickname="Countess", note="asked for more", mails=False,
    language="de",
)  # fmt: skip
SESSION = Session(b"s" * 32, "usr_ada", 1_000, 9_000, b"\x00sealed")


def test_the_sample_says_everything() -> None:
    plain = Person("", "", False, 0)
    assert all(getattr(EVERYTHING, each.name) != getattr(plain, each.name) for each in fields(Person))


@pytest.mark.gen_test
async def test_a_person_reads_back_with_everything_by_id_name_and_login(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.create_person(EVERYTHING)
        await store.create_person(BOB)
        assert await store.person("usr_ada") == EVERYTHING
        assert await store.person_by_name("Ada") == EVERYTHING
        assert await store.person_by_login("issuer|ada") == EVERYTHING
        assert await store.people() == [EVERYTHING, BOB]


@pytest.mark.gen_test
async def test_who_does_not_exist_is_nobody(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.create_person(BOB)
        assert await store.person("usr_ada") is None
        assert await store.person_by_login("issuer|ada") is None
        assert await store.update_person("usr_ada", {"admin": True}) is False
        assert await store.update_person("usr_ada", {}) is False


@pytest.mark.gen_test
async def test_logins_and_nicknames_are_unique_and_many_have_none(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.create_person(EVERYTHING)
        await store.create_person(BOB)
        await store.create_person(Person("usr_eve", "Eve", False, 3_000))
        dan = Person("usr_dan", "Dan", False, 4_000)
        for twin in (replace(dan, login="issuer|ada"), replace(dan, nickname="Countess")):
            with pytest.raises(NameTaken):
                await store.create_person(twin)
        for changes in ({"login": "issuer|ada"}, {"nickname": "Countess"}, {"name": "Ada"}):
            with pytest.raises(NameTaken):
                await store.update_person(BOB.id, changes)
        assert await store.person(BOB.id) == BOB


@pytest.mark.gen_test
async def test_every_field_can_be_changed_and_the_others_stay(fresh: Fresh) -> None:
    changed = replace(EVERYTHING, id=BOB.id, name="Robert", created_at=BOB.created_at)
    names = [each.name for each in fields(Person) if each.name not in ("id", "created_at")]
    async with fresh() as store:
        await store.create_person(BOB)
        expected = BOB
        for name in names:
            expected = replace(expected, **{name: getattr(changed, name)})
            assert await store.update_person(BOB.id, {name: getattr(changed, name)}) is True
            assert await store.person(BOB.id) == expected
        assert await store.update_person(BOB.id, {name: getattr(BOB, name) for name in names}) is True
        assert await store.person(BOB.id) == BOB


@pytest.mark.gen_test
async def test_changes_of_different_fields_at_once_are_all_kept(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        await one.create_person(ADA)
        changes: dict[str, Any] = {
            "email": "ada@example.org",
            "nickname": "Countess",
            "admin": True,
            "groups": ("staff",),
        }
        await asyncio.gather(
            *[(one, other)[n % 2].update_person(ADA.id, {k: v}) for n, (k, v) in enumerate(changes.items())]
        )
        assert await other.person(ADA.id) == replace(ADA, **changes)


@pytest.mark.parametrize("name", ["id", "created_at", "password", "name = 'Eve' --", "$set"])
@pytest.mark.gen_test
async def test_no_other_field_can_be_changed(fresh: Fresh, name: str) -> None:
    async with fresh() as store:
        await store.create_person(ADA)
        with pytest.raises(ValueError):
            await store.update_person(ADA.id, {name: "x", "note": "y"})
        assert await store.people() == [ADA]


@pytest.mark.gen_test
async def test_a_credential_says_all_that_the_door_needs(fresh: Fresh) -> None:
    terms = TokenTerms("temporary", ("gpt-4*", "small"), ("10.0.0.0/8",), 2, "chunk")
    async with fresh() as store:
        await store.create_person(replace(EVERYTHING, groups=("staff", "phd"), claimed=("phd", "physics")))
        await store.add_token(DIGEST, token("laptop", terms=terms))
        found = await store.token_by_hash(DIGEST)
        assert found is not None
        assert found.caller.groups == ("staff", "phd", "physics")
        assert found.caller.admin is True
        assert found.caller.terms == terms
        assert found.last_login_at == 5_000
        assert await store.tokens() == [token("laptop", terms=terms)]


@pytest.mark.gen_test
async def test_a_login_is_remembered_until_it_is_closed(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.session(SESSION.digest) is None
        await store.open_session(SESSION)
        assert await store.session(SESSION.digest) == SESSION
        assert await store.close_session(SESSION.digest) is True
        assert await store.close_session(SESSION.digest) is False
        assert await store.session(SESSION.digest) is None


@pytest.mark.gen_test
async def test_all_logins_of_a_person_are_closed_together(fresh: Fresh) -> None:
    async with fresh() as store:
        for number in range(3):
            await store.open_session(replace(SESSION, digest=bytes([number]) * 32))
        await store.open_session(replace(SESSION, person_id=BOB.id))
        assert await store.close_sessions_of(ADA.id) == 3
        assert await store.close_sessions_of(ADA.id) == 0
        assert await store.session(SESSION.digest) is not None


@pytest.mark.gen_test
async def test_the_logins_of_a_person_are_listed_the_oldest_first(fresh: Fresh) -> None:
    async with fresh() as store:
        mine = [replace(SESSION, digest=bytes([number]) * 32, created_at=number) for number in (3, 1, 2)]
        for session in (*mine, replace(SESSION, person_id=BOB.id)):
            await store.open_session(session)
        assert [each.created_at for each in await store.sessions_of(ADA.id)] == [1, 2, 3]
        assert await store.sessions_of("usr_nobody") == []


@pytest.mark.gen_test
async def test_a_token_is_narrowed_only_if_it_is_as_it_was_read(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.create_person(ADA)
        await store.add_token(DIGEST, token("one"))
        (before,) = await store.tokens(ADA.id)
        models = replace(before, terms=replace(before.terms, models=("gpt-5",)))
        ends = replace(before, expires_at=9_000)
        assert await store.narrow_token(before, models) is True
        assert await store.narrow_token(before, ends) is False, "it would undo what another one has changed"
        assert await store.tokens(ADA.id) == [models]
        both = replace(models, expires_at=9_000)
        assert await store.narrow_token(models, both) is True
        assert await store.tokens(ADA.id) == [both]
        assert await store.narrow_token(replace(both, id="tok_2"), both) is False
        assert await store.scrub() is True


@pytest.mark.gen_test
async def test_of_many_who_use_a_mark_at_once_one_is_the_first(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        used = await asyncio.gather(*[store.use_once("login-1", 9_000) for _ in range(10) for store in (one, other)])
        assert used.count(True) == 1
        assert await one.use_once("login-2", 9_000) is True


@pytest.mark.gen_test
async def test_a_token_is_used_from_so_many_addresses_and_no_others(fresh: Fresh) -> None:
    async with fresh() as store:
        noted = [await store.note_address("tok_1", address, 2) for address in ("a", "b", "a", "c", "b")]
        assert noted == [True, True, True, False, True]
        assert await store.note_address("tok_2", "c", 2) is True
        assert await store.note_address("tok_1", "c", 3) is True


@pytest.mark.gen_test
async def test_the_tokens_of_who_is_forgotten_open_nothing_and_have_no_names(fresh: Fresh) -> None:
    async with fresh() as store:
        for person in (ADA, BOB):
            await store.create_person(person)
        await store.add_token(b"1" * 32, token("old", revoked_at=5_000))
        await store.add_token(b"2" * 32, token("laptop"))
        await store.add_token(b"3" * 32, token("phone", BOB))
        for token_id in ("tok_laptop", "tok_phone"):
            assert await store.note_address(token_id, "a", 1) is True
        assert await store.forget_tokens(ADA.id, 7_000) == 2
        told = {each.id: (each.name, each.hint, each.revoked_at) for each in await store.tokens(ADA.id)}
        assert told == {"tok_old": ("", "", 5_000), "tok_laptop": ("", "", 7_000)}
        assert await store.tokens(BOB.id) == [token("phone", BOB)]
        assert await store.note_address("tok_laptop", "b", 1) is True  # the first one is forgotten
        assert await store.note_address("tok_phone", "b", 1) is False
        assert await store.forget_tokens(ADA.id, 9_000) == 2
        assert {each.revoked_at for each in await store.tokens(ADA.id)} == {5_000, 7_000}


@pytest.mark.gen_test
async def test_of_addresses_that_come_at_once_no_more_are_let_in(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        noted = await asyncio.gather(
            *[(one, other)[number % 2].note_address("tok_1", f"a{number}", 3) for number in range(12)]
        )
        assert noted.count(True) == 3


@pytest.mark.gen_test
async def test_what_has_expired_is_forgotten(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.open_session(replace(SESSION, digest=b"1" * 32, expires_at=10))
        await store.open_session(replace(SESSION, digest=b"2" * 32, expires_at=20))
        await store.use_once("old", 10)
        await store.use_once("new", 20)
        assert await store.forget_expired(20) == 2
        assert await store.session(b"1" * 32) is None
        assert await store.session(b"2" * 32) is not None
        assert await store.use_once("old", 10) is True
        assert await store.use_once("new", 20) is False
