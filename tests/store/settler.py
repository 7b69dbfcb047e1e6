"""A process that settles requests and prints the id of each that was acknowledged: `settler URL ID...`, or for ever.

With ids it settles those and prints the ones that it was the first to write; without, it invents ids until it is
killed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from itertools import count
from os import getpid

from server.store.base import Store
from server.store.sqlite.store import SqliteStore
from tests.store.samples import settlement

AT_ONCE = 20


async def settle_some(store: Store, ids: Iterable[str]) -> None:
    for request_id in ids:
        if await store.settle(settlement(request_id)):
            print(request_id, flush=True)


async def main(url: str, given: list[str]) -> None:
    ids = iter(given) if given else (f"{getpid()}-{number}" for number in count())
    async with SqliteStore(url) as store:
        await asyncio.gather(*[settle_some(store, ids) for _ in range(AT_ONCE)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
