"""Which child is to be started, retired or ended: the supervisor's rules, without a process, a signal or a clock.

One machine has *places*: one for the pool process and one for each worker. At each place is at most one child that
serves, the incumbent, and at most one that is to follow it. A child is known by its `life`, a number that no other one
ever gets. Events come in (`ready`, `ended`, `reload`, `stop`, `tick`), with `now` in monotonic seconds; after each, one
look at all places decides what is to be done. So the order of events does not matter, and what is lost is made good.

* **The start**: the pool process, then worker 0 alone (it may have a database to prepare), then the others at once. A
  child that ends before that is over ends everything, with its exit code.
* **A child that dies** is started again at once, then after pauses that double, to `LONGEST_PAUSE`. A minute of good
  service and it counts as new. The connections of its place are accepted by the next worker that serves (`Accept`), so
  they wait for no restart. `CRASHES` deaths in a row are a crash loop: of the pool process, or of all workers, it ends
  everything with exit code 1; a worker among others that serve is tried again every `LONGEST_PAUSE`.
* **A child that hangs** (`silence.py`) is killed, and then it is one that has died.
* **A reload** starts a second pool process and a second worker 0 with the new settings. Both must become ready before
  anything changes. Then the old pool process ends and the new one serves: workers come back to it with what runs and
  what waits. From there on one worker after the other is started beside its predecessor, which retires when the new
  one is ready: it accepts nothing more, and lives until its connections have gone. At most as many as there are workers
  are retired; who is beyond that ends within the time of a drain. If a new one does not become ready, the rest stay as
  they are.
* **A stop** drains all workers, then ends the pool process. A second one kills all at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from server.workers.decisions import Accept, Decision, End, Kill, Opened, Retire, Say, Serve, Start, Stop
from server.workers.silence import Silence

POOL = -1  # the place of the pool process; a worker's place is its number
START_SECONDS = 300.0  # to become ready: a database may have to be prepared
GOOD_SECONDS = 60.0  # of service, and earlier deaths are forgotten
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # before the second restart in a row, and at most
CRASHES = 8  # deaths in a row that are a crash loop


class Phase(Enum):
    """The phase of a child's life."""

    STARTING = "starting"
    READY = "ready"  # could serve
    SERVING = "serving"
    RETIRED = "retired"  # ends with its last connection
    STOPPING = "stopping"


NEVER = float("inf")


@dataclass(slots=True)
class Child:
    """A child process. `until`: when it is killed if its phase has not ended by then."""

    life: int
    place: int
    until: float
    phase: Phase = Phase.STARTING
    since: float = 0.0
    accepts: tuple[int, ...] = ()


@dataclass(slots=True)
class Place:
    """A place for a child. `deaths` in a row; the next start is not before `due`."""

    number: int
    incumbent: Child | None = None
    successor: Child | None = None
    deaths: int = 0
    due: float = 0.0

    @property
    def name(self) -> str:
        return name_of(self.number)

    @property
    def served(self) -> bool:
        return self.incumbent is not None and self.incumbent.phase is Phase.SERVING


@dataclass(slots=True)
class Reload:
    """A reload under way: the workers that are still to be replaced, and whether the pool process has been.

    `before`: the youngest life when it began.
    """

    left: list[int]
    before: int
    switched: bool = False


@dataclass(slots=True)
class _Ending:
    code: int
    killed: bool = False
    over: bool = False


class Supervision:
    """The children of one machine. `stop_seconds`: how long one may take to drain and end."""

    def __init__(self, workers: int, stop_seconds: float, silence: Silence | None = None) -> None:
        self.places = {number: Place(number) for number in (POOL, *range(workers))}
        self.children: dict[int, Child] = {}
        self.restarts = {POOL: 0, **dict.fromkeys(range(workers), 0)}
        self.opened = False
        self._workers = [self.places[number] for number in range(workers)]
        self._pool = self.places[POOL]
        self._stop_seconds = stop_seconds
        self._silence = silence or Silence()
        self._lives = 0
        self._reload: Reload | None = None
        self._once_more = False
        self._ending: _Ending | None = None
        self._said: list[Decision] = []

    # What happens

    def begin(self, now: float) -> list[Decision]:
        """Start everything."""
        return self._look(now)

    def ready(self, life: int, now: float) -> list[Decision]:
        """A child could serve."""
        child = self.children.get(life)
        if child is not None and child.phase is Phase.STARTING:
            child.phase, child.since, child.until = Phase.READY, now, NEVER
        return self._look(now)

    def alive(self, life: int, now: float) -> list[Decision]:
        """A child's event loop turns. While it starts it has other bounds."""
        child = self.children.get(life)
        if child is not None and child.phase is not Phase.STARTING:
            self._silence.heard(life, now)
        return self._look(now)

    def ended(self, life: int, code: int, now: float) -> list[Decision]:
        """A child has ended; `code` as `Popen.returncode` has it, below 0 for a signal."""
        self._silence.gone(life)
        child = self.children.pop(life, None)
        if child is not None:
            self._gone(child, code, now)
        return self._look(now)

    def reload(self, now: float) -> list[Decision]:
        """The operator wants new settings, or a new version, to hold."""
        if self._ending is not None or not self.opened:
            return [Say("nothing to reload: the gateway starts or stops at the moment")]
        if self._reload is not None:
            self._once_more = True
            return [Say("a reload is under way; another one follows it")]
        self._begin_reload(now)
        return self._look(now)

    def stop(self, now: float) -> list[Decision]:
        """The operator wants all to end: after the running requests, and the second time at once."""
        if self._ending is None:
            self._end(0, now)
        else:
            self._ending.killed = True
        return self._look(now)

    def tick(self, now: float) -> list[Decision]:
        """It is `now`: whose time is over, and whose pause?"""
        return self._look(now)

    def next_wakeup(self) -> float | None:
        """When `tick` is due; None if nothing waits for a time."""
        times = [child.until for child in self.children.values()] + [self._silence.next_look()]
        if self._ending is None:
            empty = [place for place in self.places.values() if self._empty(place) and self._may_start(place)]
            times += [place.due for place in empty]
        soonest = min(times, default=NEVER)
        return None if soonest == NEVER else soonest

    @property
    def in_service(self) -> list[int]:
        """The lives of those that serve or end their last requests."""
        idle = (Phase.STARTING, Phase.READY)
        return [child.life for child in self.children.values() if child.phase not in idle]

    @property
    def workers_alive(self) -> int:
        """How many workers may have requests under way."""
        return sum(child.place != POOL and child.phase is not Phase.STARTING for child in self.children.values())

    # What follows from it

    def _begin_reload(self, now: float) -> None:
        for place in self.places.values():
            place.deaths, place.due = 0, now
        self._reload = Reload([place.number for place in self._workers], self._lives)
        self._say("reload: a new pool process and a new worker are started")

    def _gone(self, child: Child, code: int, now: float) -> None:
        place = self.places[child.place]
        if place.successor is child:
            place.successor = None
            if child.phase is Phase.STARTING or child.phase is Phase.READY:
                self._refuse_reload(f"the new {place.name} {_how(code)}", now)
            return
        if place.incumbent is not child:
            return
        place.incumbent = None
        if child.phase is Phase.STOPPING:
            return
        if not self.opened:
            self._end(code if code > 0 else 1, now, f"{place.name} {_how(code)} before the gateway was ready")
            return
        if child.phase is Phase.SERVING and now - child.since >= GOOD_SECONDS:
            place.deaths = 0
        place.deaths += 1
        self.restarts[place.number] += 1
        place.due = now + pause_after(place.deaths)
        self._say(f"{place.name} {_how(code)}; it is started again in {place.due - now:g} s", wrong=True)
        self._end_crash_loop(now)

    def _end_crash_loop(self, now: float) -> None:
        workers = [place for place in self._workers if not place.served]
        loops = [place for place in (self._pool, *workers) if place.deaths >= CRASHES]
        if self._pool in loops or len(loops) == len(self._workers):
            names = " and ".join(place.name for place in loops)
            self._end(1, now, f"a crash loop: {names} ended {CRASHES} times in a row; the lines before say why")

    def _refuse_reload(self, why: str, now: float) -> None:
        if self._reload is None or self._ending is not None:
            return
        self._say(f"the reload ends: {why}. The others go on as they were", wrong=True)
        self._reload, self._once_more = None, False
        for place in self.places.values():
            if place.successor is not None and place.served:
                self._stop(place.successor, now)
                place.successor = None

    def _end(self, code: int, now: float, why: str = "") -> None:
        if why:
            self._say(why, wrong=True)
        if self._ending is None:
            self._ending = _Ending(code)
            self._reload, self._once_more = None, False
            for child in self.children.values():
                if child.place != POOL:
                    self._stop(child, now)

    def _look(self, now: float) -> list[Decision]:
        """One look at all places."""
        self._kill_overdue(now)
        if self._ending is not None:
            self._go_on_ending(self._ending, now)
        else:
            self._promote()
            self._go_on_reloading(now)
            self._fill(now)
            self._share_connections()
            self._open()
        said, self._said = self._said, []
        return said

    def _kill_overdue(self, now: float) -> None:
        for child in self.children.values():
            if child.until <= now:
                child.until = NEVER
                self._say(f"{name_of(child.place)} was {child.phase.value} for too long and is killed", wrong=True)
                self._said.append(Kill(child.life))
        for life in self._silence.look(now):
            self._silence.gone(life)
            self._say(f"{name_of(self.children[life].place)} hangs and is killed", wrong=True)
            self._said.append(Kill(life))

    def _promote(self) -> None:
        """Who is ready takes its place if that is empty."""
        for place in self.places.values():
            if place.incumbent is None and place.successor is not None and place.successor.phase is Phase.READY:
                place.incumbent, place.successor = place.successor, None
            child = place.incumbent
            if child is not None and child.phase is Phase.READY:
                child.phase = Phase.SERVING
                if place is self._pool:
                    self._said.append(Serve(child.life))

    def _fill(self, now: float) -> None:
        """Start who is missing."""
        for place in self.places.values():
            if self._empty(place) and place.due <= now and self._may_start(place):
                place.incumbent = self._start(place, now)

    @staticmethod
    def _empty(place: Place) -> bool:
        return place.incumbent is None and place.successor is None

    def _may_start(self, place: Place) -> bool:
        if self.opened or place is self._pool:
            return True
        return self._pool.served and (place.number == 0 or self.places[0].served)

    def _go_on_reloading(self, now: float) -> None:
        reload = self._reload
        if reload is None:
            return
        if not reload.switched:
            if not (self._is_renewed(self._pool, reload, now) and self._is_renewed(self.places[0], reload, now)):
                return
            reload.switched = True
            if self._pool.successor is not None and self._pool.incumbent is not None:
                self._stop(self._pool.incumbent, now)
        while reload.left:
            place = self.places[reload.left[0]]
            if not self._is_renewed(place, reload, now):
                return
            if place.successor is not None:
                self._succeed(place, now)
            del reload.left[0]
        self._reload = None
        self._say("the reload is done: all serve with the new settings")
        if self._once_more:
            self._once_more = False
            self._begin_reload(now)

    def _is_renewed(self, place: Place, reload: Reload, now: float) -> bool:
        """Whether a child of this place that began after the reload could serve; starts one where there is none."""
        for child in (place.successor, place.incumbent):
            if child is not None and child.life > reload.before:
                return child.phase in (Phase.READY, Phase.SERVING)
        place.successor = self._start(place, now)
        return False

    def _succeed(self, place: Place, now: float) -> None:
        """The successor serves, the incumbent retires."""
        old, place.incumbent, place.successor = place.incumbent, place.successor, None
        assert place.incumbent is not None
        place.incumbent.phase = Phase.SERVING
        if old is not None:
            old.phase, old.since = Phase.RETIRED, now
            self._accept(old, ())
            self._said.append(Retire(old.life))
        retired = [child for child in self.children.values() if child.phase is Phase.RETIRED]
        for child in retired[: -len(self._workers)]:
            self._stop(child, now)

    def _share_connections(self) -> None:
        """Every place has a worker that accepts: its own, else the next one that serves."""
        serving = [place.incumbent for place in self._workers if place.served and place.incumbent is not None]
        tasks: dict[int, list[int]] = {child.life: [child.place] for child in serving}
        for place in self._workers:
            if not place.served and serving:
                tasks[next_after(place.number, serving).life].append(place.number)
        for child in serving:
            self._accept(child, tuple(tasks[child.life]))

    def _accept(self, child: Child, places: tuple[int, ...]) -> None:
        if child.accepts != places:
            child.accepts = places
            self._said.append(Accept(child.life, places))

    def _open(self) -> None:
        if not self.opened and all(place.served for place in self.places.values()):
            self.opened = True
            self._said.append(Opened())

    def _go_on_ending(self, ending: _Ending, now: float) -> None:
        if ending.killed:
            self._said += [Kill(life) for life in self.children]
            ending.code = 1
        elif all(child.place == POOL for child in self.children.values()):
            for child in self.children.values():
                self._stop(child, now)
        if not self.children and not ending.over:
            ending.over = True
            self._said.append(End(ending.code))

    def _start(self, place: Place, now: float) -> Child:
        self._lives += 1
        child = Child(self._lives, place.number, until=now + START_SECONDS)
        self.children[child.life] = child
        self._said.append(Start(child.life, place.number, first=place.number == 0 and not self.opened))
        return child

    def _stop(self, child: Child, now: float) -> None:
        if child.phase is not Phase.STOPPING:
            child.phase, child.until = Phase.STOPPING, now + self._stop_seconds
            self._said.append(Stop(child.life))

    def _say(self, text: str, *, wrong: bool = False) -> None:
        self._said.append(Say(text, wrong))


def name_of(place: int) -> str:
    """The name of a place in the log."""
    return "pool" if place == POOL else f"worker {place}"


def pause_after(deaths: int) -> float:
    """Seconds between a death and the next start; `deaths` in a row, from 1. The first one costs no time."""
    return 0.0 if deaths < 2 else min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (deaths - 2))


def next_after(place: int, serving: Iterable[Child]) -> Child:
    """Who accepts for a place: the next worker behind it, and behind the last one the first."""
    return min(serving, key=lambda child: (child.place < place, child.place))


def _how(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
