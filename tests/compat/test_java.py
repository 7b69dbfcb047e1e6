"""SSEHUB's openai-api-proxy: the commands of its README, in its order."""

from __future__ import annotations

import pytest

from tests.compat.commands import Said, curl
from tests.compat.services import AUTHORIZED, LOOPBACK, old_models, settings, settled
from tests.faults.conftest import Opener
from tests.faults.stage import Stage

MODEL = "gpt-4-1106-preview"
PRICE = '{"validFrom":"2023-11-06T00:00:00Z","per1KQueryTokens": 0.01,"per1KAnswerTokens": 0.03}'
COSTS = [{"validFrom": "2023-11-06T00:00:00Z", "per1KQueryTokens": 0.01, "per1KAnswerTokens": 0.03}]
JSON = '-H "content-type: application/json"'
NO_QUERIES = {"numQueries": 0, "queryTokens": 0, "answerTokens": 0, "cost": 0, "averageCostPerQuery": 0}


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage(old_models, **settings(user_header_networks=LOOPBACK))


@pytest.fixture(scope="module")
def strangers(open_stage: Opener) -> Stage:
    """Here no network is trusted."""
    return open_stage(old_models, **settings())


async def price(stage: Stage, body: str = PRICE, *, by: str = AUTHORIZED) -> Said:
    return await curl(f"curl {JSON} {by} {stage.running.url}/model/{MODEL} -d '{body}'")


async def chat(stage: Stage, user: str) -> Said:
    body = f'{{"model":"{MODEL}","messages":[{{"role":"user","content":"I am using a proxy to talk to you."}}]}}'
    return await curl(f"curl {JSON} -H 'x-user: {user}' {stage.running.url}/v1/chat/completions -d '{body}'")


async def ask(stage: Stage, path: str, by: str = "") -> Said:
    return await curl(f"curl {by} '{stage.running.url}{path}'")


@pytest.mark.gen_test
async def test_a_price_is_written_shown_and_written_over(stage: Stage) -> None:
    assert (await price(stage)).status == 200
    shown = await ask(stage, f"/model/{MODEL}")
    assert (shown.status, shown.json) == (200, {"name": MODEL, "costs": COSTS})
    assert (await ask(stage, "/models")).json == [{"name": MODEL, "costs": COSTS}]
    later = PRICE.replace("2023-11-06", "2024-02-01").replace("0.01", "0.005")
    await price(stage, later)
    await price(stage, later.replace("0.005", "0.004"))
    (_, second) = (await ask(stage, f"/model/{MODEL}")).json["costs"]
    assert second == {"validFrom": "2024-02-01T00:00:00Z", "per1KQueryTokens": 0.004, "per1KAnswerTokens": 0.03}


@pytest.mark.gen_test
async def test_prices_are_written_by_administrators_only(stage: Stage) -> None:
    before = (await ask(stage, "/models")).json
    token = f'-H "Authorization: Bearer {stage.running.token}"'
    assert (await price(stage, by="")).status == 401
    assert (await price(stage, by=token)).status == 403
    assert (await price(stage, "{}")).status == 400
    assert (await ask(stage, "/models")).json == before
    assert (await ask(stage, "/model/unknown")).status == 404


@pytest.mark.gen_test
async def test_a_person_is_named_by_a_header_and_costs_what_the_price_says(stage: Stage) -> None:
    await price(stage, PRICE.replace("2023-11-06", "2024-03-01"))
    answer = await chat(stage, "adam")
    assert answer.status == 200
    await settled(stage.running)
    used = answer.json["usage"]
    (query,) = (await ask(stage, "/queries?user=adam")).json
    spent = (used["prompt_tokens"] * 10 + used["completion_tokens"] * 30) / 1e6
    assert query.pop("timestamp").endswith("Z")
    assert query == {
        "user": "adam",
        "model": query["model"],
        "queryTokens": used["prompt_tokens"],
        "answerTokens": used["completion_tokens"],
        "cost": spent,
    }
    sums = (await ask(stage, "/usage?user=adam&after=2024-01-24T14:50%2B01")).json
    assert sums == {
        "numQueries": 1,
        "queryTokens": query["queryTokens"],
        "answerTokens": query["answerTokens"],
        "cost": spent,
        "averageCostPerQuery": spent,
    }


@pytest.mark.gen_test
async def test_sums_and_queries_are_filtered_by_time(stage: Stage) -> None:
    await chat(stage, "berta")
    await settled(stage.running)
    (query,) = (await ask(stage, "/queries?user=berta")).json
    at = query["timestamp"]
    for path in (f"/queries?user=berta&after={at}", f"/queries?user=berta&before={at}"):
        assert (await ask(stage, path)).json == [], "both bounds are exclusive"
    assert (await ask(stage, "/usage?user=berta&before=2024-01-01T00:00Z")).json == NO_QUERIES


@pytest.mark.parametrize("query", ["after=2024-01-24T14:50", "before=soon", "after=", "user=a&user=b"])
@pytest.mark.gen_test
async def test_a_filter_that_makes_no_sense_is_refused(stage: Stage, query: str) -> None:
    for path in ("/usage", "/queries"):
        answer = await ask(stage, f"{path}?{query}")
        assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_value")


@pytest.mark.gen_test
async def test_an_unknown_person_has_no_figures(stage: Stage) -> None:
    assert (await ask(stage, "/usage?user=nobody")).status == 404


@pytest.mark.gen_test
async def test_who_has_a_token_sees_their_own_figures(stage: Stage) -> None:
    await chat(stage, "carla")
    await settled(stage.running)
    mine = f'-H "Authorization: Bearer {stage.running.token}"'
    assert (await ask(stage, "/queries", mine)).json == []
    assert (await ask(stage, "/usage?user=ada", mine)).json == NO_QUERIES
    assert (await ask(stage, "/usage?user=carla", mine)).status == 403
    assert (await ask(stage, "/usage?user=carla", AUTHORIZED)).json["numQueries"] == 1


@pytest.mark.gen_test
async def test_limits_of_the_upstream_are_told_once_they_are_known(stage: Stage) -> None:
    stage.fake.limit("sk-upstream-one", "sk-upstream-two", rpm=500, tpm=500_000)
    await chat(stage, "adam")
    await settled(stage.running)
    limits = (await ask(stage, "/ratelimits")).json
    assert limits["requests"]["maximum"] % 500 == 0
    assert limits["tokens"]["maximum"] % 500_000 == 0
    assert 0 < limits["requests"]["remaining"] <= limits["requests"]["maximum"]
    assert limits["tokens"]["reset"].endswith("Z")


@pytest.mark.parametrize("path", ["/models", "/usage", "/queries", "/ratelimits", f"/model/{MODEL}"])
@pytest.mark.gen_test
async def test_from_elsewhere_nothing_is_shown_to_strangers(strangers: Stage, path: str) -> None:
    assert (await ask(strangers, path)).status == 401
    assert (await ask(strangers, path, "-H 'x-user: ada' -H 'X-Forwarded-For: 127.0.0.1'")).status == 401


@pytest.mark.gen_test
async def test_from_elsewhere_a_header_names_nobody(strangers: Stage) -> None:
    assert (await chat(strangers, "adam")).status == 401
    assert strangers.records == []


@pytest.mark.gen_test
async def test_a_header_never_makes_an_administrator(stage: Stage) -> None:
    for name in ("operator", "everyone", "shared"):
        assert (await chat(stage, name)).status == 401
