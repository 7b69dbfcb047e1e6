"""Whose keys are shared here: the owners that the operator names, for a word of thanks on the public page.

An owner who is a person of this gateway is named only by the nickname that they chose for the leaderboard; without one
they are not named at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.config.specs import UpstreamSpec
from server.single_flight import SingleFlight
from server.store.base import Store, StoreError

FRESH_SECONDS = 60.0
MOST = 50  # owners


class Thanks:
    """`configured`: the upstreams of the settings; added keys are in the store. `clock` is monotonic seconds."""

    def __init__(self, store: Store, configured: Sequence[UpstreamSpec], clock: Callable[[], float]) -> None:
        self._store, self._configured = store, tuple(configured)
        self._owners = SingleFlight(self._read, FRESH_SECONDS, clock)

    async def owners(self) -> tuple[str, ...]:
        """Their names, by the alphabet; none while the store is away."""
        return await self._owners.get("")

    async def _read(self, _: str) -> tuple[str, ...]:
        try:
            added = [key.spec for key in await self._store.added_keys()]
            named = {spec.owner for spec in (*self._configured, *added) if spec.owner}
            people = await self._store.people() if named else []
        except StoreError:
            return ()
        shown = {name: person.nickname for person in people for name in (person.name, person.id)}
        chosen = {shown.get(name, name) for name in named}
        return tuple(sorted(name for name in chosen if name))[:MOST]
