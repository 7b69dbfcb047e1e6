"""Guest passes: who issues them, what they are good for, and for how long."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.accounting import allowance as purses
from server.accounting.allowance import GuestBudgets
from server.admin.commands.guest_passes import MOST_LIVE, PROMISED, GuestPassCommands, WantedPass
from server.admin.makers import THE_OPERATOR
from server.auth.guest_passes import LONGEST_MS, TYPE, Pass, Passes, looks_like_pass
from server.auth.tokens import Memory
from server.crypto import derived
from server.policy.commands import CommandError
from server.policy.groups import Group
from server.store.base import Person, Record, Store
from tests.accounts import DAY, PEPPER, AccountsFactory, Times, a_person, bearer, no_store, refused

USD = 1_000_000
NOW = 1_800_000_000_000
GOOD = Pass("0123456789abcdef", "usr_ada", "lab", ("gpt-4*",), 5 * USD, NOW, NOW + DAY)
KEY = derived(PEPPER, "passes")


@pytest.fixture
def office(make_accounts: AccountsFactory) -> GuestPassCommands:
    return GuestPassCommands(
        make_accounts.store, make_accounts.changes(), Passes(PEPPER), lambda: make_accounts.times.wall
    )


# The pass itself


def test_what_was_signed_is_read_as_it_was() -> None:
    text = Passes(PEPPER).signed(GOOD)
    assert looks_like_pass(text)
    assert Passes(PEPPER).read(text, NOW) == GOOD
    assert Passes(b"another").read(text, NOW) is None


def test_a_pass_ends_on_the_millisecond() -> None:
    text = Passes(PEPPER).signed(GOOD)
    assert Passes(PEPPER).read(text, GOOD.expires_at - 1) == GOOD
    assert Passes(PEPPER).read(text, GOOD.expires_at) is None


def claims(**more: object) -> dict[str, object]:
    said: dict[str, object] = {
        "jti": GOOD.id, "sub": GOOD.issuer, "group": "", "models": [], "usd": 1, "iat": NOW // 1000,
        "exp": GOOD.expires_at // 1000,
    }  # fmt: skip
    return {name: value for name, value in (said | more).items() if value is not None}


WRONG = {
    "no end": claims(exp=None),
    "no money": claims(usd=None),
    "no id": claims(jti=None),
    "no issuer": claims(sub=None),
    "an id of another shape": claims(jti="../x"),
    "money that is true": claims(usd=True),
    "a part of a cent": claims(usd=0.5),
    "less than nothing": claims(usd=-1),
    "more than all": claims(usd=10**30),
    "an end that is a text": claims(exp="never"),
    "an end that is no whole second": claims(exp=4e9),
    "more than 30 days": claims(exp=(NOW + LONGEST_MS) // 1000 + 1),
    "models that are a text": claims(models="gpt-4"),
    "a model that is a number": claims(models=[4]),
    "a group that is a list": claims(group=["lab"]),
}


@pytest.mark.parametrize("said", WRONG.values(), ids=WRONG.keys())
def test_even_what_we_have_signed_must_make_sense(said: dict[str, object]) -> None:
    assert Passes(PEPPER).read(jwt.encode(said, KEY, "HS256", headers={"typ": TYPE}), NOW) is None


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_no_algorithm_but_ours_counts() -> None:
    unsigned = f"{part({'alg': 'none', 'typ': TYPE})}.{part(claims())}."
    for text in (unsigned, unsigned + "AAAA", jwt.encode(claims(), KEY * 2, "HS512", headers={"typ": TYPE})):
        assert Passes(PEPPER).read(text, NOW) is None


@given(st.integers(0, 400), st.characters(codec="ascii"))
@settings(deadline=None, max_examples=60)
def test_a_pass_with_one_other_character_is_none_or_says_the_same(position: int, character: str) -> None:
    text = Passes(PEPPER).signed(GOOD)
    at = position % len(text)
    # The last character of a part has bits that mean nothing; a pass that reads differently is what must not be.
    assert Passes(PEPPER).read(text[:at] + character + text[at + 1 :], NOW) in (None, GOOD)


@pytest.mark.parametrize("text", ["", "a.b.c", "eyJ.eyJ.x", "eyJhbGciOiJIUzI1NiJ9.eyJ.x", "\ud800", "eyJ" * 5000])
def test_what_does_not_call_itself_a_pass_is_none(text: str) -> None:
    assert not looks_like_pass(text)


def test_a_guest_is_booked_on_the_issuer_and_bears_no_right_of_theirs() -> None:
    caller = GOOD.caller
    assert (caller.person_id, caller.groups, caller.token_id) == ("usr_ada", ("lab",), "pass:0123456789abcdef")
    assert (caller.terms.kind, caller.terms.models, caller.spend) == ("guest", ("gpt-4*",), 5 * USD)
    assert not caller.admin
    assert caller.person_name == "guest:0123456789abcdef"  # keys that Ada owns are not for her guests
    assert replace(GOOD, group="").caller.groups == ()


# Letting guests in


async def issued(store: Store, office: GuestPassCommands, seconds: int = 86_400) -> tuple[Person, Pass, str]:
    issuer = await a_person(store, "Ada", groups=("lab",))
    what, text = await office.issue_for(THE_OPERATOR, "operator", issuer, WantedPass(seconds, USD, "lab"))
    return issuer, what, text


@pytest.mark.gen_test
async def test_a_pass_opens_the_door_until_it_ends(
    store: Store, make_accounts: AccountsFactory, office: GuestPassCommands, times: Times
) -> None:
    async with store:
        _, what, text = await issued(store, office)
        accounts = make_accounts()
        assert await bearer(accounts, text) == what.caller
        assert await accounts.authenticate(None, text, "192.0.2.1") == what.caller
        times.advance(86_400)
        await refused(bearer(accounts, text))


@pytest.mark.gen_test
async def test_a_new_pass_is_accepted_while_the_store_is_away(
    store: Store, make_accounts: AccountsFactory, office: GuestPassCommands
) -> None:
    async with store:
        _, what, text = await issued(store, office)
        await no_store(store)
        assert await bearer(make_accounts(), text) == what.caller
        await refused(bearer(make_accounts(), Passes(b"another").signed(what)))


@pytest.mark.gen_test
async def test_a_revoked_pass_is_refused_within_five_seconds_and_stays_so_in_an_outage(
    store: Store, make_accounts: AccountsFactory, office: GuestPassCommands, times: Times
) -> None:
    async with store:
        _, what, text = await issued(store, office)
        accounts = make_accounts()
        await bearer(accounts, text)
        await office.revoke("operator", what.id)
        times.advance(5)
        await refused(bearer(accounts, text))
        await no_store(store)
        times.advance(60)
        await refused(bearer(accounts, text))


@pytest.mark.gen_test
@pytest.mark.parametrize("change", [{"disabled": True}, {"groups": ()}, {"groups": ("other",)}])
async def test_a_guest_can_do_no_more_than_who_issued_the_pass(
    store: Store, make_accounts: AccountsFactory, office: GuestPassCommands, times: Times, change: dict[str, object]
) -> None:
    async with store:
        issuer, _, text = await issued(store, office)
        accounts = make_accounts()
        await bearer(accounts, text)
        await store.update_person(issuer.id, change)
        times.advance(5)
        await refused(bearer(accounts, text))
        await store.update_person(issuer.id, {"disabled": False, "claimed": ("lab",)})
        times.advance(5)
        await bearer(accounts, text)


@pytest.mark.gen_test
async def test_the_guests_of_who_has_left_are_not_let_in_either(
    store: Store, make_accounts: AccountsFactory, office: GuestPassCommands, times: Times
) -> None:
    async with store:
        issuer, _, text = await issued(store, office)
        await store.update_person(issuer.id, {"login": "idp ada", "last_login_at": times.wall - 10 * DAY})
        await refused(bearer(make_accounts(memory=Memory(5.0, affiliation_days=7)), text))
        await bearer(make_accounts(memory=Memory(5.0)), text)


@pytest.mark.gen_test
async def test_passes_are_for_gateways_with_personal_tokens(
    store: Store, make_accounts: AccountsFactory, office: GuestPassCommands
) -> None:
    async with store:
        _, _, text = await issued(store, office)
        await refused(bearer(make_accounts("shared"), text))


# Issuing


@pytest.mark.gen_test
async def test_a_member_issues_passes_only_in_a_group_of_theirs_that_may_have_guests(
    store: Store, make_accounts: AccountsFactory, office: GuestPassCommands
) -> None:
    async with store:
        ada = await a_person(store, "Ada", groups=("lab", "label"), claimed=("staff",))
        changes = make_accounts.changes()
        await changes.create_group("operator", Group(name="lab", guests=True))
        await changes.create_group("operator", Group(name="staff", guests=False))
        await changes.create_group("operator", Group(name="others", guests=True))
        for group in ("", "label", "staff", "others", "nothing"):
            with pytest.raises(CommandError, match="may have guests"):
                await office.issue(THE_OPERATOR, ada, WantedPass(3600, USD, group))
        what, _ = await office.issue(THE_OPERATOR, ada, WantedPass(3600, USD, "lab", ("gpt-4*",)))
        assert (what.issuer, what.group, what.models) == (ada.id, "lab", ("gpt-4*",))
        await changes.change_group("operator", Group(name="lab", guests=True, until=1))
        with pytest.raises(CommandError, match="may have guests"):
            await office.issue(THE_OPERATOR, ada, WantedPass(3600, USD, "lab"))


@pytest.mark.gen_test
async def test_a_member_s_passes_together_are_bounded_and_a_revoked_or_expired_one_counts_no_more(
    store: Store, make_accounts: AccountsFactory, office: GuestPassCommands, times: Times
) -> None:
    async with store:
        ada = await a_person(store, "Ada", groups=("lab",))
        await make_accounts.changes().create_group("operator", Group(name="lab", guests=True))
        what, _ = await office.issue(THE_OPERATOR, ada, WantedPass(3600, PROMISED, "lab"))
        with pytest.raises(CommandError, match=r"50\.00 USD"):
            await office.issue(THE_OPERATOR, ada, WantedPass(3600, 1, "lab"))
        await office.revoke(ada.id, what.id, ada.id)
        await office.issue(THE_OPERATOR, ada, WantedPass(3600, PROMISED, "lab"))
        times.advance(3600)
        await office.issue(THE_OPERATOR, ada, WantedPass(3600, PROMISED, "lab"))


@pytest.mark.gen_test
@pytest.mark.slow
async def test_the_number_of_a_persons_passes_is_bounded(store: Store, office: GuestPassCommands) -> None:
    async with store:
        ada = await a_person(store, "Ada")
        for _ in range(MOST_LIVE):
            await office.issue_for(THE_OPERATOR, "operator", ada, WantedPass(3600, 1))
        with pytest.raises(CommandError, match="100 passes"):
            await office.issue_for(THE_OPERATOR, "operator", ada, WantedPass(3600, 1))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("wanted", "about"),
    [
        (WantedPass(0, USD), "30 days"),
        (WantedPass(LONGEST_MS // 1000 + 1, USD), "30 days"),
        (WantedPass(3600, 0), "spend"),
        (WantedPass(3600, 10**30), "spend"),
        (WantedPass(3600, USD, "lab"), "group of the person"),
        (WantedPass(3600, USD, "", ("",)), "models"),
    ],
)
async def test_a_pass_that_makes_no_sense_is_not_issued(
    store: Store, office: GuestPassCommands, wanted: WantedPass, about: str
) -> None:
    async with store:
        ada = await a_person(store, "Ada")
        with pytest.raises(CommandError, match=about):
            await office.issue_for(THE_OPERATOR, "operator", ada, wanted)
        assert await office.issued() == []
        assert await store.audits(None, 10) == []


@pytest.mark.gen_test
async def test_passes_are_on_record_and_audited_but_not_the_pass_itself(
    store: Store, office: GuestPassCommands, tmp_path: Path
) -> None:
    async with store:
        ada, what, text = await issued(store, office)
        bob = await a_person(store, "Bob")
        assert [each.what for each in await office.issued(ada.id)] == [what]
        assert await office.issued(bob.id) == []
        with pytest.raises(CommandError, match="no such pass"):
            await office.revoke(bob.id, what.id, bob.id)
        await office.revoke(ada.id, what.id, ada.id)
        assert [each.revoked for each in await office.issued()] == [True]
        actions = [(entry.actor, entry.action, entry.target) for entry in await store.audits(None, 10)]
        assert sorted(actions) == [("operator", "pass.issue", what.id), (ada.id, "pass.revoke", what.id)]
    for file in tmp_path.iterdir():
        assert text.split(".")[2].encode() not in file.read_bytes()


@pytest.mark.gen_test
async def test_what_has_expired_is_forgotten_when_the_next_one_is_issued(
    store: Store, office: GuestPassCommands, times: Times
) -> None:
    async with store:
        ada, what, _ = await issued(store, office)
        await office.revoke("operator", what.id)
        times.advance(86_400)
        assert await office.issued() == []
        await office.issue_for(THE_OPERATOR, "operator", ada, WantedPass(3600, USD))
        kept: list[Record] = [*await store.records("pass"), *await store.records("revoked_pass")]
        assert len(kept) == 1


# What is spent while the store is away


def test_a_purse_gives_what_the_pass_is_worth_and_no_more() -> None:
    kept = GuestBudgets()
    kept.settle("r0", "pass:a", 30, NOW)  # while the store was there
    assert kept.take("r1", "pass:a", 50, 100, NOW)
    assert not kept.take("r2", "pass:a", 21, 100, NOW)
    kept.settle("r1", "pass:a", 10, NOW)  # it cost less
    assert kept.take("r2", "pass:a", 60, 100, NOW)
    kept.settle("r2", "pass:a", 0, NOW)  # it was never sent
    assert kept.take("r3", "pass:a", 60, 100, NOW)
    assert kept.take("r4", "pass:b", 100, 100, NOW)


def test_no_more_purses_are_kept_than_there_is_room_for_and_none_that_may_be_needed_is_forgotten() -> None:
    kept = GuestBudgets()
    for number in range(purses.MOST):
        kept.settle(f"r{number}", f"pass:{number}", 1, NOW)
    assert not kept.take("r", "pass:new", 1, 100, NOW)
    assert not kept.take("r", "pass:0", 100, 100, NOW)
    assert kept.take("r", "pass:new", 1, 100, NOW + purses.KEPT_MS)
    assert len(kept) == 1
