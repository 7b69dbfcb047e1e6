"""The running keys without a pool: what a prober and a key room need of a dispatcher, on the real table of states."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from keypool.health import KeyEvent, KeyHealth, KeyState
from server.config.specs import Secret, UpstreamSpec
from server.keys.prober import Check
from server.keys.prober import ProbeState as Found
from server.keys.registry import UpstreamRegistry


class Clock:
    """Seconds, moved by the test alone."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class RunningKeys:
    """`events` is all that was learnt, in order; `offered` the models of each upstream."""

    def __init__(self, registry: UpstreamRegistry) -> None:
        self.registry = registry
        self.standings = {key_id: KeyHealth() for key_id in registry.keys}
        self.offered: dict[str, frozenset[str]] = {}
        self.events: list[tuple[str, KeyEvent]] = []
        self.checks: dict[str, Check] = {}
        self.dues: dict[str, float | None] = {}

    def key_ids(self) -> Collection[str]:
        return self.standings.keys()

    def add_key(self, spec: UpstreamSpec, secret: Secret) -> None:
        assert secret.fingerprint not in self.standings, "a key is added once"
        self.standings[self.registry.add(spec, secret).id] = KeyHealth()

    def retune_key(self, spec: UpstreamSpec, secret: Secret) -> None:
        assert secret.fingerprint in self.standings, "it is a key that is there"
        self.registry.add(spec, secret)

    def remove_key(self, key_id: str) -> None:
        del self.standings[key_id]
        self.registry.remove(key_id)

    def state(self, key_id: str) -> KeyState:
        return self.standings[key_id].state

    def learn(self, key_id: str, event: KeyEvent) -> None:
        self.events.append((key_id, event))
        self.standings[key_id].apply(event, 0.0)

    def checked(self, key_id: str, found: Check) -> None:
        self.checks[key_id] = found

    def due(self, key_id: str, at: float | None) -> None:
        self.dues[key_id] = at

    def probed(self, key_id: str, found: Found) -> None:
        state = self.state(key_id)
        if found == "revoked":
            self.learn(key_id, KeyEvent.KEY_REFUSED)
        elif found == "ready" and state in (KeyState.UNCHECKED, KeyState.COOLING):
            self.learn(key_id, KeyEvent.ANSWERED)
        elif found == "unreachable" and state in (KeyState.UNCHECKED, KeyState.READY):
            self.learn(key_id, KeyEvent.FAILED)

    def offer(self, upstream: str, models: Iterable[str]) -> None:
        self.offered[upstream] = frozenset(models)
