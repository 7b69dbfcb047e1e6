"""Responses in the background, and what is kept: for their makers, with the key that made them, and never for free."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import openai
import pytest

from server.ledger.limits import parse_limits
from server.ledger.usage import Outcome, UsageRow
from tests.fakes.fates import held, ok
from tests.fakes.upstream import FakeUpstream
from tests.faults.stage import Stage, until
from tests.gateways import gateway, spec
from tests.waiting.conftest import Opener

ASKED: dict[str, Any] = {"model": "gpt-5", "input": "why are roads long", "background": True}
RESPONSES = "/v1/responses"

pytestmark = pytest.mark.slow  # a response is asked for again after half a second


@pytest.fixture(scope="module")
def keeping(open_stage: Opener) -> Stage:
    return open_stage(lambda fake: (spec(fake),), stateful=True)


@pytest.fixture(scope="module")
def brief(open_stage: Opener) -> Stage:
    """Nothing in the background may take longer than a moment."""
    return open_stage(lambda fake: (spec(fake),), stateful=True, background_seconds=0.1)


@pytest.fixture(scope="module")
def forgetful(open_stage: Opener) -> Stage:
    return open_stage(lambda fake: (spec(fake),))


async def send(stage: Stage, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token or stage.running.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, stage.running.url + path, json=body) as answer,
    ):
        return answer.status, await answer.json()


async def begun(stage: Stage, **more: Any) -> str:
    """The id of a response that has begun in the background."""
    status, response = await send(stage, "POST", RESPONSES, ASKED | more)
    assert (status, response["status"], response["usage"]) == (200, "queued", None)
    return str(response["id"])


async def row_of(stage: Stage) -> UsageRow:
    await stage.quiet()
    (row,) = await stage.rows()
    return row


@pytest.mark.gen_test
async def test_it_is_billed_when_it_has_ended_and_takes_no_slot_until_then(keeping: Stage) -> None:
    await keeping.set()
    keeping.fake.script(None, ok("because they lead on", reasoning=400))
    response_id = await begun(keeping)
    await until(lambda: not any(key.running for key in keeping.pool.keys.values()))
    assert keeping.running.services.pipeline.running == 1
    keeping.fake.kept.end(response_id)
    row = await row_of(keeping)
    assert (row.status, row.usage.input, row.usage.output) == (Outcome.COMPLETED, 4, 404)
    assert (row.usage.reasoning, row.usage.estimated) == (400, False)


@pytest.mark.gen_test
async def test_its_maker_sees_it_at_once_and_others_never(keeping: Stage) -> None:
    await keeping.set()
    response_id = await begun(keeping)
    path = f"{RESPONSES}/{response_id}"
    assert (await send(keeping, "GET", path))[1]["status"] == "queued"
    stranger = await keeping.running.token_of("the-curious-one")
    for method, there in (("GET", path), ("GET", f"{path}/input_items"), ("POST", f"{path}/cancel"), ("DELETE", path)):
        before = len(keeping.fake.kept.asked)
        status, refused = await send(keeping, method, there, token=stranger)
        assert (status, refused["error"]["code"]) == (404, "unknown_id")
        assert refused == (await send(keeping, method, there.replace(response_id, "resp_never")))[1]
        assert len(keeping.fake.kept.asked) == before, "the provider hears nothing of it"
    status, refused = await send(keeping, "DELETE", path)
    assert (status, refused["error"]["code"]) == (409, "still_running"), "else its cost would never be known"
    keeping.fake.kept.end(response_id)
    assert (await send(keeping, "GET", path))[1]["output"][0]["content"][0]["text"].startswith("You said")
    await keeping.quiet()
    assert (await send(keeping, "GET", f"{path}/input_items"))[1]["object"] == "list"
    assert (await send(keeping, "DELETE", path))[1]["deleted"] is True
    assert (await send(keeping, "GET", path))[0] == 404
    assert keeping.fake.kept.missed == 1, "the last one only: all others went to the key that made it"


@pytest.mark.gen_test
async def test_its_events_come_as_the_provider_sends_them(keeping: Stage) -> None:
    await keeping.set()
    response_id = await begun(keeping)
    keeping.fake.kept.end(response_id)
    query = "stream=true&starting_after=7&api_key=sk-mine"
    headers = {"Authorization": f"Bearer {keeping.running.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{keeping.running.url}{RESPONSES}/{response_id}?{query}") as answer,
    ):
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
        assert await answer.read() == b"".join(each.data for each in keeping.fake.kept.answers[response_id].events)
    assert "stream=true&starting_after=7" in keeping.fake.kept.queries
    await keeping.quiet()


@pytest.mark.gen_test
async def test_one_that_is_cancelled_is_billed_by_its_time_and_not_for_nothing(keeping: Stage) -> None:
    await keeping.set()
    response_id = await begun(keeping)
    status, cancelled = await send(keeping, "POST", f"{RESPONSES}/{response_id}/cancel")
    assert (status, cancelled["status"]) == (200, "cancelled")
    row = await row_of(keeping)
    assert (row.status, row.usage.estimated, row.client_aborted) == (Outcome.CANCELLED, True, False)
    assert row.usage.input > 0


@pytest.mark.gen_test
async def test_one_that_failed_without_a_word_costs_nothing(keeping: Stage) -> None:
    await keeping.set()
    response_id = await begun(keeping)
    error = {"code": "server_error", "message": "The server had an error."}
    keeping.fake.kept.end(response_id, "failed", usage=None, output=[], error=error)
    row = await row_of(keeping)
    assert (row.status, row.usage.input, row.usage.output) == (Outcome.FAILED, 0, 0)


@pytest.mark.gen_test
async def test_one_that_takes_too_long_is_cancelled_and_billed(brief: Stage) -> None:
    await brief.set()
    response_id = await begun(brief)
    row = await row_of(brief)
    assert ("POST", f"{RESPONSES}/{response_id}/cancel") in brief.fake.kept.asked
    assert row.usage.estimated
    assert row.usage.output > 0, "the model may have been at work all the time"


@pytest.mark.gen_test
async def test_one_that_its_provider_has_forgotten_is_billed_too(keeping: Stage) -> None:
    await keeping.set()
    response_id = await begun(keeping)
    del keeping.fake.kept.answers[response_id]
    row = await row_of(keeping)
    assert (row.status, row.usage.estimated) == (Outcome.CUT, True)
    assert row.usage.output > 0


@pytest.mark.gen_test
async def test_a_stream_whose_client_leaves_goes_on_and_is_billed_by_its_own_figures(keeping: Stage) -> None:
    await keeping.set()
    gate = asyncio.Event()
    keeping.fake.script(None, held(gate, after=2))
    headers = {"Authorization": f"Bearer {keeping.running.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        answer = await session.post(keeping.running.url + RESPONSES, json=ASKED | {"stream": True})
        first = await answer.content.readuntil(b"\n\n")
        answer.close()
    response_id = json.loads(first.partition(b"data: ")[2])["response"]["id"]
    await until(lambda: not any(key.running for key in keeping.pool.keys.values()))
    gate.set()
    keeping.fake.kept.end(response_id)
    row = await row_of(keeping)
    assert (row.usage.input, row.usage.output, row.usage.estimated) == (4, 6, False)


@pytest.mark.gen_test
async def test_a_person_has_a_few_of_them_at_a_time(keeping: Stage) -> None:
    await keeping.set()
    ids = [await begun(keeping) for _ in range(16)]
    status, refused = await send(keeping, "POST", RESPONSES, ASKED)
    assert (status, refused["error"]["code"]) == (429, "rate_limit_exceeded")
    other = await keeping.running.token_of("another-one")
    assert (await send(keeping, "POST", RESPONSES, ASKED, other))[0] == 200
    for each in [*ids, *keeping.fake.kept.answers]:
        keeping.fake.kept.end(each)
    await keeping.quiet()
    assert len(await keeping.rows()) == 17


@pytest.mark.gen_test
async def test_the_official_sdk_begins_follows_continues_and_deletes_it(keeping: Stage) -> None:
    await keeping.set()
    async with openai.AsyncOpenAI(api_key=keeping.running.token, base_url=f"{keeping.running.url}/v1") as client:
        made = await client.responses.create(model="gpt-5", input="why", background=True)
        assert (await client.responses.retrieve(made.id)).status == "queued"
        keeping.fake.kept.end(made.id)
        seen = await client.responses.retrieve(made.id)
        assert (seen.status, seen.output_text) == ("completed", "You said: why")
        await client.responses.create(model="gpt-5", input="and?", previous_response_id=made.id)
        await keeping.quiet()
        await client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)
        chat = await client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "why"}], store=True
        )
        await keeping.quiet()
        assert (await client.chat.completions.retrieve(chat.id)).id == chat.id
        assert [page async for page in client.chat.completions.messages.list(chat.id)] == []
        await client.chat.completions.delete(chat.id)


@pytest.mark.gen_test
async def test_a_gateway_that_stops_bills_what_it_has_waited_for_and_gives_the_holds_back() -> None:
    async with (
        FakeUpstream() as fake,
        gateway(fake, stateful=True, limits=parse_limits("1000000 tokens/day")) as running,
    ):
        stage = Stage(running)
        await begun(stage)
        services = running.services
        assert services.reservations.holding == 1, "as long as its cost is not known"
        await services.pipeline.close()
        row = await row_of(stage)
        assert (row.status, row.usage.estimated, row.usage.output > 0) == (Outcome.CUT, True, True)
        assert services.reservations.holding == 0


@pytest.mark.gen_test
async def test_a_gateway_that_stops_asks_once_more_so_that_what_has_ended_is_billed_by_its_figures() -> None:
    async with FakeUpstream() as fake, gateway(fake, stateful=True) as running:
        stage = Stage(running)
        fake.kept.end(await begun(stage))
        await running.services.pipeline.close()
        row = await row_of(stage)
        assert (row.status, row.usage.estimated) == (Outcome.COMPLETED, False)


@pytest.mark.gen_test
async def test_what_is_answered_later_to_any_holder_of_the_key_is_never_begun(keeping: Stage) -> None:
    await keeping.set()
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "x"}], "deferred": True, "store": True}
    status, refused = await send(keeping, "POST", "/v1/chat/completions", body)
    assert (status, refused["error"]["param"]) == (400, "deferred")
    assert not keeping.records


@pytest.mark.gen_test
async def test_where_nothing_is_kept_the_routes_say_so(forgetful: Stage) -> None:
    await forgetful.set()
    for method, path in (("GET", "resp_1"), ("DELETE", "resp_1"), ("POST", "resp_1/cancel"), ("GET", "r/input_items")):
        status, refused = await send(forgetful, method, f"{RESPONSES}/{path}")
        assert (status, refused["error"]["code"]) == (404, "stateful_disabled")
    assert (await send(forgetful, "GET", f"{RESPONSES}/resp_1", token="wrong"))[0] == 401
    assert (await send(forgetful, "PUT", f"{RESPONSES}/resp_1"))[0] == 405
    assert not forgetful.fake.kept.asked
