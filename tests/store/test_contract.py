"""What every store promises. A new kind of store is a new parameter of `kind`, and nothing else changes."""

from __future__ import annotations

import asyncio

import pytest

from server.ledger.quota import Settlement
from server.ledger.usage import Outcome
from server.store import store_for
from server.store.base import Caller, Credential, NameTaken, Person, StoreError, Totals
from tests.store.conftest import Fresh
from tests.store.samples import ADA, BOB, settlement, token, usage_row

DIGEST = b"d" * 32


@pytest.mark.gen_test
async def test_a_digest_leads_to_the_token_and_its_person(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.create_person(ADA)
        await store.add_token(DIGEST, token("laptop", expires_at=9_000))
        assert await store.token_by_hash(DIGEST) == Credential(
            Caller("usr_ada", "Ada", "tok_laptop", ends_at=9_000), disabled=False, expires_at=9_000, revoked_at=None
        )


@pytest.mark.gen_test
async def test_an_unknown_digest_leads_nowhere(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.token_by_hash(DIGEST) is None


@pytest.mark.gen_test
async def test_a_credential_tells_whether_its_person_is_disabled(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.create_person(ADA)
        await store.add_token(DIGEST, token("laptop"))
        for disabled in (True, False):
            assert await store.set_person_disabled(ADA.id, disabled)
            credential = await store.token_by_hash(DIGEST)
            assert credential is not None
            assert credential.disabled is disabled
            assert await store.person_by_name("Ada") == Person(ADA.id, ADA.name, disabled, ADA.created_at)


@pytest.mark.gen_test
async def test_the_first_revocation_stays(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.create_person(ADA)
        await store.add_token(DIGEST, token("laptop"))
        assert await store.revoke_token("tok_laptop", 5_000)
        assert await store.revoke_token("tok_laptop", 6_000)
        assert await store.tokens() == [token("laptop", revoked_at=5_000)]
        credential = await store.token_by_hash(DIGEST)
        assert credential is not None
        assert credential.revoked_at == 5_000


@pytest.mark.gen_test
async def test_what_does_not_exist_cannot_be_changed(fresh: Fresh) -> None:
    async with fresh() as store:
        assert not await store.revoke_token("tok_nobody", 5_000)
        assert not await store.set_person_disabled("usr_nobody", True)
        assert await store.person_by_name("Nobody") is None
        assert await store.usage("nothing") is None


@pytest.mark.gen_test
async def test_names_and_ids_of_people_are_unique(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.create_person(ADA)
        for twin in (Person("usr_other", "Ada", False, 2), Person("usr_ada", "Other", False, 2)):
            with pytest.raises(NameTaken):
                await store.create_person(twin)
        assert await store.people() == [ADA]


@pytest.mark.gen_test
async def test_people_are_listed_by_name(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.people() == []
        for person in (BOB, ADA):
            await store.create_person(person)
        assert await store.people() == [ADA, BOB]


@pytest.mark.gen_test
async def test_tokens_are_listed_for_one_or_for_all_and_the_oldest_is_first(fresh: Fresh) -> None:
    new, old, other = token("new", created_at=20), token("old", created_at=10), token("other", BOB, created_at=15)
    async with fresh() as store:
        for number, each in enumerate((new, old, other)):
            await store.add_token(bytes([number]) * 32, each)
        assert await store.tokens() == [old, other, new]
        assert await store.tokens(ADA.id) == [old, new]
        assert await store.tokens("usr_nobody") == []


@pytest.mark.gen_test
async def test_a_settled_row_reads_back_unchanged(fresh: Fresh) -> None:
    full = usage_row("full")
    bare = usage_row(
        "bare",
        token_id=None,
        group=None,
        first_byte_ms=None,
        price_id=None,
        streamed=False,
        client_aborted=False,
        cost_micro_usd=0,
    )
    async with fresh() as store:
        for row in (full, bare):
            assert await store.settle(Settlement(row)) is True
            assert await store.usage(row.request_id) == row


@pytest.mark.gen_test
async def test_every_outcome_can_be_kept(fresh: Fresh) -> None:
    async with fresh() as store:
        for outcome in Outcome:
            await store.settle(settlement(outcome, status=outcome))
            row = await store.usage(outcome)
            assert row is not None
            assert row.status is outcome


@pytest.mark.gen_test
async def test_the_first_settlement_of_a_request_wins(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.settle(settlement("r", cost_micro_usd=1)) is True
        assert await store.settle(settlement("r", cost_micro_usd=2)) is False
        assert await store.usage("r") == usage_row("r", cost_micro_usd=1)


@pytest.mark.gen_test
async def test_of_200_racing_settlements_exactly_one_is_written(fresh: Fresh) -> None:
    async with fresh() as store:
        rows = [settlement("r", cost_micro_usd=number) for number in range(200)]
        written = await asyncio.gather(*map(store.settle, rows))
        assert written.count(True) == 1
        assert await store.usage("r") == rows[written.index(True)].row
        assert (await store.totals(0)).requests == 1


@pytest.mark.gen_test
async def test_settlements_race_alike_through_two_connections(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        row = settlement("r")
        written = await asyncio.gather(*[store.settle(row) for store in (one, other) for _ in range(50)])
        assert written.count(True) == 1


@pytest.mark.gen_test
async def test_rows_are_listed_from_an_instant_on_and_the_newest_is_first(fresh: Fresh) -> None:
    async with fresh() as store:
        for started_at in (30, 10, 20, 40):
            await store.settle(settlement(f"r{started_at}", started_at=started_at))
        rows = await store.usage_rows(since=20, limit=2)
        assert [row.started_at for row in rows] == [40, 30]
        assert [row.started_at for row in await store.usage_rows(since=20, limit=9)] == [40, 30, 20]


@pytest.mark.gen_test
async def test_totals_are_sums_from_an_instant_on(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.totals(0) == Totals(requests=0, people=0, input=0, output=0)
        for number, person in enumerate((ADA, BOB, BOB)):
            await store.settle(settlement(f"r{number}", person_id=person.id, started_at=number))
        assert await store.totals(0) == Totals(requests=3, people=2, input=300, output=120)
        assert await store.totals(1) == Totals(requests=2, people=1, input=200, output=80)


@pytest.mark.gen_test
async def test_what_was_acknowledged_is_there_after_opening_again(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.create_person(ADA)
        await store.settle(settlement("r"))
    async with fresh() as store:
        assert await store.people() == [ADA]
        assert await store.usage("r") == usage_row("r")


@pytest.mark.gen_test
async def test_a_write_is_seen_at_once_through_another_connection(fresh: Fresh) -> None:
    async with fresh() as one, fresh() as other:
        await one.create_person(ADA)
        await one.add_token(DIGEST, token("laptop"))
        assert await other.token_by_hash(DIGEST) is not None


@pytest.mark.gen_test
async def test_a_ping_of_an_open_store_returns(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.ping()


@pytest.mark.gen_test
async def test_closing_finishes_what_was_accepted(fresh: Fresh) -> None:
    store = fresh()
    await store.open()
    settling = [asyncio.ensure_future(store.settle(settlement(f"r{number}"))) for number in range(100)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*settling) == [True] * 100
    async with fresh() as again:
        assert (await again.totals(0)).requests == 100


@pytest.mark.gen_test
async def test_a_settlement_is_written_though_its_caller_was_cancelled(fresh: Fresh) -> None:
    async with fresh() as store:
        settling = asyncio.ensure_future(store.settle(settlement("r")))
        await asyncio.sleep(0)
        settling.cancel()
        await store.ping()  # queued behind it
        assert await store.usage("r") == usage_row("r")


@pytest.mark.gen_test
async def test_a_closed_store_says_so_and_may_be_closed_again(fresh: Fresh) -> None:
    store = fresh()
    with pytest.raises(StoreError):
        await store.ping()
    async with store:
        pass
    await store.close()
    for verb in (store.ping(), store.settle(settlement("r")), store.token_by_hash(DIGEST), store.people()):
        with pytest.raises(StoreError):
            await verb


def test_a_credential_is_valid_until_it_expires_is_revoked_or_its_person_disabled() -> None:
    caller = Caller("usr_ada", "Ada", "tok_laptop")
    assert Credential(caller, disabled=False, expires_at=None, revoked_at=None).valid_at(10**15)
    assert Credential(caller, disabled=False, expires_at=100, revoked_at=None).valid_at(99)
    assert not Credential(caller, disabled=False, expires_at=100, revoked_at=None).valid_at(100)
    assert not Credential(caller, disabled=False, expires_at=None, revoked_at=200).valid_at(100)
    assert not Credential(caller, disabled=True, expires_at=None, revoked_at=None).valid_at(0)


def test_an_unknown_kind_of_store_is_refused_without_repeating_the_url() -> None:
    with pytest.raises(ValueError, match="sqlite") as caught:
        store_for("nosuch://user:hunter2@host/db")
    assert "hunter2" not in str(caught.value)
