"""The verbs about prices: `python -m server price ...`. Prices with tiers stand in the price file."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse

from server.admin.changes import OPERATOR
from server.admin.consequences import of_price_removal
from server.admin.differences import differences
from server.cli.context import (
    A_DAY,
    Add,
    CommandContext,
    asks,
    creates,
    insist,
    parsed,
    plain,
    read,
    tell_unreadable,
    wall,
    when,
)
from server.cli.output import Columns, lists, print_json, show
from server.cli.price_table import price_table
from server.config import parsers
from server.http.api.schemas import price_json
from server.ledger.money import usd
from server.ledger.prices import TOKENS, Price, Rates, price_body, price_of
from server.policy.commands import CommandError

_TOKENS = ("input", "output", *(kind for kind in TOKENS if kind not in ("input", "output")))


def add_verbs(add: Add) -> None:
    lists(add("list", _list, "the prices that were decided at run time; those of PRICES_FILE hold beside them"))
    each = add("set", _set, "set --input USD --output USD MODEL: from now on, if nothing else is said")
    each.add_argument("model", metavar="MODEL", help="a name, or its beginning and a *")
    for kind in _TOKENS:
        each.add_argument(_option(kind), type=parsed(parsers.micro_usd), metavar="USD", help="a million tokens")
    for kind, unit in (("request", "each request"), ("image", "each picture"), ("audio_minute", "a minute of sound")):
        each.add_argument(_option(kind), type=parsed(parsers.micro_usd), metavar="USD", help=unit)
    each.add_argument("--since", metavar="WHEN", help=A_DAY)
    creates(each)
    remove = add("remove", _remove, "forget a price")
    remove.add_argument("id", metavar="ID")
    asks(remove)
    each = lists(add("show", _show, "what a model costs, by whichever price holds"))
    each.add_argument("model", metavar="MODEL")
    each.add_argument("--at", metavar="WHEN", help=A_DAY)


def _option(kind: str) -> str:
    return "--" + kind.replace("_", "-")


async def _list(room: CommandContext, options: argparse.Namespace) -> None:
    columns: Columns[Price] = {
        "id": lambda each: each.id,
        "since": lambda each: when(each.valid_from),
        "USD": _rates,
    }
    show(room.settings, options, await room.changes.prices(), price_json, columns)
    await tell_unreadable(room, "price")


async def _set(room: CommandContext, options: argparse.Namespace) -> None:
    since = wall() if options.since is None else room.begins(options.since)
    said = {kind: getattr(options, kind) for kind in (*_TOKENS, "request", "image")}
    said["audio_hour"] = None if options.audio_minute is None else options.audio_minute * 60
    rates = {kind: amount for kind, amount in said.items() if amount is not None}
    if not rates or (rates.keys() & set(_TOKENS) and not {"input", "output"} <= rates.keys()):
        raise CommandError(
            "say what input and what output cost, or what a request, a picture or a minute of sound does"
        )
    body = {"model": options.model, "valid_from": since, **rates}
    price = read(lambda: price_of(f"desk:{options.model}@{when(since)}", body))
    known = next((each for each in await room.changes.prices() if each.id == price.id), None)
    await room.changes.set_price(OPERATOR, price, options.new)
    print(f"{plain(price.id)}  {_rates(price)}")
    for difference in differences(price_body(known), price_body(price)) if known else ():
        print(plain(difference))


async def _remove(room: CommandContext, options: argparse.Namespace) -> None:
    served = [each.model for each in await room.changes.prices() if each.id == options.id]
    insist(options, *(await of_price_removal(room.changes, options.id, served)).lines())
    await room.changes.remove_price(OPERATOR, options.id)


async def _show(room: CommandContext, options: argparse.Namespace) -> None:
    at = wall() if options.at is None else room.begins(options.at)
    price = (await price_table(room.settings, room.store)).of(options.model, at)
    if price is None:
        raise CommandError("this model has no price, so that requests for it are refused")
    if options.json:
        print_json([price_json(price)])
    else:
        print(f"{plain(price.id)}  {_rates(price)}")


def _rates(price: Price) -> str:
    """In dollars; what goes without saying is left out."""
    tiers = [f"above {tier.above:,}: {_flat(tier.rates)}" for tier in price.rates.tiers]
    return "; ".join([_flat(price.rates), *tiers])


def _flat(rates: Rates) -> str:
    body = price_body(Price("", "", 0, rates))
    others = rates.request or rates.image or rates.audio_hour
    kinds = _TOKENS if rates.input or rates.output or not others else ()
    parts = [f"{kind} {usd(body[kind])}" for kind in kinds if body.get(kind) is not None]
    parts += [f"{kind} {usd(body[kind])} each" for kind in ("request", "image") if body[kind]]
    return ", ".join(parts + [f"sound {usd(rates.audio_hour)} an hour"] * bool(rates.audio_hour))
