"""The registry of upstreams: what each one is, and the secret of each of its keys.

It is the only place that keeps a provider's secret in a running gateway. The pool knows a key by its id and its limits,
the prober and the synchronisation with the store by its id. When `server/upstream.py` sends, it asks here where a key's
requests go and with which secret. A key that has been removed has no way to its provider from that moment on.

Everything is in memory. The registry does no I/O and knows of no pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from urllib.parse import urlsplit

from keypool.domains import Quota
from keypool.keys import Key
from server.config.specs import Secret, UpstreamSpec
from server.config.upstream_kinds import address
from server.upstream import Route


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """A key in use. `spec` is its upstream, without any secret; `added`: at run time, not by the configuration."""

    id: str
    spec: UpstreamSpec
    secret: Secret
    added: bool


class UpstreamRegistry:
    """The upstreams of the configuration, and the keys of all upstreams by their fingerprints."""

    def __init__(self, configured: Iterable[UpstreamSpec] = ()) -> None:
        self._configured: list[UpstreamSpec] = []
        self._keys: dict[str, RegisteredKey] = {}
        self._routes: dict[str, Route] = {}
        self._machine: dict[str, UpstreamSpec] = {}  # by the upstream's name, what of it is this machine's alone
        for spec in configured:
            self.configure(spec)

    @property
    def keys(self) -> Mapping[str, RegisteredKey]:
        """All keys in use, those of the configuration first."""
        return MappingProxyType(self._keys)

    @property
    def configured(self) -> tuple[UpstreamSpec, ...]:
        """The upstreams of the configuration, without any secret."""
        return tuple(self._configured)

    def configure(self, spec: UpstreamSpec) -> None:
        """Take an upstream of the configuration, with its keys."""
        bare = spec.bare()
        self._machine[spec.name] = replace(spec, keys=())
        self._configured.append(bare)
        for key in spec.keys:
            secret = key.carrying(spec.headers)
            self._take(RegisteredKey(secret.fingerprint, bare, secret, added=False))

    def add(self, spec: UpstreamSpec, secret: Secret) -> RegisteredKey:
        """Take a key that was added at run time, under the terms of `spec`."""
        key = RegisteredKey(secret.fingerprint, spec.bare(), secret, added=True)
        self._take(key)
        return key

    def remove(self, key_id: str) -> RegisteredKey | None:
        """Forget a key; returns what it was, None if there was none."""
        self._routes.pop(key_id, None)
        return self._keys.pop(key_id, None)

    def route(self, key_id: str) -> Route | None:
        """Where the requests of a key go, and with which secret; None if it is not in use."""
        return self._routes.get(key_id)

    def _take(self, key: RegisteredKey) -> None:
        self._keys[key.id] = key
        spec, machine = key.spec, self._machine.get(key.spec.name, key.spec)
        self._routes[key.id] = Route(
            address(spec.row, spec.base_url, spec.api_version),
            key.secret,
            machine.proxies,
            machine.ca_file,
            kind=spec.row,
            api_version=spec.api_version,
            names=spec.theirs,
            headers=machine.headers,
        )

    def address(self, upstream: str) -> str | None:
        """The base URL of an upstream; None if none of this name is in use. There is one address for each name."""
        specs = (*self._configured, *(key.spec for key in self._keys.values()))
        return next((spec.base_url for spec in specs if spec.name == upstream), None)


def pool_key(key_id: str, spec: UpstreamSpec) -> Key:
    """The key as the pool knows it: an id under the terms of its upstream."""
    owner = {f"person:{spec.owner}"} if spec.owner and spec.groups else set()
    return Key(
        id=key_id,
        upstream=spec.name,
        dialects=spec.spoken,
        models=frozenset(spec.models),
        slots=spec.slots,
        groups=frozenset(spec.groups) | owner,
        organisation=f"{urlsplit(spec.base_url).hostname}:{spec.organisation}" if spec.organisation else "",
        quota=Quota(spec.rpm, spec.tpm, spec.itpm, spec.otpm, spec.rpd),
    )
