"""The pages about people: more for one of them, lists that are sorted, and what invitations do."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from zoneinfo import ZoneInfo

import pytest

from server.http.pages.admin_people import within
from server.ledger.calendar import Calendar
from server.ledger.limits import parse_limits
from tests.pages.visitors import ask, is_question, operator_at, secret_on, services, visitor, xsrf


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
        await boss.send(base, f"{base}/passes", name="a guest", until=today, usd="2")
        tokens = (await boss.get("/admin/tokens")).text
        revoke = re.search(r'action="(/admin/passes/[^"]+/revoke)"', tokens)
        assert revoke
        assert "By <bdi>ada</bdi>" in tokens
        assert "The pass is revoked." in (await boss.send_and_follow("/admin/tokens", revoke[1])).text
        await boss.send_and_follow("/admin/groups", "/admin/groups", name="lab")
        await running.services.store.update_person(person.id, {"groups": ("lab",)})
        head = {"scope": "member", "subject": "lab", "unit": "usd", "window": "day", "amount": "5", "models": ""}
        await boss.send_and_follow("/admin/limits", "/admin/limits", **head, since="", until="")
        assert 'name="group" value="lab"' in (await boss.get(base)).text
        of_lab = {**said, "window": "day", "group": "lab"}
        assert "of $15" in (await boss.send_and_follow(base, f"{base}/raise", **of_lab)).text
        assert "more for <bdi>ada</bdi> alone" in (await boss.get("/admin/limits")).text
        wrong = await boss.send(base, f"{base}/raise", **{**said, "window": "planet"})
        assert (wrong.status, "choose one of the limits" in wrong.text) == (400, True)
        async with visitor(running, running.token) as ada:
            assert (await ada.get(base)).status == 403


LIST = "E-Mail;Name;groups\n" + "".join(f"p{n}@example.org;Person {n};\n" for n in range(30))


@pytest.mark.gen_test
async def test_thirty_people_come_in_by_one_form_one_yes_and_links_that_work_once() -> None:
    async with services() as running, operator_at(running) as boss:
        path = "/admin/people/import"
        asked = await boss.send_once(path, path, csv=LIST, invite="yes")
        assert is_question(asked)
        assert ("30 people are added." in asked.text, "Person 19 and 10 more." in asked.text) == (True, True)
        assert await running.services.store.person_by_name("Person 0") is None
        done = await boss.browser.post(path, xsrf=xsrf(asked), sure="yes", csv=LIST, invite="yes")
        links = [unescape(each) for each in re.findall(r"<code>([^<]+/invitation[?]code=[^<]+)</code>", done.text)]
        assert ("Added 30, changed 0." in done.text, len(set(links))) == (True, 30)
        async with visitor(running) as guest:
            link = links[0].removeprefix(running.url)
            shown = await guest.get(link)
            assert ("Welcome" in shown.text, (await guest.get(link)).status) == (True, 200)
            forged = await guest.browser.post("/invitation", code=link.partition("=")[2], xsrf="x" * 43)
            assert (forged.status, "fg_" in forged.text) == (403, False)
            entered = await guest.browser.post("/invitation", code=link.partition("=")[2], xsrf=xsrf(shown))
            assert (await ask(running, secret_on(entered))).status == 200
            assert (await guest.get("/me")).status == 200
            assert (await guest.get(link)).status == 400
        person = await running.services.store.person_by_name("Person 1")
        assert person is not None
        base = f"/admin/people/{person.id}"
        assert "not used yet" in (await boss.get(base)).text
        again = secret_on(await boss.send(base, f"{base}/invitation")).partition("=")[2]
        gone = await boss.send_and_follow(base, f"{base}/invitation/withdraw")
        assert "The invitation link works no more." in gone.text
        assert (await boss.get(f"/invitation?code={again}")).status == 400
        twice = await boss.browser.post(path, xsrf=xsrf(asked), sure="yes", csv=LIST, invite="yes")
        fresh = [unescape(each) for each in re.findall(r"<code>([^<]+/invitation[?]code=[^<]+)</code>", twice.text)]
        assert (len(set(fresh)), set(fresh) & set(links)) == (28, set()), "who has come in is not invited again"


@pytest.mark.gen_test
async def test_lists_are_sorted_filtered_and_turned_by_what_stands_in_the_address() -> None:
    async with services() as running, operator_at(running) as boss:
        for number in range(52):
            await running.services.accounts.create_person(f"person {number:02}")
        assert (await ask(running, running.token)).status == 200
        first = await boss.get("/admin/people?sort=-spent")
        assert _names(first.text)[0] == "ada"
        assert len(_names(first.text)) == 50
        turned = re.search(r'href="(/admin/people[?]sort=-spent&amp;after=50)" rel="next"', first.text)
        assert turned
        assert len(_names((await boss.get(unescape(turned[1]))).text)) == 4
        assert _names((await boss.get("/admin/people?q=person&sort=-name")).text)[0] == "person 51"
        assert _names((await boss.get("/admin/people?state=closed")).text) == []
        for wrong in ("/admin/people?state=x", "/admin/people?sort=x", "/admin/people?after=x", "/admin/audit?first=x"):
            assert (await boss.get(wrong)).status == 400, wrong

        usage = await boss.get("/admin/usage?of=user&user=ada")
        assert re.search(r"<bdi>ada</bdi>.*100.?%", usage.text)
        assert "of=user" in usage.text
        assert "Nothing in these days." in (await boss.get("/admin/usage?of=user&user=person+01")).text
        rows = (await boss.get("/admin/usage.csv?of=user&user=ada")).text.splitlines()
        assert (len(rows), rows[1].startswith("ada,")) == (2, True)

        made = await boss.get("/admin/audit?kind=token&what=ada&who=gateway")
        assert "<bdi" in made.text
        assert "ada: test" in made.text
        assert "No change matches that." in (await boss.get("/admin/audit?kind=token&who=person")).text
        assert "No change matches that." in (await boss.get("/admin/audit?last=2020-01-01")).text


def _names(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/admin/people/[^"]+"><bdi>([^<]+)</bdi></a>', page)


def test_a_day_stands_for_the_same_date_in_the_west_and_never_for_the_future() -> None:
    berlin, noon = Calendar(ZoneInfo("Europe/Berlin")), 1_796_122_800_000
    assert within("2026-12-01", berlin, noon + 86_400_000) == noon
    assert within("2026-12-01", berlin, noon - 1) == noon - 1
