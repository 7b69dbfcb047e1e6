"""What a child of the supervisor is: the one argument with which it is started.

The argument is visible to all users of the machine (`ps`), so nothing secret may stand in it. A child may be of a newer
version than its supervisor: what it does not know it ignores, and what is missing has a default.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, Self

from server.config.settings import Settings

Kind = Literal["pool", "worker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The part of one child.

    `number` counts the workers from 0; the pool process has 0. `life` is another one for each child that a supervisor
    starts. `listening`: file descriptors; the pool process has the unix socket that workers connect to, a worker the
    sockets of all workers, each a list, so that it can accept for one that is away. `control`: the descriptor of the
    channel to the supervisor (`channel.py`). `first`: it is the one that makes the first token and the banner.
    """

    kind: Kind
    number: int
    life: int
    folder: str
    listening: tuple[tuple[int, ...], ...]
    control: int
    workers: int
    first: bool = False

    @property
    def name(self) -> str:
        """Its name in the log."""
        return "pool" if self.kind == "pool" else f"worker {self.number}"

    @property
    def pool_path(self) -> Path:
        """The unix socket of the pool process."""
        return Path(self.folder) / "pool.sock"

    def text(self) -> str:
        """The argument."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """The role that an argument says. Raises ValueError if it is none."""
        try:
            said = json.loads(text)
            known = {each.name: said[each.name] for each in fields(cls) if each.name in said}
            known["listening"] = tuple(tuple(each) for each in known["listening"])
            return cls(**known)
        except (TypeError, KeyError) as error:
            raise ValueError("not a role") from error


def workers_of(settings: Settings) -> int:
    """How many processes serve requests; with 1 that one does everything. The demo is always one."""
    return 1 if settings.wants_demo else max(1, settings.workers)
