"""Reconciling by page, JSON API and command line: the same comparison, and nothing is changed by it."""

from __future__ import annotations

import threading
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from server.admin.commands.bill import key_pairs, reconcile, tolerated
from server.config.specs import Secret
from server.policy.commands import CommandError
from server.store.sqlite.store import SqliteStore
from server.wire.usage import Usage
from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway, spec
from tests.ledger.test_provider_report import OPENAI_COSTS, OPENAI_USAGE
from tests.pages.visitors import ADMIN_KEY, MASTER, operator_at
from tests.store.samples import settlement

AT = 1_759_650_000_000  # 2025-10-05, in the middle of the day, UTC ms


@pytest.mark.gen_test
async def test_the_page_shows_what_drifts_and_the_api_says_the_same() -> None:
    values = {"admin_key": Secret(ADMIN_KEY), "master_keys": (MASTER,)}
    async with (
        FakeUpstream() as fake,
        gateway(fake, spec(fake, kind="openai", dialects=("openai",)), **values) as running,
        operator_at(running) as operator,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {ADMIN_KEY}"}) as program,
    ):
        (known, *_) = await running.services.keys.keys()
        row = {"upstream": known.spec.name, "key": known.id, "model_served": "gpt-4o", "started_at": AT}
        tokens = Usage(input=59_200, output=10_646)
        await running.services.store.settle(settlement("one", **row, usage=tokens, cost_micro_usd=500_000))
        sent = {"usage": OPENAI_USAGE, "costs": OPENAI_COSTS, "keys": f"key_1={known.id}"}
        page = await operator.send_once("/admin/bill", "/admin/bill", **sent, all="yes")
        assert (page.status, "1 of 3 lines drift" in page.text, known.id in page.text) == (200, True, True), page.text
        wrong = await operator.send_once("/admin/bill", "/admin/bill", usage="day\n1")
        assert (wrong.status, "The field usage, line 1" in wrong.text) == (400, True), wrong.text
        assert (await operator.send_once("/admin/bill", "/admin/bill")).status == 400
        bill = URL(f"{running.url}/api/admin/bill").with_query(keys=f"key_1={known.id}")
        async with program.post(bill, data=OPENAI_USAGE, headers={"Content-Type": "text/plain"}) as answer:
            (line,) = (await answer.json())["data"]
        assert line["ours"] == line["theirs"] == {"input": 59_200, "output": 10_646, "cost_micro_usd": None}
        assert (line["day"], line["key"], line["within_tolerance"]) == ("2025-10-05", known.id, True)
        assert [each for each in await running.services.changes.audits(None, 50) if "bill" in each.action] == []


def test_pairs_of_keys_and_the_tolerance_are_read_strictly() -> None:
    assert key_pairs(["my=key = 1a2b3c4d"]) == {"my=key": "1a2b3c4d"}
    assert str(tolerated(" 0.5 ")) == "0.5"
    for wrong in ("", "key", "=1a2b3c4d", "key="):
        with pytest.raises(CommandError):
            key_pairs([wrong])
    for wrong in ("", "x", "-1", "101", "NaN"):
        with pytest.raises(CommandError):
            tolerated(wrong)


class Noted(bytes):
    """A file that notes on which thread it is read."""

    thread: threading.Thread | None = None

    def decode(self, *_: object) -> str:
        self.thread = threading.current_thread()
        return super().decode("utf-8-sig")


@pytest.mark.gen_test
async def test_a_report_is_read_beside_the_event_loop_also_one_of_the_last_day_of_all(tmp_path: Path) -> None:
    """A report of 2 MB takes seconds, in which all others would wait."""
    file = Noted(b"usage_date_utc,cost_usd\n9999-12-31,1\n")
    async with SqliteStore(f"sqlite:///{tmp_path}/fairgate.db") as store:
        found = await reconcile(store, [], [("a report", file)], {}, tolerated("2"))
    assert [(each.day, each.theirs) for each in found.lines] == [("9999-12-31", {"cost_micro_usd": 1_000_000})]
    assert file.thread is not None and file.thread is not threading.main_thread()
