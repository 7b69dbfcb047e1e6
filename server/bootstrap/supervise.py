"""The start of a supervisor: a gateway of several processes on one machine.

It imports neither Tornado's server nor the pool, so that it is small and starts at once: its children have these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from server.bootstrap.ownership import alone
from server.config.settings import Settings
from server.connection_budget import raise_open_files
from server.observability import logs
from server.workers.listening import listen
from server.workers.processes import command_of
from server.workers.supervision import Supervision
from server.workers.supervisor import Supervisor

log = logging.getLogger("fairgate")

END_SECONDS = 20.0  # for a child to end after DRAIN_SECONDS, with its last words; then it is killed


async def supervise(settings: Settings, given: Sequence[str], announce: Callable[[str], None]) -> int:
    """Run a gateway of several processes; returns the exit code. `given`: the options that children get, too."""
    logs.configure(settings)
    raise_open_files()
    for note in settings.notes:
        log.info("%s", note)
    for slip in settings.slips:
        log.warning("%s", slip)
    supervision = Supervision(settings.workers, settings.drain_seconds + END_SECONDS)
    with alone(settings), listen(settings.workers, settings.host, settings.port) as listening:
        return await Supervisor(supervision, listening, command_of(given), announce).run()
