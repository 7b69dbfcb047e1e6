"""The figures of several processes as those of one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.observability.event_metrics import EventMetrics
from server.observability.pool_metrics import counter, gauge
from server.workers.figures import Departed, Family, families_of, text_of, total
from server.workers.machine_figures import MachineFigures
from tests.usage.rows import row


def counted(figure: float) -> Family:
    return families_of([counter("fairgate_rows_written", "Rows.", ("kind",), [(("a",), figure)])])[0]


def stands(figure: float, name: str = "fairgate_connections_open_count") -> Family:
    return families_of([gauge(name, "Now.", (), [((), figure)])])[0]


def test_what_is_counted_and_what_stands_is_added_up_and_of_shares_the_largest_is_shown() -> None:
    ratio = "fairgate_input_cached_ratio"
    living = "fairgate_gateways_living_count"
    one = [counted(2), stands(3), stands(0.25, ratio), stands(3, living)]
    text = text_of(total([one, [counted(5), stands(4), stands(0.5, ratio), stands(3, living)]]))
    lines = text.decode().splitlines()
    assert 'fairgate_rows_written_total{kind="a"} 7.0' in lines
    assert "fairgate_connections_open_count 7.0" in lines
    assert "fairgate_input_cached_ratio 0.5" in lines
    assert "fairgate_gateways_living_count 3.0" in lines


def test_histograms_are_added_up_bucket_by_bucket() -> None:
    processes = []
    for milliseconds in (30, 700):
        metrics = EventMetrics()
        metrics.observe(row(queue_ms=milliseconds), "gpt-5")
        processes.append(families_of(metrics.collect()))
    lines = text_of(total(processes)).decode().splitlines()
    assert 'fairgate_queue_waited_seconds_bucket{le="0.05",model="gpt-5"} 1.0' in lines
    assert 'fairgate_queue_waited_seconds_bucket{le="+Inf",model="gpt-5"} 2.0' in lines
    assert 'fairgate_queue_waited_seconds_sum{model="gpt-5"} 0.73' in lines


def test_one_process_looks_like_itself() -> None:
    families = [counted(2), stands(3)]
    assert text_of(total([families])) == text_of(families)


def test_a_process_that_has_ended_keeps_what_it_counted_and_nothing_of_how_it_stood() -> None:
    departed = Departed()
    departed.add([counted(2), stands(3)])
    departed.add([counted(1), stands(1)])
    assert total([departed.figures, [counted(4), stands(5)]]) == [counted(7), stands(5)]


class Counting:
    """A process that answers, or does not."""

    def __init__(self, figures: list[Family] | None) -> None:
        self.answer, self.figures = figures, [counted(1)]
        self.asked = 0
        self.hear: Any = None

    def say(self, *, do: str) -> None:
        assert do == "figures"
        self.asked += 1
        if self.answer is not None:
            asyncio.get_running_loop().call_soon(self.hear, self, self.answer)


def machine(known: dict[int, Counting], answer_seconds: float = 1.0) -> MachineFigures:
    own = [stands(9, "fairgate_process_serving_count")]
    figures = MachineFigures(lambda: known, lambda: own, lambda: 0.0, answer_seconds)
    for life, process in known.items():
        process.hear = lambda process, said, life=life: figures.answered(life, process, said)
    return figures


@pytest.mark.gen_test
async def test_all_are_asked_once_for_all_who_want_to_know() -> None:
    one, other = Counting([counted(2)]), Counting([counted(3)])
    figures = machine({1: one, 2: other})
    first, second = await asyncio.gather(figures.all(), figures.all())
    assert first == second == [stands(9, "fairgate_process_serving_count"), counted(5)]
    assert (one.asked, other.asked) == (1, 1)


@pytest.mark.gen_test
async def test_a_process_that_does_not_answer_is_shown_as_it_was() -> None:
    assert counted(3) in await machine({1: Counting([counted(2)]), 2: Counting(None)}, answer_seconds=0.01).all()


@pytest.mark.gen_test
async def test_a_process_that_ends_while_it_is_asked_is_not_waited_for_and_stays_in_the_sums() -> None:
    known = {1: Counting([counted(2)]), 2: Counting(None)}
    figures = machine(known)
    asked = asyncio.create_task(figures.all())
    await asyncio.sleep(0)
    figures.departed(2, known.pop(2))
    assert counted(3) in await asked
