"""Prove `make run`: the way of a newcomer, from the checkout to an answer and back to an empty process table.

Run as `python -m tests.e2e.prove_run` in a checkout that has no `.env`. It starts `make run` with an empty store on an
unused port, takes the address and the token from the banner, asks the real model through both SDKs and through the
banner's own example, compares the ledger with the usage that the SDKs got, stops the gateway with SIGTERM and looks for
processes that are left. Linux only: this process adopts every orphan of its children, so none can hide.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import anthropic
import openai

from server.ledger.usage import UsageRow
from server.store import store_for

T = TypeVar("T")

ROOT = Path(__file__).parent.parent.parent
MODEL = "smollm2"
QUESTION: Any = [{"role": "user", "content": "Say hello."}]
# Short, and the same every time: when an answer begins with half a character (an emoji), llama.cpp forgets to open its
# Anthropic stream with `message_start`, which the SDK cannot read.
MANNER: Any = {"max_tokens": 12, "extra_body": {"temperature": 0}}
START_SECONDS = 300.0  # the first `make run` installs what it needs
STOP_SECONDS = 60.0
PR_SET_CHILD_SUBREAPER = 36


def main() -> int:
    if (ROOT / ".env").exists():
        print("prove: a fresh checkout is proven here, and this one has a .env", file=sys.stderr)
        return 2
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    with tempfile.TemporaryDirectory() as place:
        store_url = f"sqlite:///{place}/prove.db"
        with running(Path(place), store_url) as (make, log):
            banner = wait_for(lambda: banner_in(log, make), START_SECONDS, "the banner")
            url, token = address_and_token(banner)
            wait_for(lambda: answers(f"{url}/healthz"), START_SECONDS, "/healthz")
            assert answers(f"{url}/"), "the page does not answer"
            reported = [*asked_with_openai(url, token), *asked_with_anthropic(url, token)]
            run_example(banner)
            stop(make)
            left_over()
        compare(reported, asyncio.run(rows_of(store_url)))
    print("prove: `make run` answers in both dialects, settles what it used and leaves nothing behind")
    return 0


@contextmanager
def running(place: Path, store_url: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`make run` without settings. Whatever happens, its processes end; when something fails its log is shown."""
    log = place / "log"
    with log.open("wb") as output:
        make = subprocess.Popen(
            ["make", "run", f"ARGS=--port 0 --store {store_url}"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(place)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield make, log
    except BaseException:
        print(log.read_text(errors="replace")[-8000:], file=sys.stderr)
        raise
    finally:
        for pid in descendants(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        make.wait()


def wait_for(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """What `look` finds, as soon as it finds it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)  # another process is watched: there is nothing to wait on but its doings
    raise AssertionError(f"{what} did not come within {seconds:.0f} seconds")


def banner_in(log: Path, make: subprocess.Popen[bytes]) -> str | None:
    assert make.poll() is None, f"make ended by itself with {make.returncode}"
    text = log.read_text(errors="replace")
    return text if "print(client.chat" in text and text.endswith("\n") else None


def address_and_token(banner: str) -> tuple[str, str]:
    address = re.search(r"is ready: (http://127\.0\.0\.1:\d+)/", banner)
    token = re.search(r"shown only now: (fg_\S+)", banner)
    assert address, "the banner names no address"
    assert token, "the banner shows no token"
    return address[1], token[1]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def asked_with_openai(url: str, token: str) -> list[tuple[int, int]]:
    """Ask plainly and streamed; the tokens in and out that the SDK reports."""
    create: Any = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0).chat.completions.create
    plain = create(model=MODEL, messages=QUESTION, **MANNER)
    assert plain.choices[0].message.content, "an empty answer"
    *pieces, last = create(
        model=MODEL, messages=QUESTION, **MANNER, stream=True, stream_options={"include_usage": True}
    )
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces), "an empty stream"
    return [(used.prompt_tokens, used.completion_tokens) for used in (plain.usage, last.usage)]


def asked_with_anthropic(url: str, token: str) -> list[tuple[int, int]]:
    messages = anthropic.Anthropic(base_url=url, api_key=token, max_retries=0).messages
    plain = messages.create(model=MODEL, messages=QUESTION, **MANNER)
    assert plain.content, "an empty answer"
    with messages.stream(model=MODEL, messages=QUESTION, **MANNER) as stream:
        assert "".join(stream.text_stream), "an empty stream"
        streamed = stream.get_final_message()
    return [(whole_input(used), used.output_tokens) for used in (plain.usage, streamed.usage)]


def whole_input(used: anthropic.types.Usage) -> int:
    """Anthropic counts what its cache read and wrote beside the input; the ledger counts it within."""
    return used.input_tokens + (used.cache_read_input_tokens or 0) + (used.cache_creation_input_tokens or 0)


def run_example(banner: str) -> None:
    """The three lines of Python that the banner offers."""
    example = "\n".join(banner[banner.index("from openai import") :].splitlines()[:3])
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"the banner's example failed: {done.stderr}"
    assert done.stdout.strip(), "the banner's example printed nothing"


def stop(make: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the gateway alone, as an init system does it."""
    gateway = next(pid for pid in descendants(make.pid) if b"\0-m\0server\0" in command_of(pid))
    os.kill(gateway, signal.SIGTERM)
    assert make.wait(STOP_SECONDS) == 0, f"make run ended with {make.returncode}"


def left_over() -> None:
    left = [command_of(pid).replace(b"\0", b" ").decode() for pid in descendants(os.getpid())]
    assert not left, f"left over: {left}"


async def rows_of(store_url: str) -> list[UsageRow]:
    async with store_for(store_url) as store:
        return await store.usage_rows(0, 100)


def compare(reported: list[tuple[int, int]], rows: list[UsageRow]) -> None:
    """The ledger has every request once, with the upstream's own figures."""
    counted = [(row.usage.input, row.usage.output) for row in reversed(rows)]
    assert len(counted) == len(reported) + 1, f"{len(counted)} rows for {len(reported) + 1} requests"
    assert sorted(counted[: len(reported)]) == sorted(reported), f"the ledger has {counted}, the SDKs got {reported}"
    assert not any(row.usage.estimated for row in rows), "a figure was estimated"


def descendants(pid: int) -> list[int]:
    """All living processes below this one."""
    return [below for child in children(pid) if alive(child) for below in (child, *descendants(child))]


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has just ended
        return []


def alive(pid: int) -> bool:
    try:
        return not re.search(r"^State:\s+Z", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return False


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    sys.exit(main())
