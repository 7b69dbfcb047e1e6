"""The operator's verbs on the command line: limits, prices, groups, notices, the audit log, and long work."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from server.accounting.journal import Journal
from server.admin.changes import Changes
from server.cli.main import main
from server.config.settings import SETTINGS
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.quota import Settlement
from server.policy.groups import group_of
from server.store import store_for
from server.store.base import Person, Record, Store
from tests.ledger.test_provider_report import OPENAI_USAGE
from tests.store.samples import settlement
from tests.usage.rows import BERLIN, row

T = TypeVar("T")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in Berlin with one upstream, and an environment without settings."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("fairgate.db").touch()  # a store that is there, and empty
    (tmp_path / ".env").write_text("OPENAI_KEY=sk-do-not-show-0123456789\nTIMEZONE=Europe/Berlin\n")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 1
    return capsys.readouterr().err


def in_store(work: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        async with store_for("sqlite:///fairgate.db") as store:
            return await work(store)

    # A loop of its own: `asyncio.run` would put away the one that other tests have left.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(run())


def limits() -> list[Limit]:
    return in_store(lambda store: Changes(store, lambda: 0, str).limits())


def with_usage(*ids: str) -> None:
    """Requests of Ada's on 3 and 4 November."""

    async def write(store: Store) -> None:
        await store.create_person(Person("usr_ada", "ada", False, 0))
        for number, name in enumerate(ids):
            await store.settle(Settlement(row(f"2026-11-{3 + number % 2:02}T10:00:00Z", request_id=name)))

    in_store(write)


def test_a_limit_is_set_for_a_person_raised_for_a_while_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "ada")
    limit_id = said(capsys, "limit", "set", "--person", "ada", "5 usd/day").split()[0]
    said(capsys, "limit", "raise", limit_id, "2.50 USD", "--until", "2098-12-31")
    (limit,) = limits()
    assert (limit.scope, limit.unit, limit.window, limit.amount) == (Scope.PERSON, Unit.USD, LimitWindow.DAY, 5_000_000)
    assert (limit.extra, limit.extra_until) == (2_500_000, BERLIN.ends("2098-12-31"))
    listed = said(capsys, "limit", "list").splitlines()
    assert listed[0].split() == ["id", "for", "limit", "since", "until"]
    assert re.search(r"person ada +5\.00 USD a day, and 2\.50 USD more until 2098-12-31T23:00:00Z", listed[1])
    said(capsys, "limit", "remove", "--yes", limit_id)
    assert said(capsys, "limit", "list") == ""


def test_a_limit_that_is_set_again_replaces_the_one_before_and_keeps_its_increase(
    capsys: pytest.CaptureFixture[str],
) -> None:
    limit_id = said(capsys, "limit", "set", "--everyone", "100 requests/day gpt-5*").split()[0]
    said(capsys, "limit", "raise", limit_id, "10", "--until", "2098-12-31")
    assert said(capsys, "limit", "set", "--everyone", "200 requests/day gpt-5*").split()[0] == limit_id
    assert [(limit.amount, limit.extra) for limit in limits()] == [(200, 10)]


def test_a_limit_of_the_same_purpose_is_found_whatever_its_id_is(capsys: pytest.CaptureFixture[str]) -> None:
    body = {"scope": "everyone", "unit": "usd", "window": "day", "amount": 1}
    in_store(lambda store: store.put_record(Record("limit", "by-hand", body)))
    said(capsys, "limit", "set", "--everyone", "5 usd/day")
    assert [(limit.id, limit.amount) for limit in limits()] == [("by-hand", 5_000_000)]


def test_terms_have_their_days_and_follow_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "group", "create", "course")
    for since, until in (("2026-10-01", "2027-03-31"), ("2027-04-01", "2027-09-30")):
        said(capsys, "limit", "set", "--group", "course", "200 usd/term", "--since", since, "--until", until)
    winter, summer = sorted(limits(), key=lambda limit: limit.since or 0)
    assert winter.window is summer.window is LimitWindow.TERM
    assert (winter.since, winter.until) == (BERLIN.starts("2026-10-01"), BERLIN.starts("2027-04-01"))
    assert summer.since == winter.until


def test_every_scope_can_be_limited(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "ada")
    said(capsys, "token", "create", "ada")
    (token,) = in_store(lambda store: store.tokens())
    said(capsys, "group", "create", "course")
    whom = (
        ["--everyone"],
        ["--person", "ada"],
        ["--token", token.id],
        ["--group", "course"],
        ["--member", "course"],
        ["--upstream", "openai"],
    )
    for each in whom:
        said(capsys, "limit", "set", *each, "5 usd/month")
    assert {limit.scope for limit in limits()} == set(Scope)


def test_a_group_has_prices_of_its_own_for_hosted_tools_until_it_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "group", "create", "lab", "--tool-prices", "web_search=0.005, mcp=0")
    assert "tool_prices web_search=0.005, mcp=0.00" in said(capsys, "group", "list")
    said(capsys, "group", "change", "lab", "--weight", "2")
    (record,) = in_store(lambda store: store.records("group"))
    assert group_of("lab", record.body).tool_prices == (("web_search", 5_000), ("mcp", 0))
    said(capsys, "group", "change", "lab", "--tool-prices", "")
    assert "tool_prices" not in said(capsys, "group", "list")


@pytest.mark.parametrize(
    "argv",
    [
        ("limit", "set", "--person", "xyzzy", "5 usd/day"),
        ("limit", "set", "--token", "xyzzy", "5 usd/day"),
        ("limit", "set", "--group", "xyzzy", "5 usd/day"),
        ("limit", "set", "--upstream", "xyzzy", "5 usd/day"),
        ("limit", "set", "--everyone", "5 xyzzy/day"),
        ("limit", "set", "--everyone", "5 usd/minute"),
        ("limit", "set", "--everyone", "5 usd/term"),
        ("limit", "set", "--everyone", ""),
        ("limit", "set", "--everyone", "5 usd/day", "--since", "xyzzy"),
        ("limit", "raise", "xyzzy", "5", "--until", "2098-12-31"),
        ("limit", "remove", "xyzzy"),
        ("price", "set", "gpt-5"),
        ("price", "set", "gpt-5", "--input", "1"),
        ("price", "remove", "xyzzy"),
        ("price", "show", "xyzzy"),
        ("group", "create", "\n"),
        ("group", "create", "xyzzy", "--weight", "0"),
        ("group", "create", "course", "--teachers", "xyzzy"),
        ("group", "change", "xyzzy"),
        ("group", "remove", "xyzzy"),
        ("group", "add", "xyzzy", "ada"),
        ("notice", "set", "two\nlines"),
        ("notice", "remove", "xyzzy"),
        ("usage", "sums", "--month", "xyzzy"),
        ("usage", "purge", "--yes", "--before", "2098-01-01"),
        ("usage", "reprice", "--from", "2026-11-02", "--to", "2026-11-01"),
        ("usage", "resum", "--from", "xyzzy", "--to", "2026-11-01"),
        ("usage", "export", "-", "--resume"),
    ],
)
def test_what_cannot_be_done_is_told_in_words_that_repeat_nothing_and_noted_nowhere(
    capsys: pytest.CaptureFixture[str], argv: Sequence[str]
) -> None:
    said(capsys, "user", "create", "ada")
    before = in_store(lambda store: store.audits(None, 10))
    text = refused(capsys, *argv)
    assert text.strip()
    assert "xyzzy" not in text
    assert in_store(lambda store: store.audits(None, 10)) == before


@pytest.mark.parametrize(
    "argv", [("usage", "import", "xyzzy"), ("usage", "export", "xyzzy/a.csv"), ("journal", "replay", "xyzzy")]
)
def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], argv: Sequence[str]) -> None:
    assert "xyzzy" in refused(capsys, *argv)


def test_an_increase_is_in_the_unit_of_its_limit(capsys: pytest.CaptureFixture[str]) -> None:
    limit_id = said(capsys, "limit", "set", "--everyone", "100 requests/day").split()[0]
    assert "requests" in refused(capsys, "limit", "raise", limit_id, "5 usd", "--until", "2098-12-31")
    said(capsys, "limit", "raise", limit_id, "1 request", "--until", "2098-12-31")
    assert [limit.extra for limit in limits()] == [1]


def test_a_price_holds_from_its_day_and_is_shown_for_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    rates = "--input", "1.25", "--output", "10", "--cached", "0.125"
    price_id = said(capsys, "price", "set", "gpt-5*", *rates, "--since", "2026-01-01").split()[0]
    assert price_id == "desk:gpt-5*@2025-12-31T23:00:00Z"
    line = f"{price_id}  input 1.25, output 10.00, cached 0.125\n"
    assert said(capsys, "price", "show", "gpt-5-mini", "--at", "2026-01-01") == line
    assert said(capsys, "price", "show", "gpt-5", "--at", "2025-12-31").startswith("genai:openai/gpt-5 ")
    _, listed = said(capsys, "price", "list").splitlines()
    assert f"{listed}\n" == line.replace("  ", "  2025-12-31T23:00:00Z  ", 1)
    said(capsys, "price", "set", "whisper-1", "--audio-minute", "0.006")
    assert "sound 0.36 an hour" in said(capsys, "price", "show", "whisper-1")
    said(capsys, "price", "remove", "--yes", price_id)
    assert price_id not in said(capsys, "price", "list")


def test_a_group_is_made_changed_joined_left_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "ada")
    terms = "--models", "gpt-5*,o4-mini", "--until", "2027-03-31", "--teachers", "ada"
    said(capsys, "group", "create", "course", *terms)
    assert "already" in refused(capsys, "group", "create", "course")
    said(capsys, "group", "change", "course", "--weight", "2", "--batch")
    (group,) = in_store(lambda store: Changes(store, lambda: 0, str).groups())
    assert (group.models, group.weight, group.batch) == (("gpt-5*", "o4-mini"), 2.0, True)
    listed = said(capsys, "group", "list")
    assert "weight 2.0, models gpt-5* o4-mini, batch True, until 2027-03-31T22:00:00Z, teachers usr_" in listed
    said(capsys, "group", "add", "course", "ada")
    assert [person.groups for person in in_store(lambda store: store.people())] == [("course",)]
    said(capsys, "group", "drop", "course", "ada")
    assert "no membership" in refused(capsys, "group", "drop", "course", "ada")
    said(capsys, "group", "add", "course", "ada")
    assert "--yes" in refused(capsys, "group", "remove", "course")
    assert "guest passes): 1." in said(capsys, "group", "remove", "course", "--yes")
    assert said(capsys, "group", "list") == ""


def test_closing_asks_and_scheduling_lies_ahead(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--yes" in refused(capsys, "maintenance", "close", "Back at noon")
    assert said(capsys, "notice", "list") == ""
    assert "have used the gateway today: 0" in said(capsys, "maintenance", "close", "Back at noon", "--yes")
    ahead = ("--since", "2098-11-29T06:00:00Z", "--until", "2098-11-29T10:00:00Z")
    planned = said(capsys, "maintenance", "schedule", "Away on Saturday", *ahead).strip()
    assert "later than now" in refused(
        capsys, "maintenance", "schedule", "Away", "--since", "2020-01-01", "--until", "2098-01-01"
    )
    assert said(capsys, "maintenance", "open") == "open again\n"
    (line,) = said(capsys, "notice", "list").splitlines()[1:]
    assert line.split()[:2] == [planned, "maintenance"]
    assert said(capsys, "maintenance", "open") == "it was open\n"


def test_a_notice_is_set_listed_replaced_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    notice_id = said(capsys, "notice", "set", "Slow today", "--kind", "incident", "--since", "2026-11-21").strip()
    said(capsys, "notice", "set", "Well again", "--id", notice_id, "--since", "2026-11-21T10:00:00Z")
    (_, line) = said(capsys, "notice", "list").splitlines()
    assert re.split(r" {2,}", line) == [notice_id, "announcement", "2026-11-21T10:00:00Z", "-", "Well again"]
    said(capsys, "notice", "remove", notice_id)
    assert said(capsys, "notice", "list") == ""


def test_the_audit_log_tells_who_changed_what_the_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "notice", "set", "One", "--id", "n", "--since", "2026-11-21")
    said(capsys, "notice", "set", "Two é", "--id", "n", "--since", "2026-11-21")
    newest, before, after = said(capsys, "audit", "--limit", "1").splitlines()
    assert re.fullmatch(r"\d{4}-\S+Z  operator  notice\.set  n", newest)
    assert before.startswith('    - {"kind": "announcement"')
    assert '"text": "One"' in before
    assert '"text": "Two \\u00e9"' in after
    assert len(said(capsys, "audit").splitlines()) == 5


def test_a_record_that_cannot_be_read_is_named_beside_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    in_store(lambda store: store.put_record(Record("limit", "lim_\x1b[2J", {})))
    assert main(["limit", "list"]) == 0
    assert capsys.readouterr().err == "the limit lim_?[2J cannot be read, and counts for nothing\n"


def test_sums_of_a_month_stand_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    with_usage("req_1", "req_2", "req_3")
    lines = said(capsys, "usage", "sums", "--by", "day,user", "--month", "2026-11").splitlines()
    assert [line.split() for line in lines] == [
        ["day", "user", "requests", "input", "cached", "output", "USD"],
        ["2026-11-03", "ada", "2", "200", "80", "40", "2.50015"],
        ["2026-11-04", "ada", "1", "100", "40", "20", "1.250075"],
        ["total", "3", "300", "120", "60", "3.750225"],
    ]
    assert said(capsys, "usage", "sums", "--month", "2026-10").splitlines()[-1].split()[:2] == ["total", "0"]


def test_a_month_is_repriced_after_a_look_at_what_would_change(capsys: pytest.CaptureFixture[str]) -> None:
    with_usage("req_1", "req_2", "req_3")
    said(capsys, "price", "set", "gpt-5", "--input", "2", "--output", "20", "--since", "2026-11-04")
    days = "--from", "2026-11-01", "--to", "2026-11-30"
    look = said(capsys, "usage", "reprice", *days, "--dry-run").splitlines()
    done = said(capsys, "usage", "reprice", *days).splitlines()
    # Two by the list (1.25 for a million of input, 0.125 of cached, 10 of output), one by the new price.
    assert look[1] == done[1] == "Together 3.750225 USD before, 0.001162 USD now: -3.749063 USD."
    assert look[0] == "3 requests; 3 would cost something else or by another price."
    assert done[0] == "3 requests; 3 cost something else or by another price."
    assert done[2] == "Budgets of the past stay as they are."
    again = said(capsys, "usage", "reprice", *days).splitlines()
    assert again[0] == "3 requests; 0 cost something else or by another price."
    assert said(capsys, "usage", "sums", "--month", "2026-11").splitlines()[-1].split()[-1] == "0.001162"


def test_an_export_is_completed_never_written_over_and_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    with_usage("req_1", "req_2", "req_3")
    out = said(capsys, "usage", "export", "--format", "jsonl", "-", "--from", "2026-11-03", "--to", "2026-11-03")
    assert out.count("\n") == 2
    file = Path("all.jsonl")
    said(capsys, "usage", "export", "--format", "jsonl", "all.jsonl")
    whole = file.read_bytes()
    assert "--resume" in refused(capsys, "usage", "export", "all.jsonl")
    file.write_bytes(whole[:-40])
    said(capsys, "usage", "export", "--format", "jsonl", "--resume", "all.jsonl")
    assert file.read_bytes() == whole
    assert "no export" in refused(capsys, "usage", "export", "--format", "csv", "--resume", "all.jsonl")
    in_store(lambda store: store.purge_usage(BERLIN.starts("2026-11-04"), 10))
    told = said(capsys, "usage", "import", "all.jsonl")
    assert told.startswith("2 requests are new on the ledger; 1 were there.")


def test_rows_are_purged_and_sums_computed_anew(capsys: pytest.CaptureFixture[str]) -> None:
    with_usage("req_1", "req_2", "req_3")
    said(capsys, "usage", "resum", "--from", "2026-11-03", "--to", "2026-11-04")
    told = said(capsys, "usage", "purge", "--yes", "--before", "2026-11-04")
    assert told.splitlines() == [
        "Rows of single requests that are deleted for good: 2. The sums of their days stay.",
        "2 rows are deleted; the sums of their days stay.",
    ]
    assert "--yes" in refused(capsys, "usage", "purge", "--before", "2026-11-05")
    assert "purged" in refused(capsys, "usage", "resum", "--from", "2026-11-03", "--to", "2026-11-04")
    told = said(capsys, "usage", "resum", "--from", "2026-11-04", "--to", "2026-11-04")
    assert told == "The sums of 2026-11-04..2026-11-04 are those of 1 rows.\n"


def test_the_journal_of_a_dead_gateway_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(Path("journal"), "dead")
    journal.open()
    journal.settled(settlement("req_1"))
    journal.close()
    told = said(capsys, "journal", "replay", "journal")
    assert told == "1 settlements of the dead; 1 were not on the ledger yet.\n"
    assert in_store(lambda store: store.usage("req_1")) is not None
    assert list(Path("journal").iterdir()) == []


@pytest.mark.slow
def test_the_examples_of_the_document_work_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    Path("fairgate.db.journal").mkdir()
    text = (ROOT / "docs/operating.md").read_text()
    examples = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert len(examples) > 25
    for example in examples:
        command = shlex.split(example)
        if command[0] in ("kill", "eval"):  # what is said to a running gateway, and to a shell
            continue
        assert command[:3] == ["python", "-m", "server"]
        if command[3:5] == ["limit", "raise"]:  # the id of an example
            command[5] = limits()[0].id
        said(capsys, *command[3:])


def test_the_bill_is_compared_with_the_ledger_file_by_file(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    (place / "usage.tsv").write_text(OPENAI_USAGE)
    served = {"upstream": "openai", "key": "1a2b3c4d", "model_served": "gpt-4o", "started_at": 1_759_650_000_000}
    in_store(lambda store: store.settle(settlement("one", **served)))
    found = said(capsys, "usage", "reconcile", "usage.tsv")
    assert re.search(r"2025-10-05 +openai +gpt-4o +all +[\d,]+ / 59,200 +[\d,]+ / 10,646 +- +drifts", found), found
    (line,) = json.loads(said(capsys, "usage", "reconcile", "--json", "--tolerance", "1", "usage.tsv"))
    assert (line["theirs"]["input"], line["within_tolerance"]) == (59_200, False)
    assert "nowhere.csv cannot be read" in refused(capsys, "usage", "reconcile", "nowhere.csv")
    (place / "broken.csv").write_text("day,usd\n1,2\n")
    assert "broken.csv, line 1: no column tells" in refused(capsys, "usage", "reconcile", "broken.csv")
