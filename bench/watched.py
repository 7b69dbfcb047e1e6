"""The gateway, which at SIGUSR2 writes down what is alive in it: `python -m bench.watched`, for the soak.

The file is named by BENCH_WATCHED. Tasks are the event loop's own; timers are those that wait, found among all objects,
since no loop lists them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from server.cli.main import main


def alive() -> dict[str, int]:
    """Tasks and timers of the running loop. A timer that was cancelled or has fired is none."""
    gc.collect()
    handles = [each for each in gc.get_objects() if type(each).__name__ == "TimerHandle"]
    return {"tasks": len(asyncio.all_tasks()), "timers": sum(not each.cancelled() for each in handles)}


def _write(number: int, frame: FrameType | None) -> None:
    path = Path(os.environ["BENCH_WATCHED"])
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(alive()))
    beside.replace(path)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, _write)
    sys.exit(main())
