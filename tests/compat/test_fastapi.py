"""fangwentong's openai-proxy: callers bring a provider's key of their own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import openai
import pytest

from server.ledger.usage import Outcome, UsageRow
from server.policy.groups import Group, group_body
from server.store.base import Record
from tests.compat.commands import ADMIN, Said, curl
from tests.compat.services import old_models, settings
from tests.fakes.fates import cut_stream, held, rate_limit
from tests.faults.conftest import Opener
from tests.faults.stage import Stage, until

OWN = "sk-my-very-own"
BODY = '{"model": "text-davinci-003", "prompt": "Once upon a time...", "max_tokens": 100, "temperature": 0}'
CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage(old_models, **settings(byo_keys=True))


@pytest.fixture(scope="module")
def old(open_stage: Opener) -> Stage:
    """As open as the old proxy was."""
    return open_stage(old_models, **settings(byo_keys=True, legacy_routes=True, gatekeeper="none"))


@pytest.fixture(scope="module")
def off(open_stage: Opener) -> Stage:
    return open_stage(old_models, **settings(legacy_routes=True, gatekeeper="none"))


async def row(stage: Stage) -> UsageRow:
    """The row of the only request of this test."""
    (found,) = await stage.rows()
    return found


async def send(stage: Stage, path: str, *, token: str | None = None, key: str | None = OWN, more: str = "") -> Said:
    headers = '-H "Content-Type: application/json"'
    if key is not None:
        headers += f' -H "Authorization: Bearer {key}"'
    if token is not None:
        headers += f' -H "X-Fairgate-Token: {token}"'
    return await curl(f"curl {stage.running.url}{path} {headers} {more}")


@pytest.mark.gen_test
async def test_the_readmes_request_goes_to_the_provider_with_its_own_key(old: Stage) -> None:
    await old.set()
    said = await curl(
        f'curl -X POST "{old.running.url}/v1/completions" -H "Content-Type: application/json" '
        f"-H \"Authorization: Bearer {OWN}\" -d '{BODY}'"
    )
    assert (said.status, said.json["object"]) == (200, "text_completion")
    (record,) = old.records
    assert (record.key, record.body) == (OWN, BODY.encode())
    found = await row(old)
    assert (found.key, found.upstream, found.model_asked) == ("own", "openai", "text-davinci-003")
    assert (found.usage.output, found.cost_micro_usd) == (said.json["usage"]["completion_tokens"], 0)


@pytest.mark.gen_test
async def test_a_stream_comes_as_it_is_and_its_usage_is_noted(stage: Stage) -> None:
    await stage.set()
    base = f"{stage.running.url}/byo/openai/v1"
    named = {"X-Fairgate-Token": stage.running.token}
    async with openai.AsyncOpenAI(api_key=OWN, base_url=base, default_headers=named) as client:
        options: Any = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = [chunk async for chunk in await client.chat.completions.create(**CHAT, **options)]
    assert chunks[-1].usage is not None
    found = await row(stage)
    assert found.streamed
    assert found.usage.output == chunks[-1].usage.completion_tokens
    assert found.status is Outcome.COMPLETED
    assert {record.key for record in stage.records} == {OWN}


@pytest.mark.gen_test
async def test_status_and_headers_are_the_providers(stage: Stage) -> None:
    await stage.set()
    stage.fake.script(OWN, rate_limit(retry_after=7))
    said = await send(
        stage, "/byo/openai/v1/chat/completions", token=stage.running.token, more=f"-d '{json.dumps(CHAT)}'"
    )
    assert (said.status, said.headers["retry-after"]) == (429, "7")
    found = await row(stage)
    assert (found.status, found.model_asked) == (Outcome.FAILED, "gpt-5")
    assert all(key.state.value != "cooling" for key in stage.running.services.dispatcher.snapshot().keys)


@pytest.mark.gen_test
async def test_any_method_and_path_below_the_address_passes(stage: Stage) -> None:
    await stage.set()
    said = await send(stage, "/byo/openai/v1/models?limit=2", token=stage.running.token)
    assert (said.status, said.json["object"]) == (200, "list")
    assert stage.fake.probes[-1].key == OWN
    assert (await row(stage)).endpoint == "other"


@pytest.mark.parametrize(
    "path",
    ["/byo/evil.example.com/v1/models", "/byo/openai/v1/%2e%2e/admin", "/byo/openai/", "/byo/", "/byo/openai"],
)
@pytest.mark.gen_test
async def test_nothing_goes_to_an_address_that_the_operator_did_not_name(stage: Stage, path: str) -> None:
    await stage.set()
    said = await send(stage, path, token=stage.running.token, more="--path-as-is")
    assert said.status == 404
    assert await stage.rows() == []


@pytest.mark.gen_test
async def test_who_is_not_known_passes_nothing(stage: Stage) -> None:
    await stage.set()
    assert (await send(stage, "/byo/openai/v1/models")).status == 401
    assert (await send(stage, "/byo/openai/v1/models", token="fg_wrong")).status == 401
    assert (await send(stage, "/byo/openai/v1/models", token=stage.running.token, key=None)).status == 401


@pytest.mark.gen_test
async def test_a_secret_of_this_house_never_goes_to_a_provider(stage: Stage) -> None:
    await stage.set()
    for ours in (stage.running.token, ADMIN):
        said = await send(stage, "/byo/openai/v1/models", token=stage.running.token, key=ours)
        assert said.status == 401
    seen = {record.key for record in [*stage.fake.records, *stage.fake.probes]}
    assert not seen & {stage.running.token, ADMIN}


@pytest.mark.gen_test
async def test_with_old_routes_a_token_of_ours_still_uses_the_pool(old: Stage) -> None:
    await old.set()
    said = await send(old, "/v1/chat/completions", key=old.running.token, more=f"-d '{json.dumps(CHAT)}'")
    assert said.status == 200
    assert old.records[0].key in {"sk-upstream-one", "sk-upstream-two"}


@pytest.mark.gen_test
async def test_an_institution_is_one_that_is_known(old: Stage) -> None:
    await old.set()
    services = old.running.services
    await services.store.put_record(Record("group", "physics", group_body(Group(name="physics"))))
    await services.book.sync()
    more = f"-d '{json.dumps(CHAT)}' -H 'X-Institution: "
    assert (await send(old, "/v1/chat/completions", more=more + "law'")).status == 400
    assert (await send(old, "/v1/chat/completions", more=more + "physics'")).status == 200
    assert (await row(old)).group == "physics"


@pytest.mark.gen_test
async def test_an_answer_that_breaks_off_is_told_and_noted(stage: Stage) -> None:
    await stage.set()
    stage.fake.script(OWN, cut_stream(2))
    body = json.dumps(CHAT | {"stream": True})
    said = await send(stage, "/byo/openai/v1/chat/completions", token=stage.running.token, more=f"-d '{body}'")
    assert "upstream_disconnected" in said.body
    await until(lambda: not stage.fake.running)
    assert (await row(stage)).status is Outcome.CUT


@pytest.mark.gen_test
async def test_a_client_that_leaves_takes_the_upstreams_request_along(stage: Stage) -> None:
    await stage.set()
    stage.fake.script(OWN, held(asyncio.Event(), after=1))
    named = {"X-Fairgate-Token": stage.running.token, "Authorization": f"Bearer {OWN}"}
    url = f"{stage.running.url}/byo/openai/v1/chat/completions"
    body = CHAT | {"stream": True}
    async with aiohttp.ClientSession(headers=named) as session, session.post(url, json=body) as answer:
        assert await answer.content.readany()
        answer.close()
    await stage.fake.wait_for(lambda: stage.records[0].client_left_at)
    await until(lambda: not stage.running.services.reservations.backlog)
    found = await row(stage)
    assert (found.status, found.client_aborted) == (Outcome.CANCELLED, True)


@pytest.mark.gen_test
async def test_a_member_books_on_their_own_institutions_only(stage: Stage) -> None:
    await stage.set()
    token = await stage.running.token_of("member")
    store = stage.running.services.store
    person = await store.person_by_name("member")
    assert person is not None
    await store.update_person(person.id, {"groups": ("physics",)})
    body = f"-d '{json.dumps(CHAT)}'"
    law = await send(stage, "/byo/openai/v1/chat/completions", token=token, more=body + " -H 'X-Institution: law'")
    assert (law.status, law.json["error"]["param"]) == (400, "X-Institution")
    assert (await send(stage, "/byo/openai/v1/chat/completions", token=token, more=body)).status == 200
    assert (await row(stage)).group == "physics"


@pytest.mark.gen_test
async def test_what_still_runs_when_the_gateway_stops_is_told_so(stage: Stage) -> None:
    await stage.set()
    pipeline = stage.running.services.pipeline
    stage.fake.script(OWN, held(asyncio.Event(), after=1))
    body = json.dumps(CHAT | {"stream": True})
    asking = asyncio.create_task(
        send(stage, "/byo/openai/v1/chat/completions", token=stage.running.token, more=f"-N -d '{body}'")
    )
    await stage.fake.wait_for(lambda: stage.records and stage.records[0].events_written)
    pipeline.stop()
    assert "draining" in (await asking).body
    await pipeline.quiet(5.0)
    pipeline._stopping = False  # the stage goes on


@pytest.mark.gen_test
async def test_unless_it_is_switched_on_there_is_no_such_way(off: Stage) -> None:
    assert (await send(off, "/byo/openai/v1/models")).status == 404
    await send(off, "/v1/chat/completions", more=f"-d '{json.dumps(CHAT)}'")
    assert OWN not in {record.key for record in off.fake.records}
