"""The start of a child of the supervisor: of the pool process, or of a worker."""

from __future__ import annotations

import asyncio
import logging
import signal

from server.bootstrap import from_settings as wiring
from server.bootstrap.pool_process import serve_pool
from server.bootstrap.serve import PULSE, open_services
from server.bootstrap.worker import serve_as_worker
from server.config.settings import Settings, SettingsError
from server.connection_budget import raise_open_files
from server.observability import logs
from server.tasks import end
from server.workers.channel import Control
from server.workers.figures import families_of
from server.workers.role import Role, workers_of

log = logging.getLogger("fairgate")


async def run_child(settings: Settings, role: Role) -> int:
    """Be a child of a supervisor; returns the exit code."""
    if workers_of(settings) == 1:
        raise SettingsError(["WORKERS, DEMO: these are settings of a gateway of one process, which needs a restart"])
    logs.configure(settings, role.name)
    raise_open_files()
    control, loop = Control(), asyncio.get_running_loop()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # that is the supervisor's
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, control.ending.set)
    listening = asyncio.create_task(control.listen(role.control))
    try:
        return await (serve_pool if role.kind == "pool" else serve_worker)(settings, role, control)
    except OSError as error:  # the pool process was not there in time, or the like
        log.error("it cannot start: %s", str(error) or type(error).__name__)
        return 1
    finally:
        control.part()
        await end(listening)


async def serve_worker(settings: Settings, role: Role, control: Control) -> int:
    """Serve requests with keys of the pool process."""
    async with open_services(wiring.part_of(settings, role.workers), PULSE, role) as services:
        if (metrics := services.metrics) is not None:
            control.show(lambda: families_of(metrics.collect()))
            metrics.of_all(control.all_figures)
        return await serve_as_worker(services, role, control)
