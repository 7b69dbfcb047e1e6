"""The sockets that the supervisor listens on: one for each worker, and the one of the pool process.

The supervisor opens them and children inherit them. So what has connected waits in the system's own queue while a child
is started again, and is not refused. With SO_REUSEPORT the system divides new connections among the workers' sockets;
where there is none, all workers accept from one.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tornado.netutil import bind_sockets, bind_unix_socket

BACKLOG = 1024  # connections that wait to be accepted, of each socket
CAN_DIVIDE = hasattr(socket, "SO_REUSEPORT")
Sockets = tuple[socket.socket, ...]


@dataclass(frozen=True, slots=True)
class Listening:
    """What is listened on. `folder` is this user's alone, and has the pool process's socket."""

    folder: Path
    pool: socket.socket
    workers: Sequence[Sockets]

    @property
    def port(self) -> int:
        """The port of all workers."""
        return port_of(self.workers[0])

    def descriptors(self) -> tuple[tuple[int, ...], ...]:
        """The workers' sockets, as a child inherits them."""
        return tuple(tuple(each.fileno() for each in sockets) for sockets in self.workers)


@contextmanager
def listen(workers: int, host: str, port: int) -> Iterator[Listening]:
    """Listen as long as this lasts. Raises OSError, as for a port in use."""
    with TemporaryDirectory(prefix="fairgate-") as folder:
        sockets = listen_for(workers, host, port)
        pool = bind_unix_socket(f"{folder}/pool.sock", mode=0o600, backlog=BACKLOG)
        try:
            yield Listening(Path(folder), pool, sockets)
        finally:
            for each in (pool, *(each for of_worker in sockets for each in of_worker)):
                each.close()


def listen_for(workers: int, host: str, port: int, *, divided: bool = CAN_DIVIDE) -> list[Sockets]:
    """The sockets of each worker; with port 0 all have the same unused one. Raises OSError."""
    first = tuple(bind_sockets(port, host, backlog=BACKLOG))
    if not divided:
        return [first] * workers
    # SO_REUSEPORT would let us share the port of another gateway: the first try has shown that there is none.
    port = port_of(first)
    for each in first:
        each.close()
    return [tuple(bind_sockets(port, host, backlog=BACKLOG, reuse_port=True)) for _ in range(workers)]


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port that they listen on."""
    return int(sockets[0].getsockname()[1])
