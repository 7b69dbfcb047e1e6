"""A machine with workers beside a gateway, on one MongoDB: a limit per minute holds over all of them."""

from __future__ import annotations

import asyncio

import pytest
from tornado.ioloop import IOLoop

from server.cluster.rates import UNHEARD_SECONDS
from server.ledger.limits import LimitWindow, Scope, Unit
from tests.accounting.books import budget
from tests.cluster.conftest import Pair
from tests.faults.stage import until
from tests.gateways import Running
from tests.workers.machines import machine
from web.view import StatusView


@pytest.mark.soak
@pytest.mark.alone
def test_what_a_gateway_lets_in_the_workers_of_another_machine_count_and_the_other_way_round(
    io_loop: IOLoop, pair: Pair
) -> None:
    async def scene() -> None:
        async with machine(pair.fake, 2, **{**pair.place.settings, "store_seconds": 20.0}) as made:
            token, (first, second) = made.workers[0].token, made.workers
            person = next(each for each in await pair.store.people() if each.name == "ada")
            limit = budget(Scope.PERSON, person.id, Unit.REQUESTS, 6, window=LimitWindow.MINUTE)
            await pair.one.services.changes.set_limit("operator", limit)
            for each in (pair.one, first, second):
                await each.services.take_effect()

            async def statuses(*order: Running) -> list[int]:
                return [(await pair.ask(each, token)).status for each in order]

            assert await statuses(pair.one, pair.one, first, second) == [200] * 4
            await asyncio.sleep(2 * UNHEARD_SECONDS)
            assert await statuses(first, second, first, second) == [200, 200, 429, 429]
            await asyncio.sleep(2 * UNHEARD_SECONDS)
            assert await statuses(pair.one, first, second) == [429] * 3
            await until(lambda: all(each.services.status_service.status.elsewhere() for each in (pair.one, first)))
            slots = [sum(one.slots for one in (await shown(each)).models) for each in (pair.one, first)]
            assert slots[0] == slots[1], "the status page is of all of them, whichever is asked"

    io_loop.run_sync(scene)


async def shown(gateway: Running) -> StatusView:
    status = gateway.services.status_service.status
    status.forget()
    return await status.view()
