"""The keys of a worker, whose pool is in another process: it has their secrets and judges none of them.

`KeySync` follows the store in each worker, so that no secret goes from one process to another. What it finds out about
pauses and checks concerns the pool process alone, which follows the store as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from keypool.health import KeyEvent
from server.config.specs import Secret, UpstreamSpec
from server.keys.registry import UpstreamRegistry


class SecretsOnly:
    """Changes the registry alone. `know` and `forget` hear of upstreams as those of `RunningKeys` do."""

    def __init__(
        self,
        registry: UpstreamRegistry,
        know: Callable[[UpstreamSpec], None],
        forget: Callable[[UpstreamSpec], None],
    ) -> None:
        self._registry, self._know, self._forget = registry, know, forget

    def has(self, key_id: str) -> bool:
        """Whether a request can be sent with a key."""
        return key_id in self._registry.keys

    def key_ids(self) -> Collection[str]:
        return self._registry.keys.keys()

    def add_key(self, spec: UpstreamSpec, secret: Secret) -> None:
        self._know(self._registry.add(spec, secret).spec)

    def retune_key(self, spec: UpstreamSpec, secret: Secret) -> None:
        before = self._registry.keys[secret.fingerprint]
        self._know(self._registry.add(spec, secret).spec)
        self._forget(before.spec)

    def remove_key(self, key_id: str) -> None:
        key = self._registry.remove(key_id)
        if key is not None and key.added:
            self._forget(key.spec)

    def learn(self, key_id: str, event: KeyEvent) -> None:
        """The pool process learns it itself."""


class NoProber:
    """Asks about no key: the pool process does."""

    def watch(self, key_id: str) -> None: ...

    def forget(self, key_id: str) -> None: ...

    def recheck(self, key_id: str) -> None: ...

    def wake(self) -> None: ...
