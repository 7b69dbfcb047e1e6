"""What samples of the stack say: bench/stacks.py, and the picture of them: bench/flame_svg.py."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

import pytest

from bench import stacks
from bench.flame_svg import svg, tree

MAIN = "thread (1): MainThread"
RAW = f"""{MAIN};run (server/cli/main.py);_run_once (asyncio/base_events.py) 10
{MAIN};run (server/bootstrap/serve.py);get (server/http/relay.py);write (tornado/web.py);dumps (json/__init__.py) 20
{MAIN};get (server/http/relay.py);go (server/relay/pipeline.py);post (aiohttp/client.py) 30
{MAIN};go (server/relay/pipeline.py);submit (keypool/pool.py) 25
thread (2): fairgate-store;_run (server/store/sqlite/worker.py) 10
thread (3): fairgate-journal_0;_sync (server/accounting/journal.py) 5
"""


def test_the_raw_samples_of_py_spy_are_stacks_with_numbers() -> None:
    samples = stacks.parsed(RAW)
    assert samples.total() == 100
    assert samples[(MAIN, "go (server/relay/pipeline.py)", "submit (keypool/pool.py)")] == 25


@pytest.mark.parametrize(
    ("frames", "part"),
    [
        (("_run_once (asyncio/base_events.py)",), stacks.EVENT_LOOP),
        (("go (server/relay/pipeline.py)", "dumps (json/encoder.py)"), "`server/relay`"),
        (("go (server/relay/pipeline.py)", "data (server/http/transport/client.py)"), "Tornado and the transport"),
        (("go (server/relay/pipeline.py)", "_read (server/upstream.py)"), "upstream client"),
        (("go (server/relay/pipeline.py)", "start (server/httpclient/connection.py)"), "upstream client"),
        (("go (server/relay/pipeline.py)", "grant (server/dispatcher.py)"), "`server` (roof)"),
        (("go (site-packages/server/wire/sse.py)",), "`server/wire`"),
        (("take (keypool/pool.py)",), "`keypool`"),
    ],
)
def test_a_sample_belongs_to_its_innermost_frame_that_is_of_a_part(frames: tuple[str, ...], part: str) -> None:
    roots = ("<module> (server/__main__.py)", "run (server/bootstrap/serve.py)")
    assert stacks.part((*roots, *frames)) == part


def test_samples_of_other_threads_do_not_count() -> None:
    assert stacks.of_the_loop(stacks.parsed(RAW)).total() == 85


def test_the_table_shares_out_the_cpu_of_a_request() -> None:
    samples = stacks.of_the_loop(stacks.parsed(RAW))
    rows = stacks.table(samples, 850.0, 1_000.0)
    assert rows[2] == "| upstream client | 300 | 30% |"
    assert f"| {stacks.OTHER_THREADS} | 150 | 15% |" in rows
    assert rows[-1] == "| **all** | 1,000 | 100% |"
    assert stacks.functions(samples, 850.0, 1)[-1] == "| `post (aiohttp/client.py)` | 300.0 |"


def test_calls_with_a_common_beginning_are_one_box() -> None:
    root = tree(stacks.parsed(RAW))
    assert root.samples == 100
    assert {frame: call.samples for frame, call in root.calls.items()}[MAIN] == 85


def test_the_picture_is_svg_without_boxes_that_cannot_be_seen() -> None:
    samples = stacks.parsed(RAW) + Counter({(f"tiny{number} (x.py)",): 1 for number in range(100_000)})
    drawn = svg(samples, "a <title>")
    titles = [each.text for each in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "a <title>"
    assert not any("tiny" in str(title) for title in titles)
    assert len(drawn) < 20_000


def test_a_box_says_its_function_and_share() -> None:
    assert "<title>submit (keypool/pool.py): 25.0%</title>" in svg(stacks.parsed(RAW), "x")
