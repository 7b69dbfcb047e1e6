"""The keys of the running pool, as those see them who check them and who add and remove them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from keypool.health import KeyEvent, KeyState
from keypool.trouble import KeyCheck
from server.config.specs import Secret, UpstreamSpec
from server.dispatcher import Dispatcher
from server.keys.prober import Check
from server.keys.prober import ProbeState as Found
from server.keys.registry import UpstreamRegistry, pool_key

# The event of each finding of a free request. It shows that a key is let in, but neither credit nor a model's health.
_TAUGHT = {"ready": KeyEvent.LISTED, "revoked": KeyEvent.KEY_REFUSED, "unreachable": KeyEvent.UNREACHED}
Heard = Callable[[UpstreamSpec], None]


def _unheard(spec: UpstreamSpec) -> None:
    """Does nothing."""


class RunningKeys:
    """Changes the registry and the pool together; each key is named by its fingerprint.

    `know` hears of each upstream of which a key is added, and `forget` when one of these is removed.
    """

    def __init__(
        self, dispatcher: Dispatcher, registry: UpstreamRegistry, know: Heard = _unheard, forget: Heard = _unheard
    ) -> None:
        self._dispatcher, self._registry, self._know, self._forget = dispatcher, registry, know, forget

    def key_ids(self) -> Collection[str]:
        return self._dispatcher.keyring.keys.keys()

    def state(self, key_id: str) -> KeyState:
        """How the key as a whole stands."""
        return self._dispatcher.keyring.keys[key_id].whole.state

    def checked(self, key_id: str, found: Check) -> None:
        """Remember for the operator what a free request has shown."""
        if (key := self._dispatcher.keyring.keys.get(key_id)) is not None:
            now, models = self._dispatcher.now(), len(found.models)
            key.checked = KeyCheck(now, found.state, found.detail, found.hint, found.words, models, found.status)

    def due(self, key_id: str, at: float | None) -> None:
        if (key := self._dispatcher.keyring.keys.get(key_id)) is not None:
            key.next_check = at

    def probed(self, key_id: str, found: Found) -> None:
        """Learn what a free request has shown."""
        if (event := _TAUGHT.get(found)) is not None and key_id in self.key_ids():
            self._dispatcher.learn(key_id, event)

    def learn(self, key_id: str, event: KeyEvent) -> None:
        self._dispatcher.learn(key_id, event)

    def offer(self, upstream: str, models: Iterable[str]) -> None:
        self._dispatcher.offer(upstream, models)

    def add_key(self, spec: UpstreamSpec, secret: Secret) -> None:
        """Use one more key from now on."""
        key = self._registry.add(spec, secret)
        self._know(key.spec)
        self._dispatcher.add(pool_key(key.id, key.spec))

    def retune_key(self, spec: UpstreamSpec, secret: Secret) -> None:
        """A key that was added has these terms from now on. What it serves goes on, and what is known of it stays."""
        before, key = self._registry.keys[secret.fingerprint], self._registry.add(spec, secret)
        self._know(key.spec)
        self._forget(before.spec)
        self._dispatcher.retune(pool_key(key.id, key.spec))

    def remove_key(self, key_id: str) -> None:
        """Give no further request to a key; what it serves now ends undisturbed."""
        self._dispatcher.remove(key_id)
        key = self._registry.remove(key_id)
        if key is not None and key.added:
            self._forget(key.spec)
