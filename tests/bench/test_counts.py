"""What one request costs in things that can be counted: bench/counts.py against bench/counts.yaml."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tiktoken

from bench.counts import KEPT, Counting, keep, kept, more, version

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_request_costs_no_more_than_is_kept() -> None:
    """In a process of its own, since coverage and debuggers count by the same means."""
    if not kept() and "CI" not in os.environ:  # a newcomer may have any Python; in CI it fails
        pytest.skip(f"{KEPT.name} has no figures of Python {version()}")
    command = [sys.executable, "-m", "bench.counts"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr


def test_calls_of_a_tokenizer_are_counted() -> None:
    encoding = tiktoken.Encoding(
        "bytes", pat_str=r".", mergeable_ranks={bytes([n]): n for n in range(256)}, special_tokens={}
    )
    counting = Counting()
    with counting.calls():
        encoding.encode_ordinary("hello")
        encoding.encode("hello")
    assert counting.found["tokenizer_calls"] == 2


def test_system_calls_are_counted_and_the_journals_are_those_that_write_to_a_file(tmp_path: Path) -> None:
    one, other = socket.socketpair()
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    counting = Counting()
    with one, other, counting.calls():
        one.send(b"x")
        other.recv(1)
        os.write(descriptor, b"x")
        one.fileno()
        len("none of these")
    os.close(descriptor)
    assert counting.found["system_calls"] - counting.found["journal_appends"] >= 2
    assert counting.found["journal_appends"] == 1


def test_the_same_work_is_the_same_number_of_instructions() -> None:
    def count(numbers: int) -> int:
        counting = Counting()
        with counting.bytecode():
            sorted(range(numbers), key=lambda number: -number)
        return counting.found["bytecode"]

    assert count(100) == count(100) < count(200)


@pytest.mark.parametrize(("figure", "over"), [(0, 0), (95, 0), (104, 0), (106, 1)])
def test_five_per_cent_more_is_permitted_and_less_is_welcome(figure: float, over: int) -> None:
    assert len(more({"bytecode": figure, "new": 7}, {"bytecode": 100})) == over


def test_where_nothing_is_kept_of_a_kind_a_single_one_is_too_many() -> None:
    assert more({"tokenizer_calls": 1}, {"tokenizer_calls": 0})


def test_figures_are_kept_with_their_reason_beside_those_of_other_versions(tmp_path: Path) -> None:
    path = tmp_path / "counts.yaml"
    path.write_text("'2.7':\n  bytecode: 1\n")
    keep({"bytecode": 5.0}, "a\nreason", path)
    assert kept(path) == {"bytecode": 5.0}
    assert path.read_text().startswith("# What one request costs")
    assert "# The reason of the last time: a reason\n" in path.read_text()
    assert "'2.7':\n  bytecode: 1\n" in path.read_text()
