"""What is shown of idle keys stays true: all are asked about for free, at the right time, and never too often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest

from keypool.health import KeyEvent, KeyState
from server.config.specs import Secret, UpstreamSpec
from server.keys.prober import Check, Prober, check
from server.keys.registry import UpstreamRegistry
from server.upstream import Patience, Upstreams
from tests.fakes.fates import hang, html_page, revoked, server_error
from tests.fakes.running_keys import Clock, RunningKeys
from tests.fakes.upstream import MODELS, FakeUpstream

ONE, TWO = Secret("sk-do-not-show-one-0123"), Secret("sk-do-not-show-two-0123")


def spec(fake: FakeUpstream, *keys: Secret, models: Iterable[str] = ("gpt-5",)) -> UpstreamSpec:
    return UpstreamSpec(
        name="fake", dialects=("openai",), base_url=fake.base_url, keys=keys or (ONE, TWO), models=tuple(models)
    )


class Scene:
    """A prober at work: its keys, its clock and the upstream."""

    def __init__(self, *specs: UpstreamSpec, interval: float = 900.0, clock: Callable[[], float] | None = None) -> None:
        self.clock = Clock()
        registry = UpstreamRegistry(specs)
        self.keys, self.upstreams = RunningKeys(registry), Upstreams(registry.route, Patience())
        ask = partial(check, self.upstreams)
        self.prober = Prober(self.keys, registry, ask, interval, lambda: 0.5, clock or self.clock)

    async def close(self) -> None:
        await self.prober.close()
        await self.upstreams.close()

    async def quiet(self) -> None:
        """Until nobody is being asked about."""
        while self.prober._tasks:
            await asyncio.wait(self.prober._tasks.values())

    async def later(self, seconds: float) -> None:
        """The timer rings after so many seconds."""
        self.clock.now += seconds
        self.prober.wake()
        await self.quiet()

    def states(self) -> list[KeyState]:
        return [self.keys.state(key_id) for key_id in self.keys.key_ids()]


@asynccontextmanager
async def at_work(*specs: UpstreamSpec, interval: float = 900.0, patience: float = 5.0) -> AsyncIterator[Scene]:
    scene = Scene(*specs, interval=interval)
    try:
        await scene.prober.start(patience)
        yield scene
    finally:
        await scene.close()


@pytest.mark.gen_test
async def test_at_the_start_every_key_is_asked_about_once() -> None:
    async with FakeUpstream() as fake, at_work(spec(fake)) as scene:
        await scene.quiet()
        assert scene.states() == [KeyState.READY, KeyState.READY]
        assert sorted(record.key or "" for record in fake.probes) == [ONE.reveal(), TWO.reveal()]
        assert {record.path for record in fake.probes} == {"/v1/models"}
        assert scene.prober.progress() == (2, 2)


@pytest.mark.gen_test
async def test_the_start_tells_how_many_keys_have_been_checked() -> None:
    async with FakeUpstream() as fake:
        fake.script(TWO.reveal(), hang())
        async with at_work(spec(fake)) as scene:
            assert scene.prober.progress() == (0, 2)
            await asyncio.wait([scene.prober._tasks[ONE.fingerprint]])
            assert scene.prober.progress() == (1, 2)


@pytest.mark.gen_test
async def test_the_start_waits_for_models_that_nobody_named() -> None:
    async with FakeUpstream() as fake, at_work(spec(fake, models=())) as scene:
        assert scene.keys.offered == {"fake": frozenset(MODELS)}


@pytest.mark.gen_test
async def test_models_that_the_operator_named_are_left_alone() -> None:
    async with FakeUpstream() as fake, at_work(spec(fake)) as scene:
        await scene.quiet()
        assert scene.keys.offered == {}


@pytest.mark.gen_test
async def test_keys_of_one_upstream_offer_what_they_list_between_them() -> None:
    async with (
        FakeUpstream(models=["a", "b"]) as left,
        FakeUpstream(models=["b", "c"]) as right,
        at_work(spec(left, ONE, models=()), spec(right, TWO, models=())) as scene,
    ):
        await scene.quiet()
        assert scene.keys.offered == {"fake": frozenset("abc")}


@pytest.mark.gen_test
async def test_the_start_does_not_wait_for_ever_and_models_are_asked_for_until_they_are_told() -> None:
    async with FakeUpstream() as fake:
        fake.script(None, html_page().for_ever())
        async with at_work(spec(fake, ONE, models=()), patience=0.0) as scene:
            await scene.quiet()
            for seconds in (1.0, 2.0, 4.0):
                await scene.later(seconds - 0.1)
                before = len(fake.probes)
                await scene.later(0.2)
                assert len(fake.probes) == before + 1
            assert scene.keys.offered == {}
            fake.forget_script()
            await scene.later(8.1)
            assert scene.keys.offered == {"fake": frozenset(MODELS)}


@pytest.mark.gen_test
async def test_the_start_does_not_wait_for_an_upstream_that_refuses_all_its_keys() -> None:
    async with FakeUpstream(keys=[]) as fake, at_work(spec(fake, models=()), patience=60.0) as scene:
        assert scene.states() == [KeyState.REVOKED, KeyState.REVOKED]


@pytest.mark.gen_test
async def test_a_refused_key_is_looked_at_again_ever_more_slowly_and_begins_anew_when_it_is_let_in() -> None:
    async with FakeUpstream() as fake:
        fake.script(ONE.reveal(), revoked().for_ever())
        async with at_work(spec(fake, ONE)) as scene:
            await scene.quiet()
            for hours in (1, 2, 4):
                await scene.later(hours * 3600 - 10)
                before = len(fake.probes)
                await scene.later(20)
                assert (len(fake.probes), scene.states()) == (before + 1, [KeyState.REVOKED])
            fake.forget_script()
            await scene.later(8 * 3600)
            assert scene.states() == [KeyState.READY]


@pytest.mark.gen_test
async def test_an_asking_from_before_a_refusal_brings_no_key_back() -> None:
    """Where everybody may list the models, as at some providers, a list is no proof against two refusals."""
    async with FakeUpstream() as fake, at_work(spec(fake, ONE)) as scene:
        await scene.quiet()
        scene.clock.now += 60
        scene.prober.suspect(ONE.fingerprint)
        scene.keys.learn(ONE.fingerprint, KeyEvent.KEY_REFUSED)
        await scene.quiet()
        assert scene.states() == [KeyState.REVOKED]


@pytest.mark.gen_test
async def test_where_an_upstream_does_not_say_a_recheck_lets_a_refused_key_begin_anew() -> None:
    async with FakeUpstream() as fake, at_work(spec(fake, ONE)) as scene:
        await scene.quiet()
        scene.keys.learn(ONE.fingerprint, KeyEvent.KEY_REFUSED)
        fake.script(ONE.reveal(), html_page().for_ever())
        scene.prober.recheck(ONE.fingerprint)
        await scene.quiet()
        assert scene.states() == [KeyState.UNCHECKED]


@pytest.mark.gen_test
async def test_a_refused_key_is_not_asked_about_on_suspicion_but_when_the_operator_wants_it() -> None:
    async with FakeUpstream() as fake:
        fake.script(ONE.reveal(), revoked().for_ever())
        async with at_work(spec(fake, ONE)) as scene:
            await scene.quiet()
            assert scene.states() == [KeyState.REVOKED]
            await scene.later(3_000)
            scene.prober.suspect(ONE.fingerprint)
            await scene.quiet()
            assert len(fake.probes) == 1
            scene.prober.recheck(ONE.fingerprint)
            await scene.quiet()
            assert (len(fake.probes), scene.states()) == (2, [KeyState.REVOKED])
            fake.forget_script()
            scene.prober.recheck(ONE.fingerprint)
            await scene.quiet()
            assert (len(fake.probes), scene.states()) == (3, [KeyState.READY])
            await scene.later(901)
            assert len(fake.probes) == 4


@pytest.mark.gen_test
async def test_a_key_without_credit_begins_anew_only_when_the_operator_asks() -> None:
    async with FakeUpstream() as fake, at_work(spec(fake, ONE)) as scene:
        await scene.quiet()
        scene.keys.learn(ONE.fingerprint, KeyEvent.OUT_OF_QUOTA)
        await scene.later(901)
        assert scene.states() == [KeyState.EXHAUSTED]
        scene.prober.recheck(ONE.fingerprint)
        await scene.quiet()
        assert scene.states() == [KeyState.READY]


@pytest.mark.gen_test
async def test_a_paused_key_is_left_in_peace_and_asked_about_as_soon_as_it_is_resumed() -> None:
    async with FakeUpstream() as fake, at_work(spec(fake, ONE)) as scene:
        await scene.quiet()
        scene.keys.learn(ONE.fingerprint, KeyEvent.PAUSE)
        await scene.later(10_000)
        assert (len(fake.probes), scene.prober.progress()) == (1, (0, 0))
        scene.keys.learn(ONE.fingerprint, KeyEvent.RESUME)
        scene.prober.wake()
        await scene.quiet()
        assert (len(fake.probes), scene.states()) == (2, [KeyState.READY])


@pytest.mark.gen_test
async def test_a_paused_key_that_the_operator_wants_checked_stays_paused() -> None:
    async with FakeUpstream() as fake, at_work(spec(fake, ONE)) as scene:
        await scene.quiet()
        scene.keys.learn(ONE.fingerprint, KeyEvent.PAUSE)
        scene.prober.recheck(ONE.fingerprint)
        await scene.quiet()
        assert (len(fake.probes), scene.states()) == (2, [KeyState.PAUSED])


@pytest.mark.gen_test
async def test_an_idle_key_is_asked_about_every_interval_and_its_end_is_seen() -> None:
    async with FakeUpstream() as fake, at_work(spec(fake, ONE)) as scene:
        await scene.quiet()
        await scene.later(899)
        assert len(fake.probes) == 1
        fake.script(ONE.reveal(), revoked().for_ever())
        await scene.later(2)
        assert (len(fake.probes), scene.states()) == (2, [KeyState.REVOKED])


@pytest.mark.gen_test
async def test_a_suspected_key_is_asked_about_soon_also_without_an_interval() -> None:
    async with FakeUpstream() as fake, at_work(spec(fake, ONE), interval=0.0) as scene:
        await scene.quiet()
        await scene.later(100_000)
        assert len(fake.probes) == 1
        for _ in range(10):
            scene.prober.suspect(ONE.fingerprint)
        await scene.quiet()
        assert len(fake.probes) == 2
        scene.prober.suspect(ONE.fingerprint)
        await scene.later(9)
        assert len(fake.probes) == 2
        await scene.later(2)
        assert len(fake.probes) == 3


@pytest.mark.gen_test
async def test_a_key_whose_host_is_away_is_not_shown_as_ready_and_comes_back_with_it() -> None:
    fake = FakeUpstream()
    async with fake:
        scene = Scene(spec(fake, ONE))
        await scene.prober.start()
        await scene.quiet()
        assert scene.states() == [KeyState.READY]
    await scene.later(901)
    assert scene.states() == [KeyState.COOLING]
    async with fake:
        await scene.later(1.1)
        assert scene.states() == [KeyState.READY]
        await scene.close()


@pytest.mark.gen_test
async def test_no_more_than_so_many_are_asked_about_at_a_time_and_never_one_twice() -> None:
    keys = [Secret(f"sk-number-{number:02}") for number in range(12)]
    async with FakeUpstream() as fake:
        fake.script(None, hang().for_ever())
        async with at_work(spec(fake, *keys)) as scene:
            await fake.wait_for(lambda: len(fake.probes) == 4)
            for key in keys:
                scene.prober.recheck(key.fingerprint)
            scene.prober.wake()
            assert len(scene.prober._tasks) == 4
        await fake.wait_for(lambda: fake.running == 0)
        assert len(fake.probes) == 4


@pytest.mark.gen_test
async def test_a_key_is_watched_when_it_is_added_and_its_asking_ends_when_it_is_removed() -> None:
    async with FakeUpstream() as fake, at_work() as scene:
        fake.script(ONE.reveal(), hang())
        scene.keys.add_key(spec(fake, ONE), ONE)
        scene.prober.watch(ONE.fingerprint)
        await fake.wait_for(lambda: len(fake.probes) == 1)
        scene.prober.forget(ONE.fingerprint)
        scene.keys.remove_key(ONE.fingerprint)
        await fake.wait_for(lambda: fake.probes[0].client_left_at)
        scene.prober.recheck(ONE.fingerprint)
        await scene.later(10_000)
        assert (len(fake.probes), scene.prober.progress()) == (1, (0, 0))


@pytest.mark.gen_test
async def test_a_key_that_was_named_before_the_start_is_asked_about_from_the_start_on() -> None:
    async with FakeUpstream() as fake:
        scene = Scene(spec(fake, ONE))
        scene.prober.watch(ONE.fingerprint)
        scene.prober.wake()
        assert scene.prober.progress() == (0, 0)
        await scene.prober.start()
        await scene.quiet()
        assert scene.states() == [KeyState.READY]
        await scene.close()


@pytest.mark.gen_test
async def test_it_wakes_by_itself() -> None:
    async with FakeUpstream() as fake:
        scene = Scene(spec(fake, ONE), interval=0.01, clock=time.monotonic)
        await scene.prober.start()
        await fake.wait_for(lambda: len(fake.probes) >= 3)
        await scene.close()


@pytest.mark.gen_test
async def test_trouble_is_logged_once_and_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    async with FakeUpstream() as fake:
        fake.script(None, server_error().for_ever())
        async with at_work(replace(spec(fake, ONE), name="physics")) as scene:
            await scene.quiet()
            await scene.later(2.0)
            assert len(fake.probes) == 2
    (line,) = caplog.messages
    assert line == f"upstream physics, key {ONE.fingerprint}: unreachable, the upstream is not well (500)"


@pytest.mark.gen_test
async def test_a_kind_that_does_not_fit_is_logged_once_though_the_key_is_let_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ask(key_id: str, spec: UpstreamSpec) -> Check:
        asked.append(key_id)
        return Check("ready", "let in", ("m",), "; ollama answers there: `kind: ollama` fits")

    asked: list[str] = []
    here = UpstreamSpec(
        name="physics", dialects=("openai",), base_url="http://127.0.0.1:1/v1", keys=(ONE,), models=("m",)
    )
    registry, clock = UpstreamRegistry([here]), Clock()
    prober = Prober(RunningKeys(registry), registry, ask, 900.0, lambda: 0.5, clock)
    await prober.start()
    for _ in range(2):
        await asyncio.gather(*prober._tasks.values())
        clock.now += 2000.0
        prober.wake()
    await prober.close()
    (line,) = caplog.messages
    assert len(asked) >= 2
    assert line == f"upstream physics, key {ONE.fingerprint}: ready, let in; ollama answers there: `kind: ollama` fits"


@pytest.mark.gen_test
async def test_what_never_started_can_be_closed() -> None:
    await Scene().close()
