"""Run the tests in several processes: each takes the next file when it has done with one.

    python -m tests.beside -m "not alone"

What follows is pytest's. A process collects no file but those that it takes. Where each collected all of them, as with
pytest-xdist, three processes spent a minute of the processor on it, and half a minute on reports to a fourth.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile

import pytest

ROOT = Path(__file__).parent.parent
LEFT, SAYS = "TESTS_LEFT", "TESTS_SAYS"  # where a process of ours reads which file is next, and where it reports
NUMBER = 4  # bytes; a pipe gives each reader whole numbers
OPTIONS = ("-p", "tests.beside", "-p", "no:cacheprovider", "-o", "console_output_style=classic")


def files() -> list[str]:
    """All files of tests, those with slow ones first: one that came last would keep one process busy alone."""
    found = sorted((ROOT / "tests").rglob("test_*.py"))
    found.sort(key=lambda file: "mark.slow" not in file.read_text("utf-8"))
    return [str(file.relative_to(ROOT)) for file in found]


def processes() -> int:
    """One more than there are processors: now and then each waits, for a browser, a server or a clock."""
    return len(os.sched_getaffinity(0)) + 1


def main(options: list[str]) -> int:
    """Run all files with these options of pytest; show what each process printed, and return 1 if a test failed."""
    left, fill = os.pipe()
    os.write(fill, b"".join(number.to_bytes(NUMBER, "big") for number in range(len(files()))))
    os.close(fill)
    os.environ |= {LEFT: str(left), SAYS: str(sys.stdout.fileno())}
    command = (sys.executable, "-m", "pytest", *OPTIONS, *options)
    with ExitStack() as stack:
        outputs = [stack.enter_context(TemporaryFile()) for _ in range(processes())]
        running = [
            subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, pass_fds=(left, sys.stdout.fileno()))
            for output in outputs
        ]
        results = [child.wait() for child in running]
        for output in outputs:
            output.seek(0)
            print(f"\n{output.read().decode(errors='replace')}", flush=True)
    late = {pytest.ExitCode.NO_TESTS_COLLECTED}  # it found no file left
    return int(set(results) - late != {pytest.ExitCode.OK})


class Beside:
    """What one of the processes does: collect and run file after file, as long as any is left."""

    def __init__(self, left: int, says: int) -> None:
        self.left, self.says = left, says
        self.folders: dict[Path, pytest.Collector] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_directory(self, path: Path) -> Iterator[pytest.Collector | None]:
        """A folder stays what it was with the first of its files: the fixtures of its conftest belong to it."""
        folder = yield
        return folder and self.folders.setdefault(path, folder)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool | None:
        """Collect nothing at first; `_items` asks for one file after the other."""
        return None if session.config.args != session.config.getini("testpaths") else True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run each test when the next one is known: what the two share stays as it is."""
        items = self._items(session)
        item, number = next(items, None), 0
        while item is not None:
            following = next(items, None)
            self._run(session, item, following)
            item, number = following, number + 1
        session.testscollected = number
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say at once what failed."""
        if report.failed:
            os.write(self.says, f"\n{report.nodeid} failed\n".encode())

    def _items(self, session: pytest.Session) -> Iterator[pytest.Item]:
        every = files()
        while number := os.read(self.left, NUMBER):
            session.config.args = [every[int.from_bytes(number, "big")]]
            session.config.hook.pytest_collection(session=session)
            yield from session.items
            os.write(self.says, b".")

    def _run(self, session: pytest.Session, item: pytest.Item, following: pytest.Item | None) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)


def pytest_configure(config: pytest.Config) -> None:
    """Take part, where this module started the process."""
    config.pluginmanager.register(Beside(int(os.environ.pop(LEFT)), int(os.environ.pop(SAYS))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
