"""The supervisor's rules, in virtual time: no process, no signal, no clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.workers.decisions import Kill, Start
from server.workers.silence import ALIVE_SECONDS, DOUBT_SECONDS, SILENT_SECONDS
from server.workers.supervision import CRASHES, GOOD_SECONDS, LONGEST_PAUSE, POOL, START_SECONDS, pause_after
from tests.workers.machine import Machine


def places(machine: Machine) -> list[int]:
    return [child.place for child in machine.children.values()]


# The start


def test_first_the_pool_process_then_worker_0_alone_then_the_others_at_once() -> None:
    machine = Machine(workers=3)
    assert places(machine) == [POOL]
    pool = machine.ready(POOL)
    assert machine.children[pool].serving
    assert places(machine) == [POOL, 0]
    assert machine.children[machine.life(0)].first
    first = machine.ready(0)
    assert places(machine) == [POOL, 0, 1, 2]
    assert machine.children[first].accepts == (0, 1, 2), "what connects now has to wait for no other worker"
    machine.ready(2)
    machine.ready(1)
    assert [child.accepts for child in machine.children.values()][1:] == [(0,), (1,), (2,)]
    assert [child.first for child in machine.children.values()] == [False, True, False, False]
    assert machine.opened == 1


@pytest.mark.parametrize("place", [POOL, 0, 1])
@pytest.mark.parametrize(("code", "exit_code"), [(2, 2), (1, 1), (0, 1), (-9, 1)])
def test_a_child_that_ends_before_all_were_ready_ends_everything(place: int, code: int, exit_code: int) -> None:
    machine = Machine()
    for each in [each for each in (POOL, 0, 1) if each < place]:
        machine.ready(each)
    machine.dies(machine.life(place), code)
    for place_left in (1, 0, POOL):
        if place_left in places(machine):
            assert machine.children[machine.life(place_left)].stopped
            machine.dies(machine.life(place_left), 0)
    assert machine.code == exit_code
    assert "before the gateway was ready" in machine.log[0]
    assert machine.opened == 0


# Silence


def test_a_child_whose_event_loop_stands_still_is_killed_and_followed_by_another_one() -> None:
    machine = Machine().up()
    hanging, living = machine.life(0), machine.life(1)
    machine.alive(hanging)
    for _ in range(20):
        machine.alive(living)
        machine.passes(ALIVE_SECONDS)
    assert machine.killed == [hanging]
    assert machine.log == ["worker 0 hangs and is killed"]
    machine.dies(hanging)
    assert machine.children[machine.life(1)].accepts == (1, 0)
    machine.ready(0)
    machine.passes(10 * SILENT_SECONDS)
    assert machine.killed == [hanging, living], "who has never said a word is of another version, and is not judged"


def test_no_child_is_judged_by_what_the_supervisor_had_no_time_to_hear() -> None:
    machine = Machine().up()
    for place in (POOL, 0, 1):
        machine.alive(machine.life(place))
    machine.now += 1_000.0  # the machine slept
    machine.do(machine.supervision.tick(machine.now))
    for place in (POOL, 0, 1):
        machine.alive(machine.life(place))
    machine.passes(DOUBT_SECONDS + 1.0)
    assert machine.killed == []


def test_a_start_that_holds_its_event_loop_for_long_is_not_taken_for_a_child_that_hangs() -> None:
    machine = Machine()
    machine.alive(machine.life(POOL))
    machine.passes(START_SECONDS - 1.0)
    assert machine.killed == []


# Deaths


def test_a_worker_that_dies_is_started_again_at_once_and_another_one_takes_its_connections_until_then() -> None:
    machine = Machine(workers=3).up()
    machine.dies(machine.life(1))
    assert machine.children[machine.life(2)].accepts == (2, 1)
    assert machine.log == ["worker 1 was ended by signal 9; it is started again in 0 s"]
    machine.ready(1)
    assert [machine.children[machine.life(place)].accepts for place in range(3)] == [(0,), (1,), (2,)]
    assert machine.supervision.restarts[1] == 1


def test_a_pool_process_that_dies_is_started_again_and_the_workers_stay() -> None:
    machine = Machine().up()
    workers = {machine.life(0), machine.life(1)}
    machine.dies(machine.life(POOL))
    assert machine.children[machine.ready(POOL)].serving
    assert {machine.life(0), machine.life(1)} == workers
    assert not any(child.stopped for child in machine.children.values())


def test_pauses_double_up_to_the_longest() -> None:
    assert [pause_after(deaths) for deaths in range(1, 10)] == [0, 0.5, 1, 2, 4, 8, 16, 30, LONGEST_PAUSE]


def test_a_minute_of_good_service_and_earlier_deaths_are_forgotten() -> None:
    machine = Machine().up()
    for _ in range(3 * CRASHES):
        machine.dies(machine.life(1))
        machine.ready(1)
        machine.passes(GOOD_SECONDS)
    assert machine.code is None
    assert machine.supervision.places[1].deaths == 1


@pytest.mark.parametrize("place", [POOL, 1])
def test_a_crash_loop_has_growing_pauses(place: int) -> None:
    machine = Machine().up()
    starts = []
    for _ in range(CRASHES - 1):
        machine.dies(machine.life(place), 1)
        before = machine.now
        while place not in places(machine):
            machine.passes(0.5)
        starts.append(machine.now - before)
    assert starts == [pause_after(deaths) for deaths in range(1, CRASHES)]


def crashes(machine: Machine, place: int, times: int) -> None:
    for _ in range(times):
        machine.passes(LONGEST_PAUSE)
        machine.dies(machine.life(place), 3)


def test_a_crash_loop_of_the_pool_process_drains_the_workers_and_ends_with_a_clear_word() -> None:
    machine = Machine().up()
    crashes(machine, POOL, CRASHES)
    assert [child.stopped for child in machine.children.values()] == [True, True]
    for place in (0, 1):
        machine.dies(machine.life(place), 0)
    assert machine.code == 1
    assert f"a crash loop: pool ended {CRASHES} times in a row; the lines before say why" in machine.log


def test_a_worker_in_a_crash_loop_ends_nothing_while_others_serve_and_all_of_them_end_it() -> None:
    machine = Machine().up()
    crashes(machine, 1, 2 * CRASHES)
    assert machine.code is None
    assert machine.children[machine.life(0)].accepts == (0, 1)
    crashes(machine, 0, CRASHES)
    assert any("a crash loop: worker 0 and worker 1" in line for line in machine.log)
    for place in [place for place in (0, 1, POOL) if place in places(machine)]:
        machine.dies(machine.life(place), 0)
    assert machine.code == 1


def test_a_child_that_never_becomes_ready_is_killed() -> None:
    machine = Machine().up()
    machine.dies(machine.life(1))
    machine.passes(START_SECONDS)
    assert machine.killed == [machine.life(1)]


# A reload


def test_a_reload_changes_nothing_before_a_new_pool_process_and_a_new_worker_are_ready() -> None:
    machine = Machine().up()
    old = dict(machine.children)
    machine.reload()
    assert places(machine) == [POOL, 0, 1, POOL]
    new_pool = machine.ready(POOL)
    assert not machine.children[new_pool].serving
    assert places(machine) == [POOL, 0, 1, POOL, 0]
    assert not any(child.stopped or child.retired for child in old.values())


def test_a_reload_replaces_one_after_the_other_and_the_next_begins_when_the_new_one_is_ready() -> None:
    machine = Machine().up()
    old_pool, *old = list(machine.children)
    machine.reload()
    new_pool = machine.ready(POOL)
    machine.ready(0)
    assert machine.children[old_pool].stopped
    assert machine.children[old[0]].retired
    assert machine.children[old[0]].accepts == ()
    assert not machine.children[new_pool].serving, "its predecessor lives"
    machine.dies(old_pool, 0)
    assert machine.children[new_pool].serving
    assert not machine.children[old[1]].retired
    machine.ready(1)
    assert machine.children[old[1]].retired
    assert machine.log[-1] == "the reload is done: all serve with the new settings"
    for life in old:
        machine.dies(life, 0)
    assert sorted(places(machine)) == [POOL, 0, 1]
    assert set(machine.supervision.restarts.values()) == {0}


@pytest.mark.parametrize("fails", [POOL, 0])
def test_a_new_configuration_that_does_not_start_leaves_the_old_ones_running_and_says_why(fails: int) -> None:
    machine = Machine().up()
    old = list(machine.children)
    machine.reload()
    if fails == 0:
        machine.ready(POOL)
    machine.dies(machine.life(fails), 2)
    assert "the reload ends: the new" in machine.log[-1]
    assert "ended with exit code 2" in machine.log[-1]
    assert not any(machine.children[life].stopped or machine.children[life].retired for life in old)
    for life in [life for life in machine.children if life not in old]:
        assert machine.children[life].stopped
        machine.dies(life, 0)
    assert list(machine.children) == old
    machine.passes(1000)
    assert list(machine.children) == old
    machine.reload()
    assert len(machine.children) == len(old) + 1, "and it may be tried again"


def test_a_later_worker_that_does_not_start_leaves_its_predecessor() -> None:
    machine = Machine().up()
    machine.reload()
    machine.ready(POOL)
    machine.ready(0)
    machine.dies(machine.life(POOL, 0), 0)
    last = machine.life(1, 0)
    machine.reload()  # once more, which is forgotten with it
    machine.dies(machine.life(1), 1)
    assert machine.life(1) == last
    assert not machine.children[last].retired
    assert machine.children[machine.life(POOL)].serving


def test_a_second_reload_waits_for_the_first() -> None:
    machine = Machine().up()
    machine.reload()
    machine.reload()
    for _ in range(2):
        machine.ready(POOL)
        machine.ready(0)
        machine.dies(machine.life(POOL, 0), 0)
        machine.ready(1)
        for place in (0, 1):
            machine.dies(machine.life(place, 0), 0)
    assert machine.log.count("the reload is done: all serve with the new settings") == 2
    assert sorted(places(machine)) == [POOL, 0, 1]


def test_old_workers_live_as_long_as_their_connections_but_they_do_not_pile_up() -> None:
    machine = Machine().up()
    for _ in range(3):
        machine.reload()
        machine.ready(POOL)
        machine.ready(0)
        machine.dies(machine.life(POOL, 0), 0)
        machine.ready(1)
    retired = [child for child in machine.children.values() if child.retired]
    assert len(retired) == 6
    assert [child.stopped for child in retired] == [True] * 4 + [False] * 2
    machine.passes(40)
    assert len(machine.killed) == 4


def test_who_dies_in_a_reload_is_followed_by_the_new_one() -> None:
    machine = Machine().up()
    machine.reload()
    machine.dies(machine.life(POOL, 0))
    assert machine.children[machine.ready(POOL)].serving
    machine.dies(machine.life(0, 0))
    machine.ready(0)
    machine.dies(machine.life(1, 0))
    machine.ready(1)
    assert machine.log[-1] == "the reload is done: all serve with the new settings"
    assert sorted(places(machine)) == [POOL, 0, 1]


def test_there_is_no_reload_before_the_start_is_over() -> None:
    machine = Machine()
    machine.reload()
    assert places(machine) == [POOL]


# The end


def test_a_stop_drains_the_workers_then_ends_the_pool_process() -> None:
    machine = Machine().up()
    machine.stop()
    pool = machine.life(POOL)
    assert [child.stopped for child in machine.children.values()] == [False, True, True]
    machine.dies(machine.life(0), 0)
    assert not machine.children[pool].stopped
    machine.dies(machine.life(1), 0)
    assert machine.children[pool].stopped
    machine.dies(pool, 0)
    assert machine.code == 0


def test_a_second_stop_kills() -> None:
    machine = Machine().up()
    machine.stop()
    machine.stop()
    assert sorted(machine.killed) == sorted(machine.children)
    for life in list(machine.children):
        machine.dies(life)
    assert machine.code == 1


def test_who_does_not_end_in_time_is_killed() -> None:
    machine = Machine().up()
    machine.stop()
    machine.passes(40)
    assert machine.killed == [machine.life(0), machine.life(1)]


def test_a_stop_in_a_reload_ends_all_of_them() -> None:
    machine = Machine().up()
    machine.reload()
    machine.ready(POOL)
    machine.stop()
    for life in [life for life, child in machine.children.items() if child.place != POOL]:
        machine.dies(life, 0)
    assert [child.stopped for child in machine.children.values()] == [True, True]
    for life in list(machine.children):
        machine.dies(life, 0)
    assert machine.code == 0
    assert not any(isinstance(each, Kill) for each in machine.decided)


# Whatever happens


EVENTS = st.lists(
    st.tuples(st.sampled_from(["ready", "dies", "leaves", "reload", "passes"]), st.integers(0, 7)), max_size=60
)


@settings(max_examples=60)
@given(workers=st.integers(1, 4), events=EVENTS)
def test_whatever_happens_no_place_has_two_and_in_the_end_all_are_gone(
    workers: int, events: list[tuple[str, int]]
) -> None:
    machine = Machine(workers)
    for event, which in events:
        if machine.code is None:
            happens(machine, event, which)
    machine.stop()
    if machine.code is None:
        machine.stop()
        for life in list(machine.children):
            machine.dies(life)
    assert machine.code is not None
    started = [each for each in machine.decided if isinstance(each, Start)]
    assert len({each.life for each in started}) == len(started)


def happens(machine: Machine, event: str, which: int) -> None:
    if event == "reload":
        machine.reload()
    elif event == "passes":
        machine.passes(which * 10.0)
    elif machine.children:
        life = list(machine.children)[which % len(machine.children)]
        child = machine.children[life]
        if event == "ready" and not child.stopped:
            child.ready = True
            machine.do(machine.supervision.ready(life, machine.now))
        elif event == "dies":
            machine.dies(life)
        elif event == "leaves" and (child.stopped or child.retired):
            machine.dies(life, 0)
