"""The pages about people: more for one of them, lists that are sorted, and what invitations do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.ledger.limits import parse_limits
from tests.pages.visitors import ask, operator_at, services, visitor


@pytest.mark.gen_test
async def test_ten_dollars_more_for_one_person_this_month_need_no_typing() -> None:
    async with services(limits=parse_limits("20 usd/month, 1 requests/day")) as running, operator_at(running) as boss:
        person = await running.services.store.person_by_name("ada")
        assert person is not None
        base = f"/admin/people/{person.id}"
        page = (await boss.get(base)).text
        assert 'name="extra" type="text" value="10"' in page
        today = datetime.now(UTC).date().isoformat()
        said = {"unit": "usd", "window": "month", "models": "*", "extra": "10", "until": today}
        raised = await boss.send_and_follow(base, f"{base}/raise", **said)
        assert ("The limit is raised." in raised.text, "of $30" in raised.text) == (True, True)
        assert [(await ask(running, running.token)).status for _ in range(2)] == [200, 429]
        of_requests = {**said, "unit": "requests", "window": "day", "extra": "1"}
        await boss.send_and_follow(base, f"{base}/raise", **of_requests)
        assert [(await ask(running, running.token)).status for _ in range(2)] == [200, 429]
        wrong = await boss.send(base, f"{base}/raise", **{**said, "window": "planet"})
        assert (wrong.status, "choose one of the limits" in wrong.text) == (400, True)
        async with visitor(running, running.token) as ada:
            assert (await ada.get(base)).status == 403
