"""Whether a key works, asked for free.

`GET /models` costs nothing at any provider and shows whether a key is let in and which models it has. It does not show
whether there is credit left: that is learnt from real traffic. Only keys that the operator named are asked about.
Of what the upstream says, the names of its models and scrubbed words of its error are repeated, to the operator alone.

`check` asks once, by `server/upstream.py`. A `Prober` asks about all keys of a running gateway, when `keypool.probing`
says so, and tells the pool. A key that was refused is looked at again after some hours, and begins anew when it is let
in; a paused one is asked about when it is resumed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from keypool.health import DEAD, KeyEvent
from keypool.health import KeyState as Stands
from keypool.probing import Schedule
from keypool.verdict import judge
from server.config.specs import Secret, UpstreamSpec
from server.config.upstream_kinds import GENERIC, recognised
from server.httpclient.egress import Egress
from server.keys.registry import UpstreamRegistry
from server.keys.words import words_of
from server.upstream import AttemptFailed, Broken, Patience, TooLong, Upstreams
from server.wire.anthropic import ANTHROPIC
from server.wire.errors import UpstreamTimeout
from server.wire.openai import OPENAI

log = logging.getLogger("fairgate")

ProbeState = Literal["ready", "revoked", "unclear", "unreachable"]

PATIENCE_SECONDS = 20.0  # for a whole answer
NO_ANSWER = "no connection, or not an HTTP answer"  # the reason itself may hold the address
LARGEST_LIST = 4 << 20  # bytes; OpenRouter's list of some 400 models has 0.5 MB
CONCURRENCY = 4  # askings at a time
NO_V1 = "; the list of models stands below /v1: add /v1 to the address (`base_url`)"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check of a key. `detail` is our own words; `models` is empty unless the state is ready.

    `hint`: what the operator may have to mend in its upstream's `kind` or `base_url`; empty if nothing seems wrong.
    `words`: the provider's own, scrubbed. `status`: of the answer, if there was one.
    """

    state: ProbeState
    detail: str
    models: tuple[str, ...] = ()
    hint: str = ""
    words: str = field(default="", compare=False)
    status: int = field(default=0, compare=False)


class ProbedKeys(Protocol):
    """The running keys, as far as a prober is concerned. It asks only about keys that are among them."""

    def state(self, key_id: str) -> Stands:
        """How the key as a whole stands."""

    def checked(self, key_id: str, found: Check) -> None:
        """So a free request has ended: for the operator to read."""

    def due(self, key_id: str, at: float | None) -> None:
        """The next one is due at an instant; None: none is planned."""

    def probed(self, key_id: str, found: ProbeState) -> None:
        """A free request found the key let in (not that it has credit), refused, out of reach, or showed nothing."""

    def learn(self, key_id: str, event: KeyEvent) -> None: ...

    def offer(self, upstream: str, models: Iterable[str]) -> None:
        """The keys of this upstream have these models between them."""


class Prober:
    """Keeps what is shown of idle keys true. `clock` is seconds, monotonic; `jitter` gives numbers from 0 to 1.

    `ask` checks one key (`check`).
    """

    def __init__(
        self,
        keys: ProbedKeys,
        registry: UpstreamRegistry,
        ask: Callable[[str, UpstreamSpec], Awaitable[Check]],
        interval: float,
        jitter: Callable[[], float],
        clock: Callable[[], float],
        concurrency: int = CONCURRENCY,
    ) -> None:
        self._keys, self._registry, self._ask, self._jitter, self._clock = keys, registry, ask, jitter, clock
        self._schedule = Schedule(interval, concurrency)
        self._watched: dict[str, UpstreamSpec] = {}
        self._found: dict[str, tuple[ProbeState, str]] = {}  # what was found last, and the hint
        self._models: dict[str, tuple[str, ...]] = {}  # what each key listed last
        self._wanted: set[str] = set()  # the operator asked, and has no answer yet
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._started = False
        self._listed = asyncio.Event()  # set when the models of all upstreams are known

    async def start(self, patience: float = 5.0) -> None:
        """Begin, with all keys of the registry; returns when all models are known, or after some seconds."""
        self._started = True
        known = self._registry.keys.values()
        self._watched = {key.id: key.spec for key in sorted(known, key=lambda each: bool(each.spec.models))}
        self.wake()  # first those whose models are awaited
        with suppress(TimeoutError):
            await asyncio.wait_for(self._listed.wait(), patience)

    async def close(self) -> None:
        """Ask no upstream any more."""
        self._started = False
        self._watched.clear()
        self._disarm()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def watch(self, key_id: str) -> None:
        """Ask about one more key, from now on. The registry and the pool know it already."""
        self._watched[key_id] = self._registry.keys[key_id].spec
        self.wake()

    def forget(self, key_id: str) -> None:
        """Ask no more about a key."""
        self._watched.pop(key_id, None)
        self._found.pop(key_id, None)
        self._models.pop(key_id, None)
        self._wanted.discard(key_id)
        self._schedule.forget(key_id)
        if (task := self._tasks.pop(key_id, None)) is not None:
            task.cancel()

    def suspect(self, key_id: str) -> None:
        """Real traffic made this key look bad: ask soon."""
        self._schedule.suspect(key_id, self._clock())
        self.wake()

    def recheck(self, key_id: str) -> None:
        """The operator wants to know now, also of a key that was refused.

        It begins anew if it is let in, and also where the upstream does not say: the operator may know better.
        """
        if key_id in self._watched:
            self._wanted.add(key_id)
            self._schedule.watch(key_id, self._clock())
            self._schedule.want(key_id, self._clock())
            self.wake()

    def progress(self) -> tuple[int, int]:
        """How many keys have been asked about since the start, and how many are to be."""
        return self._schedule.progress()

    def wake(self) -> None:
        """Ask about each key that is due, and be awake for the next one. To be called after a pause or resume, too."""
        if not self._started:
            return
        now, alive = self._clock(), self._alive()
        for key_id in self._watched:
            wanted = key_id in self._wanted or key_id in self._tasks
            if self._keys.state(key_id) is not Stands.PAUSED:
                self._schedule.watch(key_id, now)
            elif not wanted:
                self._schedule.forget(key_id)
            if key_id not in alive and not wanted:
                self._schedule.retire(key_id, now)
        for key_id in self._schedule.begin(now):
            self._tasks[key_id] = asyncio.create_task(self._probe(key_id, self._reviving(key_id)))
            self._wanted.discard(key_id)
        if not any(self._unlisted(self._watched[key_id]) for key_id in alive):
            self._listed.set()
        for key_id in self._watched:
            self._keys.due(key_id, self._schedule.due(key_id))
        self._arm()

    def _alive(self) -> set[str]:
        return {key_id for key_id in self._watched if self._keys.state(key_id) not in DEAD}

    def _reviving(self, key_id: str) -> frozenset[ProbeState]:
        """The findings with which a key begins anew. A request from before a refusal revives nothing."""
        if key_id in self._wanted:
            return frozenset({"ready", "unclear"})
        return frozenset({"ready"}) if self._keys.state(key_id) is Stands.REVOKED else frozenset()

    async def _probe(self, key_id: str, reviving: frozenset[ProbeState]) -> None:
        spec = self._watched[key_id]
        found = await self._ask(key_id, spec)
        del self._tasks[key_id]
        self._teach(key_id, spec, found, reviving)
        if found.state == "unreachable" or (found.state != "revoked" and self._unlisted(spec)):
            self._schedule.missed(key_id, self._clock())
        else:
            self._schedule.settled(key_id, self._clock(), self._jitter())
        self.wake()

    def _teach(self, key_id: str, spec: UpstreamSpec, found: Check, reviving: frozenset[ProbeState]) -> None:
        well, news = ("ready", ""), (found.state, found.hint)
        before, self._found[key_id] = self._found.get(key_id, well), news
        if news not in (well, before):
            log.warning("upstream %s, key %s: %s, %s%s", spec.name, key_id, found.state, found.detail, found.hint)
        self._keys.checked(key_id, found)
        if found.state in reviving and self._keys.state(key_id) is not Stands.PAUSED:
            self._keys.learn(key_id, KeyEvent.RESUME)
        self._keys.probed(key_id, found.state)
        if not spec.models and found.models:
            self._models[key_id] = found.models
            self._keys.offer(spec.name, self._listed_by(spec.name))

    def _unlisted(self, spec: UpstreamSpec) -> bool:
        """Whether neither the operator nor the upstream has named the models of an upstream."""
        return not spec.models and not self._listed_by(spec.name)

    def _listed_by(self, upstream: str) -> frozenset[str]:
        """The models that the keys of an upstream list between them. Real traffic shows which key may use which."""
        keys = [key_id for key_id, spec in self._watched.items() if spec.name == upstream]
        return frozenset(model for key_id in keys for model in self._models.get(key_id, ()))

    def _arm(self) -> None:
        self._disarm()
        due = self._schedule.next_wakeup()
        if due is not None:
            # A millisecond late rather than early: event loops round, and an early timer would find nothing to do.
            delay = max(0.0, due - self._clock()) + 0.001
            self._timer = asyncio.get_running_loop().call_later(delay, self.wake)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def check(upstreams: Upstreams, key_id: str, spec: UpstreamSpec) -> Check:
    """Ask the upstream for the models of this key. Never raises for what an upstream does or fails to do."""
    query = "" if "openai" in spec.dialects else "limit=1000"  # Anthropic gives 20 unless asked for more
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            found, status = await _look(upstreams, key_id, spec, "/models", query)
            if status != 404:
                return found
            below, _ = await _look(upstreams, key_id, spec, "/v1/models", query)
            return replace(found, hint=NO_V1) if below.state == "ready" else found
    except TimeoutError:
        return Check("unreachable", "no answer in time")
    except AttemptFailed as failure:
        late = isinstance(failure.refusal, UpstreamTimeout)
        return Check("unreachable", "no answer in time" if late else NO_ANSWER)
    except Broken:
        return Check("unreachable", NO_ANSWER)


async def tried(configured: Iterable[UpstreamSpec], ways: Egress, spec: UpstreamSpec, secret: Secret) -> Check:
    """Check a key that is not in use, by the way of its upstream if that is `configured`. Never raises, as `check`."""
    registry = UpstreamRegistry(configured)
    upstreams = Upstreams(registry.route, Patience(), ways)
    try:
        return await check(upstreams, registry.add(spec, secret).id, spec)
    finally:
        await upstreams.close()


async def _look(upstreams: Upstreams, key_id: str, spec: UpstreamSpec, place: str, query: str) -> tuple[Check, int]:
    """Ask for the list at one place. Raises TimeoutError, AttemptFailed, Broken."""
    dialect = OPENAI if "openai" in spec.dialects else ANTHROPIC
    async with upstreams.look_up(key_id, dialect, place, query) as answer:
        try:
            body = await answer.whole(LARGEST_LIST)
        except TooLong:
            body = b""
        found = _listed(body, spec) if answer.status == 200 else _refused(answer.status, answer.headers, body)
        words = "" if found.state == "ready" else words_of(body)
        return replace(found, hint=_hint(spec, answer.headers, body), words=words, status=answer.status), answer.status


def _listed(body: bytes, spec: UpstreamSpec) -> Check:
    try:
        models = spec.ours({_name(each) for each in json.loads(body)["data"]})
    except (ValueError, TypeError, KeyError, RecursionError):
        return Check("unclear", "the answer is no list of models")
    return Check("ready", "let in", models)


def _hint(spec: UpstreamSpec, headers: Mapping[str, str], body: bytes) -> str:
    """The kind that fits, if the answer bears the marks of another one than the operator says, or the address shows.

    Many servers say that their models are OpenAI's, and one that speaks Anthropic's dialect looks like Anthropic: both
    are believed only against a kind that the operator names.
    """
    try:
        found = recognised(headers, json.loads(body))
    except (ValueError, RecursionError):
        found = recognised(headers, None)
    if (
        found is None
        or found is spec.row
        or spec.kind == GENERIC.name
        or (found.name in {"openai", *spec.dialects} and not spec.kind)
    ):
        return ""
    return f"; {found.name} answers there: `kind: {found.name}` fits"


def _name(entry: dict[str, object]) -> str:
    name = entry["id"]
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 256:
        raise ValueError
    return name


def _refused(status: int, headers: Mapping[str, str], body: bytes) -> Check:
    if judge(status, headers, body, 0.0).event is KeyEvent.KEY_REFUSED:
        return Check("revoked", f"the upstream does not know this key ({status})")
    if status >= 500:
        return Check("unreachable", f"the upstream is not well ({status})")
    # 403: OpenAI's restricted keys may not list models; 404: some servers have no list; 429: asked too often.
    return Check("unclear", f"the upstream does not say ({status})")
