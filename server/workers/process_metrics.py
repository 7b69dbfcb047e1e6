"""What the supervisor itself shows in `/metrics`: which processes serve, and how often each has died."""

from __future__ import annotations

from server.workers.figures import Family
from server.workers.supervision import Supervision, name_of

SERVING, RESTARTED = "fairgate_process_serving_count", "fairgate_process_restarted"


def process_figures(supervision: Supervision) -> list[Family]:
    """The figures of the processes of one machine."""
    serving = [[SERVING, {"process": each.name}, float(each.served)] for each in supervision.places.values()]
    restarts = [
        [f"{RESTARTED}_total", {"process": name_of(place)}, float(count)]
        for place, count in supervision.restarts.items()
    ]
    return [
        [SERVING, "gauge", "1 for each process of this machine that serves.", serving],
        [RESTARTED, "counter", "How often a process has died and was started again.", restarts],
    ]
