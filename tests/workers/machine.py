"""Children in virtual time, as a supervisor's decisions make them, and what must hold of them at every instant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from server.workers.decisions import Accept, Decision, End, Kill, Opened, Retire, Say, Serve, Start, Stop
from server.workers.supervision import POOL, Supervision


@dataclass
class Imagined:
    """A child: where it is in its life."""

    place: int
    first: bool
    ready: bool = False
    serving: bool = False  # the pool process: it accepts workers
    accepts: tuple[int, ...] = ()
    retired: bool = False
    stopped: bool = False


@dataclass
class Machine:
    """A machine whose children do what the test says."""

    workers: int = 2
    now: float = 0.0
    children: dict[int, Imagined] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    decided: list[Decision] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    code: int | None = None
    opened: int = 0

    def __post_init__(self) -> None:
        self.supervision = Supervision(self.workers, stop_seconds=40.0)
        self.do(self.supervision.begin(self.now))

    def do(self, decisions: Iterable[Decision]) -> None:
        """Carry decisions out."""
        for decision in decisions:
            self.decided.append(decision)
            match decision:
                case Start(life, place, first):
                    assert life not in self.children
                    self.children[life] = Imagined(place, first)
                case Serve(life):
                    self.children[life].serving = True
                case Accept(life, places):
                    self.children[life].accepts = places
                case Retire(life):
                    self.children[life].retired = True
                case Stop(life):
                    self.children[life].stopped = True
                case Kill(life):
                    self.killed.append(life)
                case Say(text):
                    self.log.append(text)
                case Opened():
                    self.opened += 1
                case End(code):
                    assert self.code is None and not self.children
                    self.code = code
        self.check()

    def check(self) -> None:
        """What holds at every instant."""
        pools = [child for child in self.children.values() if child.serving]
        assert len(pools) <= 1, "two pool processes would give each key twice its slots"
        places = [place for child in self.children.values() for place in child.accepts]
        assert sorted(places) == sorted(set(places)), "each place has one who accepts"
        ends = any(child.stopped and child.accepts for child in self.children.values())
        if places and self.supervision.opened and not ends:
            assert set(places) == set(range(self.workers)), "no connection waits while a worker could take it"
        assert all(child.ready for child in self.children.values() if child.accepts or child.serving)

    def life(self, place: int, which: int = -1) -> int:
        """The youngest child of a place, or another one in the order of their birth."""
        return [life for life, child in self.children.items() if child.place == place][which]

    def ready(self, place: int, which: int = -1) -> int:
        """The child says that it could serve."""
        life = self.life(place, which)
        self.children[life].ready = True
        self.do(self.supervision.ready(life, self.now))
        return life

    def alive(self, life: int) -> None:
        """The child says that its event loop turns."""
        self.do(self.supervision.alive(life, self.now))

    def dies(self, life: int, code: int = -9) -> None:
        del self.children[life]
        self.do(self.supervision.ended(life, code, self.now))

    def reload(self) -> None:
        self.do(self.supervision.reload(self.now))

    def stop(self) -> None:
        self.do(self.supervision.stop(self.now))

    def passes(self, seconds: float) -> None:
        """Time goes by, from one wakeup to the next."""
        end = self.now + seconds
        while (at := self.supervision.next_wakeup()) is not None and at <= end:
            assert at > self.now or self.code is None
            self.now = max(self.now, at)
            self.do(self.supervision.tick(self.now))
        self.now = end

    def up(self) -> Machine:
        """All children are there."""
        for place in (POOL, *range(self.workers)):
            self.ready(place)
        assert self.opened == 1
        return self
