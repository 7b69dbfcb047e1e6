"""A process that reserves 1 for each of many requests at once and prints how many were admitted: `reserver URL PREFIX
NUMBER LIMIT`."""

from __future__ import annotations

import asyncio
import sys

from server.ledger.quota import Reserved
from server.store import store_for
from tests.store.samples import reservation


async def main(url: str, prefix: str, number: int, limit: int) -> None:
    async with store_for(url) as store:
        answers = await asyncio.gather(
            *[store.reserve(reservation(f"{prefix}{each}", ("counter", 1, limit))) for each in range(number)]
        )
    print(sum(isinstance(answer, Reserved) for answer in answers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
