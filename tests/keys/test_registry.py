"""The registry of upstreams: one place for what each is and for its secrets."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from keypool.keys import Key
from keypool.verdict import REFUSED
from server.config.specs import Secret, UpstreamSpec
from server.keys.registry import RegisteredKey, UpstreamRegistry, pool_key
from server.upstream import AttemptFailed, Patience, Route, Upstreams
from server.wire.endpoints import ENDPOINTS
from server.wire.errors import NoKey
from server.wire.request import read_request

ONE, TWO = Secret("sk-do-not-show-one-0123"), Secret("sk-do-not-show-two-0123")
SPEC = UpstreamSpec(
    name="university", dialects=("openai",), base_url="https://llm.example.org/v1", keys=(ONE,), models=("m",), slots=3
)
BARE = replace(SPEC, keys=())


def test_a_specification_is_kept_without_its_secrets_and_each_key_has_its_route() -> None:
    registry = UpstreamRegistry([SPEC])
    assert registry.configured == (BARE,)
    assert registry.keys == {ONE.fingerprint: RegisteredKey(ONE.fingerprint, BARE, ONE, added=False)}
    assert registry.route(ONE.fingerprint) == Route(SPEC.base_url, ONE)


def test_a_key_comes_and_goes_and_with_it_its_way_to_the_provider() -> None:
    registry = UpstreamRegistry([SPEC])
    added = registry.add(replace(SPEC, slots=1), TWO)
    assert added == RegisteredKey(TWO.fingerprint, replace(BARE, slots=1), TWO, added=True)
    assert registry.configured == (BARE,)
    assert registry.remove(TWO.fingerprint) == added
    assert registry.remove(TWO.fingerprint) is None
    assert registry.route(TWO.fingerprint) is None


def test_an_upstream_has_one_address_whether_it_is_configured_or_has_an_added_key() -> None:
    registry = UpstreamRegistry([SPEC])
    registry.add(replace(SPEC, name="physics", base_url="https://physics.example.org/v1"), TWO)
    assert registry.address("university") == SPEC.base_url
    assert registry.address("physics") == "https://physics.example.org/v1"
    registry.remove(TWO.fingerprint)
    assert registry.address("physics") is None
    registry.remove(ONE.fingerprint)
    assert registry.address("university") == SPEC.base_url


def test_the_pool_has_an_id_and_limits() -> None:
    key = pool_key("id", replace(SPEC, owner="ann", groups=("staff",), organisation="acme", rpm=5))
    assert (key.id, key.upstream, key.slots, key.quota.requests) == ("id", "university", 3, 5)
    assert (key.groups, key.organisation) == ({"staff", "person:ann"}, "llm.example.org:acme")
    assert "secret" not in {field.name for field in fields(Key)}


def test_no_repr_shows_a_secret() -> None:
    registry = UpstreamRegistry([SPEC])
    for shown in (registry.keys, registry.route(ONE.fingerprint), registry.configured):
        assert ONE.reveal() not in repr(shown)


@pytest.mark.gen_test
async def test_a_key_that_was_removed_after_it_was_granted_sends_nothing_and_another_may_serve() -> None:
    registry = UpstreamRegistry([SPEC])
    registry.remove(ONE.fingerprint)
    upstreams = Upstreams(registry.route, Patience())
    body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
    request = read_request(ENDPOINTS["/v1/chat/completions"], body, "application/json")
    with pytest.raises(AttemptFailed) as failed:
        async with upstreams.send(pool_key(ONE.fingerprint, BARE), request, {}, "", lambda: None):
            pass
    assert (failed.value.verdict, type(failed.value.refusal), failed.value.gone) == (REFUSED, NoKey, False)
    await upstreams.close()
