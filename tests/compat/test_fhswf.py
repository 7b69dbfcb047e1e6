"""fhswf's openai-proxy: the dashboard's document, and the caller's address."""

from __future__ import annotations

import pytest

from tests.compat.commands import curl
from tests.compat.services import AUTHORIZED, old_models, settings, settled
from tests.faults.conftest import Opener
from tests.faults.stage import Stage

CHAT = '{"model":"gpt-5","messages":[{"role":"user","content":"Hello"}]}'


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage(old_models, **settings(trusted_proxy_hops=1))


@pytest.mark.gen_test
async def test_the_dashboard_counts_requests_by_group_and_month(stage: Stage) -> None:
    running, services = stage.running, stage.running.services
    token = await running.token_of("student-1")
    person = await services.store.person_by_name("student-1")
    assert person is not None
    await services.store.update_person(person.id, {"groups": ("student@fb-in.example.org",)})
    headers = f'-H "Authorization: Bearer {token}" -H "content-type: application/json"'
    assert (await curl(f"curl {running.url}/v1/chat/completions {headers} -d '{CHAT}'")).status == 200
    await settled(running)
    ((facets),) = (await curl(f"curl {AUTHORIZED} {running.url}/dashboard")).json
    (year,) = facets["byScope"]
    assert year["months"][0]["scopes"] == [{"scope": "fb-in.example.org", "count": 1}]
    assert facets["byRole"][0]["months"][0]["roles"] == [{"role": "student", "count": 1}]


@pytest.mark.gen_test
async def test_the_dashboard_is_for_administrators(stage: Stage) -> None:
    url = stage.running.url
    assert (await curl(f"curl {url}/dashboard")).status == 401
    assert (await curl(f'curl -H "Authorization: Bearer {stage.running.token}" {url}/dashboard')).status == 403


@pytest.mark.gen_test
async def test_the_callers_address_is_told(stage: Stage) -> None:
    url = stage.running.url
    assert (await curl(f"curl {url}/ip")).body == "unknown"
    assert (await curl(f"curl -H 'X-Forwarded-For: 6.6.6.6, 192.0.2.7' {url}/ip")).body == "192.0.2.7"


@pytest.mark.gen_test
async def test_it_is_well(stage: Stage) -> None:
    assert (await curl(f"curl {stage.running.url}/healthz")).json == {"status": "ok"}
