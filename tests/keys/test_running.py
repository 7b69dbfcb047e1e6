"""What a prober and a key room may rely on: one contract for the running pool and the fake that stands in for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

import pytest

from keypool.health import KeyEvent, KeyState
from keypool.pool import Pool
from server.accounting.runtime_config import RuntimeConfig
from server.config.specs import Secret, UpstreamSpec
from server.dispatcher import Dispatcher
from server.keys import prober
from server.keys import sync as key_sync
from server.keys.prober import ProbeState as Found
from server.keys.registry import UpstreamRegistry, pool_key
from server.keys.running import RunningKeys
from server.store import store_for
from tests.fakes import running_keys as fakes
from tests.fakes.running_keys import Clock

ONE, TWO = Secret("sk-do-not-show-one-0123"), Secret("sk-do-not-show-two-0123")
SPEC = UpstreamSpec(
    name="university", dialects=("openai",), base_url="https://llm.example.org/v1", keys=(ONE,), models=("m",)
)
KINDS = pytest.mark.parametrize("kind", ["pool", "fake"])


class Keys(key_sync.PoolKeys, prober.ProbedKeys, Protocol):
    """All that is relied on."""


@asynccontextmanager
async def running(kind: str) -> AsyncIterator[Keys]:
    """The running keys, with one that is there from the start."""
    if kind == "fake":
        yield fakes.RunningKeys(UpstreamRegistry([SPEC]))
        return
    dispatcher = Dispatcher(Pool([pool_key(ONE.fingerprint, SPEC)]), Clock())
    try:
        yield RunningKeys(dispatcher, UpstreamRegistry([SPEC]))
    finally:
        dispatcher.close()


@KINDS
@pytest.mark.gen_test
async def test_a_key_comes_unchecked_and_goes(kind: str) -> None:
    async with running(kind) as keys:
        assert set(keys.key_ids()) == {ONE.fingerprint}
        keys.add_key(SPEC, TWO)
        assert set(keys.key_ids()) == {ONE.fingerprint, TWO.fingerprint}
        assert keys.state(TWO.fingerprint) is KeyState.UNCHECKED
        keys.remove_key(ONE.fingerprint)
        assert set(keys.key_ids()) == {TWO.fingerprint}


@KINDS
@pytest.mark.gen_test
async def test_a_key_is_paused_and_resumed(kind: str) -> None:
    async with running(kind) as keys:
        keys.learn(ONE.fingerprint, KeyEvent.PAUSE)
        assert keys.state(ONE.fingerprint) is KeyState.PAUSED
        keys.learn(ONE.fingerprint, KeyEvent.RESUME)
        assert keys.state(ONE.fingerprint) is KeyState.UNCHECKED


@KINDS
@pytest.mark.parametrize(
    ("before", "found", "after"),
    [
        ("", "ready", KeyState.READY),
        ("", "revoked", KeyState.REVOKED),
        ("", "unreachable", KeyState.COOLING),
        ("", "unclear", KeyState.UNCHECKED),
        ("ready", "unreachable", KeyState.COOLING),
        ("ready", "unclear", KeyState.READY),
        ("unreachable", "ready", KeyState.READY),
        ("unreachable", "unclear", KeyState.COOLING),
        ("revoked", "ready", KeyState.REVOKED),
        ("revoked", "unreachable", KeyState.REVOKED),
    ],
)
@pytest.mark.gen_test
async def test_a_free_request_teaches_what_it_shows(kind: str, before: Found, found: Found, after: KeyState) -> None:
    async with running(kind) as keys:
        if before:
            keys.probed(ONE.fingerprint, before)
        keys.probed(ONE.fingerprint, found)
        assert keys.state(ONE.fingerprint) is after


@KINDS
@pytest.mark.parametrize("event", [KeyEvent.PAUSE, KeyEvent.OUT_OF_QUOTA])
@pytest.mark.gen_test
async def test_a_free_request_ends_neither_a_pause_nor_a_lack_of_credit(kind: str, event: KeyEvent) -> None:
    async with running(kind) as keys:
        keys.learn(ONE.fingerprint, event)
        before = keys.state(ONE.fingerprint)
        for found in ("ready", "unreachable", "unclear"):
            keys.probed(ONE.fingerprint, found)
            assert keys.state(ONE.fingerprint) is before


@pytest.mark.gen_test
async def test_what_a_removed_key_was_known_for_is_forgotten_with_it_so_that_its_cap_binds_no_other() -> None:
    registry, store = UpstreamRegistry([SPEC]), store_for("sqlite:///unopened")
    book = RuntimeConfig(store)
    dispatcher = Dispatcher(Pool([pool_key(ONE.fingerprint, SPEC)]), Clock())
    keys = RunningKeys(dispatcher, registry, book.know, book.forget)
    book.know(SPEC)
    keys.add_key(replace(SPEC, keys=(TWO,), monthly_cap_micro_usd=5), TWO)
    assert [limit.amount for limit in book.limits] == [5]
    keys.remove_key(TWO.fingerprint)
    assert list(book.limits) == []
    keys.add_key(replace(SPEC, keys=(TWO,), monthly_cap_micro_usd=50), TWO)
    assert [limit.amount for limit in book.limits] == [50]
    keys.remove_key(ONE.fingerprint)  # of the configuration: nobody was told to forget it
    dispatcher.close()
    await store.close()
