"""What every run needs: a folder, the mocks, the cores, and enough descriptors."""

from __future__ import annotations

import contextlib
import resource
import shlex
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from bench import children
from bench.certificate import authority_and_certificate
from bench.gateway import COMMAND, Backing

FILES = 65_536  # ten thousand streams take twenty thousand in a gateway


@contextlib.asynccontextmanager
async def stand(command: str = COMMAND) -> AsyncIterator[tuple[Backing, Path]]:
    """The mocks in a folder that goes with them. We move to their core; the other one is for gateways."""
    _permit_files()
    ours, theirs = children.cores()
    children.move_to(ours)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        place = Path(name)
        authority, certificate, key = authority_and_certificate(place)
        async with (
            children.mock_upstream(ours, place) as plain,
            children.mock_upstream(ours, place, certificate, key) as tls,
        ):
            yield Backing(plain, theirs, ours, tls, authority, shlex.split(command)), place


def _permit_files() -> None:
    """As many open files as a run may need, for us and all that we start; or as many as we may permit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(FILES, hard), max(FILES, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
