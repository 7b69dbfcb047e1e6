"""Progress: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import io

from server.cli.progress import shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_is_a_line_every_ten_seconds() -> None:
    told, now = io.StringIO(), iter((0.0, 5.0, 10.0, 10.0, 15.0, 21.0, 21.0))
    with shown("pricing", stream=told, clock=lambda: next(now)) as progress:
        for done in (1_000, 2_000, 3_000, 4_000):
            progress(done, 5_000)
    assert told.getvalue() == "pricing: 2,000 of 5,000 rows\npricing: 4,000 of 5,000 rows\n"


def test_on_a_terminal_there_is_a_bar_that_begins_where_the_work_was_interrupted() -> None:
    terminal = Terminal()
    with shown("pricing", stream=terminal) as progress:
        for done in (200, 250, 400):
            progress(done, 400)
    last = terminal.getvalue().split("\r")[-1]
    assert "pricing: 100%" in last
    assert "400/400" in last


def test_a_bar_may_not_know_its_end() -> None:
    terminal = Terminal()
    with shown("pricing", unit="bytes", stream=terminal) as progress:
        progress(0, 0)
        progress(30, 0)
    assert "30 bytes" in terminal.getvalue()
