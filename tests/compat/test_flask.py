"""AI-Northstar's openai-proxy: a key for a user name, and the old SDK's address with the key in it."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlencode
from urllib.request import urlopen

import openai
import pytest

from server.ledger.limits import LimitWindow, Scope, Unit, limit_of
from tests.compat.commands import ADMIN, curl
from tests.compat.services import old_models, settings, settled
from tests.faults.conftest import Opener
from tests.faults.stage import Stage

QUESTION = [{"role": "user", "content": "Tell me in detail about AINorthstar Tech"}]


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage(old_models, **settings(legacy_routes=True))


@pytest.fixture(scope="module")
def careful(open_stage: Opener) -> Stage:
    """Here the old routes are off."""
    return open_stage(old_models, **settings())


async def create(stage: Stage, name: str, how: str = f"-u admin:{ADMIN}") -> tuple[int, str]:
    said = await curl(f"curl {how} {stage.running.url}/create_api_key/{name}")
    return said.status, said.body


@pytest.mark.gen_test
async def test_the_readmes_python_makes_a_key(stage: Stage) -> None:
    url = f"{stage.running.url}/create_api_key/aintech_user"
    params = {"user": "admin", "password": ADMIN}

    def get() -> bytes:
        with urlopen(f"{url}?{urlencode(params)}") as answer:
            return bytes(answer.read())

    assert (await asyncio.to_thread(get)).startswith(b"fg_")


@pytest.mark.gen_test
async def test_a_key_in_the_path_opens_the_door_and_any_in_the_header_does_not_matter(stage: Stage) -> None:
    _, key = await create(stage, "berta")
    async with openai.AsyncOpenAI(api_key="**********", base_url=f"{stage.running.url}/{key}/v1") as client:
        answer = await client.chat.completions.create(model="gpt-3.5-turbo", messages=QUESTION)  # type: ignore[arg-type]
        vector = await client.embeddings.create(model="text-embedding-3-small", input="AINorthstar Tech")
    assert answer.choices[0].message.content
    assert vector.data[0].embedding
    await settled(stage.running)
    person = await stage.running.services.store.person_by_name("berta")
    rows = await stage.running.services.store.usage_rows(0, 2)
    assert person is not None
    assert [row.person_id for row in rows] == [person.id] * 2
    assert {row.endpoint for row in rows} == {"/v1/chat/completions", "/v1/embeddings"}


@pytest.mark.gen_test
async def test_a_new_key_is_good_for_twenty_dollars_in_all(careful: Stage) -> None:
    await create(careful, "carla")
    store = careful.running.services.store
    person = await store.person_by_name("carla")
    assert person is not None
    limits = [limit_of(record.id, record.body) for record in await store.records("limit")]
    (mine,) = [limit for limit in limits if limit.subject == person.id]
    assert (mine.scope, mine.unit, mine.window, mine.amount) == (Scope.PERSON, Unit.USD, LimitWindow.EVER, 20_000_000)


@pytest.mark.gen_test
async def test_a_name_is_taken_once(careful: Stage) -> None:
    assert (await create(careful, "dora", f"-X POST -u admin:{ADMIN}"))[0] == 200
    taken = "Username already exists. Please try again with a different username."
    assert await create(careful, "dora") == (409, taken)
    assert (await create(careful, "operator"))[0] in (400, 409)
    assert (await create(careful, "%20blank"))[0] == 400


@pytest.mark.parametrize("how", ["-u admin:wrong", "", f"-u {ADMIN}:", '-H "Authorization: Basic ???"'])
@pytest.mark.gen_test
async def test_wrong_credentials_make_nothing(careful: Stage, how: str) -> None:
    how = how or "-G"
    assert await create(careful, "eve", how) == (401, "Invalid Credentials")
    assert await careful.running.services.store.person_by_name("eve") is None


@pytest.mark.gen_test
async def test_a_persons_own_token_makes_nothing(careful: Stage) -> None:
    how = f'-H "Authorization: Bearer {careful.running.token}"'
    assert await create(careful, "eve", how) == (401, "Invalid Credentials")


@pytest.mark.gen_test
async def test_an_administrators_bearer_makes_a_key_too(careful: Stage) -> None:
    assert (await create(careful, "frida", f'-H "Authorization: Bearer {ADMIN}"'))[0] == 200


@pytest.mark.gen_test
async def test_without_old_routes_neither_query_nor_path_opens_a_door(careful: Stage) -> None:
    url, token = careful.running.url, careful.running.token
    assert (await curl(f"curl '{url}/create_api_key/gina?user=admin&password={ADMIN}'")).status == 401
    body = json.dumps({"model": "gpt-3.5-turbo", "messages": QUESTION})
    said = await curl(f"curl {url}/{token}/v1/chat/completions -H 'content-type: application/json' -d '{body}'")
    assert said.status == 404


@pytest.mark.gen_test
async def test_a_wrong_key_in_the_path_is_refused_like_any_other(stage: Stage) -> None:
    body = json.dumps({"model": "gpt-3.5-turbo", "messages": QUESTION})
    with_right = f"-H 'Authorization: Bearer {stage.running.token}' -H 'content-type: application/json' -d '{body}'"
    said = await curl(f"curl {stage.running.url}/fg_wrong/v1/chat/completions {with_right}")
    assert said.status == 401
