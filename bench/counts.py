"""`python -m bench.counts`: what a request costs in things that can be counted, so that no machine changes them.

A whole gateway with everything on runs in this process, on the event loop of the standard library. A thread asks, one
request after the other; the mock is a child. The interpreter counts for the gateway's thread alone: a first pass by
`sys.setprofile` sees every call, of Python and of C, a second one by `sys.settrace` sees every instruction of bytecode.
So what the store's and the journal's threads do is not in these figures, and neither is the work inside of C.

The kept figures stand in `bench/counts.yaml`. `--write REASON` rewrites them, and the reason stands in its head.

Instructions of the processor would be the better measure. `perf stat -e instructions:u` says "not supported" on virtual
machines without counters, CI's among them. `valgrind --tool=callgrind` works, and is no basis for a bound of 5 %: the
threads of the gateway change places at other times in each run, it takes fifty times as long, so that timers fire that
no request sets off, and its figure is of one build of Python. Instructions of bytecode are the same in each run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import io
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import tiktoken.core
import yaml

from bench import children
from bench.gateway import LIMITS, PERSON, PRICES, upstreams
from bench.load import Target
from server.bootstrap.serve import listen, open_services
from server.config.settings import load
from server.httpclient.connection import Connection
from server.store.sqlite.worker import Worker

KEPT = Path(__file__).with_name("counts.yaml")
WARM_UP, REQUESTS, TRACED, PASSES = 20, 30, 5, 3  # requests; a traced one takes a tenth of a second
# Of a stream: what it costs beyond a short one is that of its chunks. They come one by one, each read and written.
CHUNKS, FEW, EVERY = 220, 20, 0.003  # seconds: a chunk while it is traced takes one third of that
MORE = 1.05  # of a kept figure: more than that is a regression
TOKENIZER = tiktoken.core.__file__
READ = Connection.data_received.__code__  # what an upstream has sent until then
POLLS = {
    "book_version",
    "keys_version",
    "escrowed",
    "token_by_hash",
}  # a timer asks the store for these
# Of the objects and modules through which a loop in pure Python reaches the kernel.
KERNEL = {"socket", "epoll", "posix", "_socket", "select"}
NO_SYSTEM_CALLS = {"socket.fileno", "socket.gettimeout", "epoll.fileno", "fspath"}
HEAD = """# What one request costs, as `python -m bench.counts` counts it, for each version of Python.
# tests/bench/test_counts.py permits 5 % more. `python -m bench.counts --write REASON` rewrites the figures of the
# Python that runs it.
# The reason of the last time: {reason}
"""


class Counting:
    """Counts while it is on, for the thread that switched it on."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    @contextlib.contextmanager
    def calls(self) -> Iterator[None]:
        """Function calls, and among them those that have a name of their own here."""
        sys.setprofile(self._called)
        try:
            yield
        finally:
            sys.setprofile(None)

    @contextlib.contextmanager
    def bytecode(self) -> Iterator[None]:
        """Instructions."""
        sys.settrace(self._entered)
        try:
            yield
        finally:
            sys.settrace(None)

    def _called(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self.found["python_calls"] += 1
            code = frame.f_code
            self.found["reads"] += code is READ
            if code is Worker.do.__code__:
                self.found["store_jobs"] += _asker_of(frame) not in POLLS
            elif code.co_filename == TOKENIZER and code.co_name.startswith("encode"):
                self.found["tokenizer_calls"] += 1
        elif event == "c_call" and (name := system_call(argument)):
            self.found["system_calls"] += 1
            self.found["journal_appends"] += name == "write"

    def _entered(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        self.found["reads"] += frame.f_code is READ
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._stepped

    def _stepped(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        self.found["bytecode"] += event == "opcode"
        return self._stepped


def _asker_of(frame: FrameType) -> str:
    """The verb of the store that asks for a job: the first caller that is not the worker itself."""
    caller = frame.f_back
    while caller is not None and caller.f_code.co_filename == frame.f_code.co_filename:
        caller = caller.f_back
    return caller.f_code.co_name if caller is not None else ""


def system_call(function: Any) -> str:
    """The name of a function of C that asks the kernel for something; "" for any other.

    `socket.send`, `epoll.poll`; `write` and others of `os` without a module before them.
    """
    home = type(getattr(function, "__self__", None)).__name__
    home = getattr(function, "__module__", "") or "" if home in ("module", "NoneType") else home
    name = str(function.__qualname__)
    return name if home in KERNEL and name not in NO_SYSTEM_CALLS else ""


def main() -> int:
    """Count, print beside what is kept, and rewrite that if asked to; exit 1 if there is more than is kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.counts", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", metavar="REASON", help=f"keep these figures: rewrite {KEPT.name}")
    options = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # the access log
        passes = asyncio.run(_count())
    if options.write:
        keep(_each(max, passes), options.write)
    found = _each(min, passes)
    over = more(found, kept())
    for name, figure in found.items():
        print(f"{name} {figure:g}" + (f" of {kept()[name]:g}" if name in kept() else ""))
    print("\n".join(over), file=sys.stderr)
    return 1 if over else 0


def _each(choose: Callable[[Iterable[float]], float], passes: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure one pass: the least is what a request costs, and the most what timers may add to it."""
    return {name: choose(each[name] for each in passes) for name in passes[0]}


def version() -> str:
    """The Python whose figures these are: another one has other instructions."""
    return ".".join(platform.python_version_tuple()[:2])


def kept(path: Path = KEPT) -> dict[str, float]:
    """The kept figures of this Python; none if it has none."""
    figures: dict[str, float] = _all_kept(path).get(version(), {})
    return figures


def more(found: dict[str, float], bounds: dict[str, float]) -> list[str]:
    """One line for each figure that is more than 5 % above what is kept."""
    return [
        f"{name}: {figure:g} for each request, {bounds[name]:g} are kept"
        for name, figure in found.items()
        if name in bounds and figure > bounds[name] * MORE
    ]


def keep(found: dict[str, float], reason: str, path: Path = KEPT) -> None:
    """Keep these figures for this Python."""
    figures = _all_kept(path) | {version(): found}
    path.write_text(HEAD.format(reason=" ".join(reason.split())) + yaml.safe_dump(figures), encoding="utf-8")


def _all_kept(path: Path) -> dict[str, dict[str, float]]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}


async def _count() -> list[dict[str, float]]:
    """The figures of one request, in a few passes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        place = Path(name)
        async with children.mock_upstream(children.cores()[0], place) as mock:
            settings = load(_settings(place, mock), environ={}, dotenv=None)
            async with open_services(settings) as services, listen(services) as url:
                await services.accounts.create_person(PERSON)
                token = (await services.accounts.create_token(PERSON, "bench"))[1]
                return await _passes(Target(int(url.rpartition(":")[2]), token, mock.model))


async def _passes(target: Target) -> list[dict[str, float]]:
    asker = _Asker(target)
    await asyncio.to_thread(asker.ask, WARM_UP)
    passes = [await _pass(asker) for _ in range(PASSES)]
    await asyncio.to_thread(asker.close)
    return passes


async def _pass(asker: _Asker) -> dict[str, float]:
    counting = Counting()
    with counting.calls():
        await asyncio.to_thread(asker.ask, REQUESTS)
    with counting.bytecode():
        await asyncio.to_thread(asker.ask, TRACED)
    names = ("python_calls", "system_calls", "store_jobs", "journal_appends", "tokenizer_calls")
    found = {name: counting.found[name] / REQUESTS for name in names}
    found = {name: round(figure, 2) for name, figure in found.items()}
    return found | {"bytecode": counting.found["bytecode"] // TRACED} | await _chunks(asker)


async def _chunks(asker: _Asker) -> dict[str, float]:
    """What one more chunk of a stream costs: by the reads, since two that come together are one."""
    found = {}
    for name, how in (("bytecode", Counting.bytecode), ("python_calls", Counting.calls)):
        long, short = [await _stream(asker, chunks, how) for chunks in (CHUNKS, FEW)]
        found[f"{name}_per_chunk"] = round((long[name] - short[name]) / (long["reads"] - short["reads"]))
    return found


async def _stream(
    asker: _Asker, chunks: int, how: Callable[[Counting], contextlib.AbstractContextManager[None]]
) -> Counter[str]:
    counting = Counting()
    with how(counting):
        await asyncio.to_thread(asker.stream, chunks)
    return counting.found


def _settings(place: Path, mock: Target) -> dict[str, str | None]:
    (place / "upstreams.yaml").write_text(upstreams(mock, None))
    (place / "prices.yaml").write_text(PRICES)
    return {
        "PORT": "0",
        "STORE_URL": f"sqlite:///{place}/counts.db",
        "UPSTREAMS_FILE": str(place / "upstreams.yaml"),
        "PRICES_FILE": str(place / "prices.yaml"),
        "LIMITS": LIMITS,
        "DEMO": "off",
    }


class _Asker:
    """A client in a thread of its own: one connection, one request after the other."""

    def __init__(self, target: Target) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
        self._target = target

    def ask(self, times: int) -> None:
        """So many requests; each must be answered."""
        for _ in range(times):
            self._send(self._target.plain())

    def stream(self, chunks: int) -> None:
        """One request for a stream of so many chunks."""
        self._send(self._target.streamed(chunks, EVERY))

    def _send(self, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        self._connection.request("POST", "/v1/chat/completions", body, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {said[:300]!r}")

    def close(self) -> None:
        self._connection.close()


if __name__ == "__main__":
    sys.exit(main())
