"""Which key a request goes to: the one that knows its conversation, and none whose provider asked us to wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.config.specs import UpstreamSpec
from tests.fakes.fates import rate_limit
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Ask, chat, error_in
from tests.faults.stage import Stage
from tests.gateways import spec
from tests.waiting.conftest import Opener
from tests.waiting.services import ask

UNIVERSITY = ("sk-university-one", "sk-university-two")
COMPANY = "sk-company"
LIMIT = 20  # requests per minute


def organisations(fake: FakeUpstream) -> tuple[UpstreamSpec, ...]:
    """Two keys of one organisation, and one of another."""
    company = spec(fake, keys=(COMPANY,), name="company", organisation="org-company")
    return spec(fake, keys=UNIVERSITY, name="university", organisation="org-university"), company


@pytest.fixture(scope="module")
def two_keys(open_stage: Opener) -> Stage:
    return open_stage(lambda fake: (spec(fake),))


@pytest.fixture(scope="module")
def community(open_stage: Opener) -> Stage:
    return open_stage(organisations)


@pytest.fixture(scope="module")
def one_key(open_stage: Opener) -> Stage:
    return open_stage(lambda fake: (spec(fake, keys=("sk-limited",)),))


def turns(*texts: str) -> Ask:
    """A conversation as it stands after so many words, first the user's and then in turn."""
    said: list[Any] = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]
    return Ask("openai", "/v1/chat/completions", {"model": "gpt-4o", "messages": said})


@pytest.mark.gen_test
async def test_each_turn_of_a_conversation_goes_to_the_key_that_had_the_last(two_keys: Stage) -> None:
    await two_keys.set()
    for number in range(6):  # others come between the turns
        await ask(two_keys, turns(f"hello, I am number {number}"))
        await ask(two_keys, turns("somebody else's question of this moment", f"{number}", "and more"))
    for number in range(6):
        await ask(two_keys, turns(f"hello, I am number {number}", "hello", "how are you?"))
    keys = [record.key for record in two_keys.records]
    assert keys[12:] == keys[0:12:2]
    assert len(set(keys[1:12:2])) == 1, "to us, the same beginning of the same person is one conversation"


@pytest.mark.gen_test
async def test_different_conversations_are_spread_over_the_keys(two_keys: Stage) -> None:
    await two_keys.set()
    for number in range(10):
        await ask(two_keys, turns(f"question {number}"))
    keys = [record.key for record in two_keys.records]
    assert {keys.count(key) for key in set(keys)} == {5}


@pytest.mark.gen_test
async def test_the_same_words_of_two_people_are_two_conversations(two_keys: Stage) -> None:
    await two_keys.set()
    other = await two_keys.running.token_of("with-the-same-words")
    for token in (None, other):
        for _ in range(2):
            await ask(two_keys, turns("hello"), token)
    keys = [record.key for record in two_keys.records]
    assert keys[0] == keys[1] != keys[2] == keys[3]


@pytest.mark.gen_test
async def test_a_conversation_does_not_wait_for_its_key(two_keys: Stage) -> None:
    await two_keys.set()
    await ask(two_keys, turns("hello"))
    home = two_keys.records[0].key
    two_keys.fake.script(home, rate_limit(30))
    heard = await ask(two_keys, turns("hello", "hello", "and now?"))
    assert heard.status == 200
    assert two_keys.records[-1].key != home


@pytest.mark.gen_test
async def test_two_keys_of_one_organisation_rest_together(community: Stage) -> None:
    await community.set()
    for key in UNIVERSITY:
        community.fake.script(key, rate_limit(30))
    # Until one of the university's keys was asked, and after that.
    answers = [await ask(community, chat(f"question {number}", stream=False)) for number in range(8)]
    assert {heard.status for heard in answers} == {200}
    university = [record for record in community.records if record.key in UNIVERSITY]
    assert [record.status for record in university] == [429], "the other one is spared the same answer"
    assert {record.key for record in community.records if record.status == 200} == {COMPANY}


@pytest.mark.gen_test
async def test_limits_that_a_provider_tells_are_never_run_into(one_key: Stage) -> None:
    await one_key.set()
    one_key.fake.limit("sk-limited", rpm=LIMIT)

    async def client(name: int) -> list[int]:
        asked = (chat(f"client {name} question {n}", stream=bool(n % 2)) for n in range(6))
        heard = [await ask(one_key, question, X_Max_Wait="0") for question in asked]
        assert {error_in(each.body)["code"] for each in heard if each.status != 200} <= {"wait_too_long"}
        return [each.status for each in heard]

    statuses = [status for each in await asyncio.gather(*map(client, range(6))) for status in each]
    assert 429 not in [record.status for record in one_key.records]
    # It tells whole numbers only, so that our count may be lower by what several answers rounded down.
    assert LIMIT - 4 <= statuses.count(200) <= LIMIT + 1
    assert statuses.count(200) + statuses.count(429) == 36
