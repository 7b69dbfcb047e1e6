"""The keys of the running pool, as those see them who check them and who add and remove them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from urllib.parse import urlsplit

from keypool.domains import Quota
from keypool.health import KeyEvent, KeyState
from keypool.keys import Key
from server.config.specs import Secret, UpstreamSpec
from server.dispatcher import Dispatcher
from server.keys.prober import ProbeState as Found
from server.upstream import Upstreams

# What a free request teaches. It shows that a key is let in; it shows neither credit nor a model's health.
_TAUGHT = {"ready": KeyEvent.LISTED, "revoked": KeyEvent.KEY_REFUSED, "unreachable": KeyEvent.UNREACHED}
Heard = Callable[[UpstreamSpec], None]


def _nobody(spec: UpstreamSpec) -> None:
    """Hears nothing."""


class RunningKeys:
    """Speaks to the pool about single keys, each named by its fingerprint.

    `know` hears of each one that is added, and `forget` of each of these that is removed.
    """

    def __init__(
        self, dispatcher: Dispatcher, upstreams: Upstreams, know: Heard = _nobody, forget: Heard = _nobody
    ) -> None:
        self._dispatcher, self._upstreams, self._know, self._forget = dispatcher, upstreams, know, forget
        self._added: dict[str, UpstreamSpec] = {}

    def key_ids(self) -> Collection[str]:
        return self._dispatcher.pool.keys.keys()

    def state(self, key_id: str) -> KeyState:
        """How the key as a whole stands."""
        return self._dispatcher.pool.keys[key_id].whole.state

    def probed(self, key_id: str, found: Found) -> None:
        """A free request has told something, or nothing."""
        if (event := _TAUGHT.get(found)) is not None and key_id in self.key_ids():
            self._dispatcher.learn(key_id, event)

    def learn(self, key_id: str, event: KeyEvent) -> None:
        self._dispatcher.learn(key_id, event)

    def offer(self, upstream: str, models: Iterable[str]) -> None:
        self._dispatcher.offer(upstream, models)

    def add_key(self, spec: UpstreamSpec, secret: Secret) -> None:
        """Use one more key from now on."""
        self._upstreams.know(spec.name, spec.base_url)
        self._added[secret.fingerprint] = spec
        self._know(spec)
        self._dispatcher.add(key_of(spec, secret))

    def remove_key(self, key_id: str) -> None:
        self._dispatcher.remove(key_id)
        if (spec := self._added.pop(key_id, None)) is not None:
            self._forget(spec)


def key_of(spec: UpstreamSpec, secret: Secret) -> Key:
    """A key of the pool, under the terms of its upstream."""
    owner = {f"person:{spec.owner}"} if spec.owner and spec.groups else set()
    return Key(
        id=secret.fingerprint,
        upstream=spec.name,
        secret=secret.reveal(),
        dialects=frozenset(spec.dialects),
        models=frozenset(spec.models),
        slots=spec.slots,
        groups=frozenset(spec.groups) | owner,
        organisation=f"{urlsplit(spec.base_url).hostname}:{spec.organisation}" if spec.organisation else "",
        quota=Quota(spec.rpm, spec.tpm, spec.itpm, spec.otpm, spec.rpd),
    )
