"""How the upstream keys stand, for the administrators' page and the JSON API: the pool's word, and the ledger's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from keypool.snapshot import KeySnapshot
from server.http.services import ManagementServices
from server.keys.standing import NO_MONEY, KeyMoney, KeyStanding, standing_of
from server.keys.wishes import ListedKey
from server.ledger.holds import Estimate, Who, applying_to_upstream, claim
from server.ledger.reports import By, Which

PATIENCE = 8.0  # seconds for the result of a test: the pool may be in another process, which hears of it in a second
LOOK_SECONDS = 0.1
NO_ONE = Who("", None, ())
NOTHING = Estimate(0, 0, 0)


async def standings(services: ManagementServices, keys: Sequence[ListedKey]) -> dict[str, KeyStanding]:
    """How these keys stand, by their fingerprints."""
    spent, pool = await _spent(services, keys), services.dispatcher.snapshot()
    seen = {each.id: each for each in pool.keys}
    now, wall = services.dispatcher.now(), services.wall()
    return {key.id: standing_of(seen.get(key.id), pool.domains, spent.get(key.id, NO_MONEY), now, wall) for key in keys}


async def tested(services: ManagementServices, actor: str, key_id: str) -> bool:
    """Have a key tested now, and wait for the result; False if it takes longer than some seconds.

    Raises CommandError, StoreError.
    """
    asked = services.dispatcher.now()
    await services.keys.recheck(actor, key_id)
    await services.take_effect()
    until = asked + PATIENCE
    while not _is_tested(services.dispatcher.snapshot().keys, key_id, asked):
        if services.dispatcher.now() >= until:
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True


def _is_tested(keys: Sequence[KeySnapshot], key_id: str, since: float) -> bool:
    return any(key.id == key_id and key.checked is not None and key.checked.at >= since for key in keys)


async def _spent(services: ManagementServices, keys: Sequence[ListedKey]) -> dict[str, KeyMoney]:
    """What each key has cost today, and how the caps of its upstream stand."""
    today = services.calendar.starts(services.calendar.day(services.wall()))
    sums = {each.key[0]: each for each in await services.store.usage_sums(Which(after=today), (By.KEY,))}
    caps = {name: await _caps(services, name) for name in dict.fromkeys(key.spec.name for key in keys)}
    found = {}
    for key in keys:
        used = sums.get(key.id)
        cost, requests = (used.cost_micro_usd, used.requests) if used else (0, 0)
        found[key.id] = KeyMoney(cost, requests, caps[key.spec.name])
    return found


async def _caps(services: ManagementServices, upstream: str) -> tuple[tuple[int, int, float | None], ...]:
    now = services.wall()
    limits = [
        each for each in applying_to_upstream(services.book.limits, upstream, None, now) if each.unit.value == "usd"
    ]
    mine = claim(limits, NO_ONE, NOTHING, services.calendar, now)
    if not mine.counters:
        return ()
    taken = dict(zip(mine.counters, await services.store.taken(mine.counters), strict=True))
    return tuple(
        (each.taken, each.entry.most, None if each.entry.resets_at is None else (each.entry.resets_at - now) / 1000)
        for each in mine.standings(taken)
    )
