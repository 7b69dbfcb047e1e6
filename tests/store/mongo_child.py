"""A process that uses the MongoDB store: `mongo_child URL DRIVER settle` or `mongo_child URL DRIVER reserve NUMBER`.

`settle` reserves and settles invented requests until it is killed, and prints the id of each whose settlement was
acknowledged. `reserve` asks for one of the ten that there are, so many times at once, and prints how often it got one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from itertools import count
from os import getpid

from server.ledger.quota import Reserved
from server.store.base import Store
from server.store.mongo.store import MongoStore
from tests.store.samples import reservation, settlement

AT_ONCE = 10
FAR = 10**12
TEN = ("everyone/requests/ever", 1, 10)


async def settle_some(store: Store, numbers: Iterator[int]) -> None:
    for number in numbers:
        request_id, mine = f"{getpid()}-{number}", f"person-{number % 3}/usd/ever"
        await store.reserve(reservation(request_id, (mine, 50, FAR), ("everyone/usd/ever", 50, FAR)))
        charges = {mine: number, "everyone/usd/ever": number, "upstream/usd/ever": 1}
        if await store.settle(settlement(request_id, charges, cost_micro_usd=number, person_id=f"usr_{number % 3}")):
            print(request_id, flush=True)


async def settle(store: Store) -> None:
    numbers = count()
    await asyncio.gather(*[settle_some(store, numbers) for _ in range(AT_ONCE)])


async def reserve(store: Store, number: int) -> int:
    asked = [store.reserve(reservation(f"{getpid()}-{each}", TEN)) for each in range(number)]
    return sum(isinstance(answer, Reserved) for answer in await asyncio.gather(*asked))


async def main(url: str, driver: str, verb: str, *number: str) -> None:
    async with MongoStore(url, driver) as store:
        if verb == "settle":
            await settle(store)
        else:
            print(await reserve(store, int(number[0])))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
