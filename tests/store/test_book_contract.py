"""What every store promises about the operator's book, the log of changes, and contents that are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.store.base import Audit, Content, Record
from tests.store.conftest import Fresh
from tests.store.samples import ADA, BOB

LIMIT = Record(
    "limit", "l1", {"amount": 5, "family": "gpt-4*", "until": None, "of": {"a.b": [1.5, True, "ü"], "$c": {}}}
)
ENTRY = Audit("a1", 1_000, ADA.id, "limit.set", "l1", None, {"amount": 5, "$set": "a.b"})
CONTENT = Content("r1", ADA.id, "physics", 1_000, 9_000, b"\x00asked", b"answered\xff")


@pytest.mark.gen_test
async def test_a_record_reads_back_as_it_was_and_is_replaced_whole(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.put_record(LIMIT)
        assert await store.records("limit") == [LIMIT]
        await store.put_record(replace(LIMIT, body={"amount": 6}))
        assert await store.records("limit") == [replace(LIMIT, body={"amount": 6})]
        assert await store.record("limit", "l1") == replace(LIMIT, body={"amount": 6})
        assert (await store.record("limit", "l"), await store.record("price", "l1")) == (None, None)


@pytest.mark.gen_test
async def test_records_are_listed_by_kind_and_id(fresh: Fresh) -> None:
    others = [Record("limit", "l0", {}), Record("price", "l1", {"input": 75_000})]
    async with fresh() as store:
        for record in (LIMIT, *others):
            await store.put_record(record)
        assert await store.records("limit") == [others[0], LIMIT]
        assert await store.records("price") == [others[1]]
        assert await store.remove_record("limit", "l1") is True
        assert await store.remove_record("limit", "l1") is False
        assert await store.records("limit") == [others[0]]
        assert await store.records("price") == [others[1]]


@pytest.mark.gen_test
async def test_every_change_of_a_record_is_seen_in_the_version_through_another_connection(fresh: Fresh) -> None:
    async with fresh() as store, fresh() as other:
        versions = [await other.book_version()]
        for change in (
            lambda: store.put_record(LIMIT),
            lambda: store.put_record(replace(LIMIT, body={})),
            lambda: store.remove_record("limit", "l1"),
        ):
            await change()
            versions.append(await other.book_version())
        assert versions == sorted(set(versions))
        await store.records("limit")
        await store.append_audit(ENTRY)
        assert await other.book_version() == versions[-1]


@pytest.mark.gen_test
async def test_changes_are_read_in_pages_the_newest_first(fresh: Fresh) -> None:
    entries = [replace(ENTRY, id=f"a{number}", at=1_000 + number // 2) for number in range(7)]
    async with fresh() as store:
        assert await store.audits(None, 3) == []
        for entry in entries:
            await store.append_audit(entry)
        found: list[Audit] = []
        while page := await store.audits((found[-1].at, found[-1].id) if found else None, 3):
            found += page
        assert found == entries[::-1]


@pytest.mark.gen_test
async def test_the_latest_entries_of_one_action_about_one_thing_are_found_without_the_others(fresh: Fresh) -> None:
    mine = [replace(ENTRY, id=f"a{number}", at=1_000 + number // 2) for number in range(4)]
    others = replace(ENTRY, id="b1", target="l2"), replace(ENTRY, id="b2", action="limit.remove")
    async with fresh() as store:
        for entry in (*mine, *others):
            await store.append_audit(entry)
        assert await store.audits_about(ENTRY.target, ENTRY.action, 3) == mine[:0:-1]
        assert await store.audits_about("l3", ENTRY.action, 3) == []


@pytest.mark.gen_test
async def test_for_an_erasure_an_entry_is_written_anew(fresh: Fresh) -> None:
    async with fresh() as store:
        others = replace(ENTRY, id="another")
        for entry in (ENTRY, others):
            await store.append_audit(entry)
        nameless = replace(ENTRY, before=None, after={"name": "***"})
        await store.rewrite_audit(nameless)
        assert {entry.id: entry for entry in await store.audits(None, 5)} == {ENTRY.id: nameless, "another": others}


@pytest.mark.gen_test
async def test_an_entry_is_never_changed(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.append_audit(ENTRY)
        await store.append_audit(replace(ENTRY, action="limit.remove", before={"amount": 5}, after=None))
        assert await store.audits(None, 9) == [ENTRY]


@pytest.mark.gen_test
async def test_contents_are_listed_of_one_person_and_the_oldest_is_first(fresh: Fresh) -> None:
    older, others = replace(CONTENT, request_id="r0", at=500), replace(CONTENT, request_id="r2", person_id=BOB.id)
    async with fresh() as store:
        for content in (CONTENT, older, others):
            await store.keep_content(content)
        assert await store.contents(ADA.id) == [older, CONTENT]
        assert await store.forget_contents(ADA.id) == 2
        assert await store.forget_contents(ADA.id) == 0
        assert await store.contents(ADA.id) == []
        assert await store.contents(BOB.id) == [others]


@pytest.mark.gen_test
async def test_a_content_is_forgotten_when_it_has_expired(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.keep_content(CONTENT)
        assert await store.forget_expired(CONTENT.expires_at) == 0
        assert await store.forget_expired(CONTENT.expires_at + 1) == 1
        assert await store.contents(ADA.id) == []


def test_a_content_does_not_show_itself() -> None:
    assert "asked" not in repr(CONTENT)
    assert "answered" not in repr(CONTENT)
