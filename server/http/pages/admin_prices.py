"""`/admin/prices`: what models cost, by the operator's own word or by the providers' lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from server.admin.commands.repricing import RepriceCommands
from server.admin.consequences import of_price_removal
from server.admin.differences import differences
from server.admin.repricing import RepricedTally
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form, FormError, sentence
from server.ledger.prices import TOKENS, UNPRICED, Price, price_body, price_of
from server.ledger.when import iso
from web import render_admin
from web.formatting import money
from web.view_admin import PriceRow, PricesView
from web.wording import Phrase, Plural, Wording, Written

PRICES = "/admin/prices"


class PricesPage(AdminPage):
    """`/admin/prices`: those that were set here, and for each model that is served the one that holds."""

    async def draw(self, *path: str) -> bytes:
        own, now = await self.services.changes.prices(), self.services.wall()
        served = [model.name for model in self.services.dispatcher.snapshot().models]
        priced = {name: self.services.book.prices.of(name, now) for name in served}
        unpriced = tuple(name for name, price in priced.items() if price in (None, UNPRICED))
        ids = {price.id for price in own}
        others = {price.id: price for price in priced.values() if price not in (None, UNPRICED) and price.id not in ids}
        rows = [_row(price, own=True, holds=price.id in set(_holding(own, now))) for price in own]
        rows += [_row(price, own=False, holds=True) for price in others.values()]
        return render_admin.prices_html(PricesView(self.frame, tuple(rows), unpriced))

    async def set_price(self, form: Form) -> Done:
        since = form.begins("valid_from") or self.services.wall()
        model = form.needed("model")
        said = {name: form.money(name) for name in (*TOKENS, "request", "image")}
        minute = form.money("audio_minute")
        said["audio_hour"] = None if minute is None else minute * 60
        body = {"model": model, "valid_from": since} | {k: v for k, v in said.items() if v is not None}
        if not said["request"] and not said["image"] and not minute:
            body |= {"input": form.needed_money("input"), "output": form.needed_money("output")}
        try:
            price = price_of(f"desk:{model}@{iso(since)}", body)
        except ValueError as error:
            raise FormError(sentence(error)) from None
        known = next((each for each in await self.services.changes.prices() if each.id == price.id), None)
        if known is not None and (changes := differences(price_body(known), price_body(price))):
            form.insist(Wording("Change the price of %(model)s?", model=model), changes, Wording("Save these changes"))
        await self.services.changes.set_price(self.me.id, price)
        return Done("price-set", PRICES)

    async def reprice(self, form: Form) -> Done:
        """Show what repricing would come to, and do it after a yes."""
        services = self.services
        commands = RepriceCommands(services.store, services.changes, services.book, services.calendar, self.me.id)
        asked = form.needed("first"), form.needed("last"), form.text("model") or "*"
        tallies = await commands.preview(*asked)
        if not any(each.changed for each in tallies.values()):
            raise FormError(Wording("No request of these days would cost something else."))
        form.insist(Wording("Reprice these requests?"), _repriced(tallies), Wording("Reprice them"))
        await commands.reprice(*asked)
        return Done("repriced", PRICES)

    async def remove(self, form: Form, price_id: str) -> Done:
        served = [model.name for model in self.services.dispatcher.snapshot().models]
        consequences = await of_price_removal(self.services.changes, price_id, served)
        form.insist(Wording("Remove this price?"), consequences.lines(), Wording("Remove the price"))
        await self.services.changes.remove_price(self.me.id, price_id)
        return Done("price-removed", PRICES)


def _repriced(tallies: Mapping[str, RepricedTally]) -> list[str]:
    """A sentence for each model, and one for all."""
    lines = [_sentence(model, tally) for model, tally in tallies.items() if tally.changed]
    before, after = (sum(getattr(each, name) for each in tallies.values()) for name in ("before", "after"))
    said = {"before": Written(money, before), "after": Written(money, after), "more": Written(money, after - before)}
    lines.append(Wording("Together %(before)s before, %(after)s after: a difference of %(more)s.", **said))
    if unpriced := sum(each.unpriced for each in tallies.values()):
        lines.append(
            Plural(
                "%(count)s request has no price now, and stays as it is.",
                "%(count)s requests have no price now, and stay as they are.",
                unpriced,
            )
        )
    return [*lines, Wording("Budgets of the past stay as they are.")]


def _sentence(model: str, tally: RepricedTally) -> Phrase:
    before, after = Written(money, tally.before), Written(money, tally.after)
    return Wording(
        "%(model)s: %(changed)s of %(rows)s requests change; %(before)s before, %(after)s after.",
        model=model,
        changed=tally.changed,
        rows=tally.rows,
        before=before,
        after=after,
    )


def _holding(prices: Sequence[Price], now: int) -> Iterator[str]:
    """The ids of those that no later one of the same model has replaced."""
    latest: dict[str, Price] = {}
    for price in sorted(prices, key=lambda each: each.valid_from):
        if price.valid_from <= now:
            latest[price.model] = price
    return (price.id for price in latest.values())


def _row(price: Price, *, own: bool, holds: bool) -> PriceRow:
    rates = price.rates
    return PriceRow(
        id=price.id,
        model=price.model,
        valid_from_ms=price.valid_from,
        input=rates.input,
        output=rates.output,
        cached=rates.cached,
        cache_write=rates.cache_write,
        request=rates.request,
        own=own,
        holds=holds,
    )
