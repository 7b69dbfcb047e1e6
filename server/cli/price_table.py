"""The prices that a gateway with these settings would use, for the verbs that need them without a gateway."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import orjson

from server.accounting.price_catalogue import Catalogue
from server.accounting.price_file import read_prices
from server.accounting.runtime_config import tariffs_of
from server.admin.long_work import WorkError
from server.admin.repricing import Prices
from server.bootstrap import from_settings as wiring
from server.config.settings import Settings
from server.ledger.prices import Price, PriceTable, price_body, price_of
from server.ledger.tariff import Tariff
from server.policy.groups import Group, group_of
from server.store.base import Store


async def price_table(settings: Settings, store: Store) -> Prices:
    """The prices that a gateway with these settings would use. Raises WorkError if some of them cannot be read.

    A gateway leaves such a price out and goes on; who rewrites the past must know all of them.
    """
    own = [*wiring.own_prices(settings), *await asyncio.to_thread(_of_file, settings.prices_file)]
    try:
        own += [price_of(record.id, record.body) for record in await store.records("price")]
    except ValueError:
        raise WorkError("a price of `price list` cannot be read: set it anew, or remove it") from None
    specs = [*settings.upstreams, *(key.spec for key in await store.added_keys())]
    catalogue = await asyncio.to_thread(Catalogue.load)
    table = PriceTable(own, catalogue.base(specs), settings.unpriced_models)
    served = [(spec.base_url, spec.dialects, spec.models) for spec in specs]
    tariff = Tariff.of(settings.tool_prices, settings.service_factors)
    of_groups = tariffs_of(await _groups(store), tariff)
    beside = [dict(tariff.tools), dict(tariff.factors), {name: dict(it.tools) for name, it in of_groups.items()}]
    decided = [[(price.id, price_body(price)) for price in own], settings.unpriced_models, served, beside]
    return Prices(table.of, hashlib.sha256(orjson.dumps(decided)).hexdigest(), tariff, of_groups)


async def _groups(store: Store) -> list[Group]:
    """The groups, some of which have prices of their own for tools. Raises WorkError if one cannot be read."""
    try:
        return [group_of(record.id, record.body) for record in await store.records("group")]
    except ValueError:
        raise WorkError("a group of `group list` cannot be read: set it anew, or remove it") from None


def _of_file(path: str) -> list[Price]:
    prices, mistakes = read_prices(Path(path)) if path else ([], [])
    if mistakes:
        raise WorkError("\n".join(["the price file has mistakes:", *mistakes]))
    return prices
