"""The hold of a request before it waits, and the bound of its answer that makes this hold enough.

Where a budget applies, the hold is an upper bound of what the provider can bill (`wire/extent.py`,
`ledger/ceiling.py`), so an answer needs a bound, too. A caller who sets one keeps it, and is refused if the budget has
less. A caller who sets none gets the least of these: the longest answer that the model is known for,
`DEFAULT_MAX_OUTPUT`, the operator's cap, what the context window has room for, and what the tightest budget can pay.
`X-Fairgate-Max-Tokens` says which that was. A budget that cannot pay for `LEAST_OUTPUT` tokens refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from keypool.pool import Ask
from server.accounting.bill import Bill
from server.accounting.reservations import FREE_KINDS, Reservations
from server.relay.context import Call
from server.relay.prompt_lengths import PromptLength, PromptLengths
from server.wire.extent import most
from server.wire.published import published
from server.wire.request import bounding_tools, capped

LEAST_OUTPUT = 256  # tokens: a shorter answer is none, and so many are expected where nothing is known
MAX_TOKENS = "X-Fairgate-Max-Tokens"


@dataclass(frozen=True, slots=True)
class Holding:
    """`longest`: tokens of an answer without a bound. `expect`: how long the answers of a person and model were."""

    reservations: Reservations
    lengths: PromptLengths
    longest: int
    expect: Callable[[str, str], int]

    async def hold(
        self, bill: Bill, call: Call, ask: Ask, asked: int | None, length: PromptLength
    ) -> tuple[Call, Ask, PromptLength]:
        """Hold what a request may cost; returns it with the bound that it goes out with.

        `asked` is the caller's own bound, where `ask.most_output` may be the operator's. `length` is counted where that
        decides. Raises RateLimited, ModelNotPriced, InsufficientQuota, AccountingUnavailable.
        """
        bounded = call.request.endpoint.kind not in FREE_KINDS and self.reservations.bounds(bill)
        if bounded and not length.counted:
            self._bound_most(bill, call, ask, asked, None)
            if self.reservations.reserve_from_escrow(bill, ask.input_tokens, self._likely(call, ask)):
                return *self._as_bounded(bill, call, ask, asked), length
            length = await self.lengths.count(call.request, ask.person)
            ask = ask._replace(input_tokens=length.tokens)
        if bounded:
            self._bound_most(bill, call, ask, asked, length.tokens)
        await self.reservations.reserve(bill, ask.input_tokens, self._likely(call, ask))
        return *self._as_bounded(bill, call, ask, asked), length

    def _bound_most(self, bill: Bill, call: Call, ask: Ask, asked: int | None, counted: int | None) -> None:
        """Note the most that the request can take. `counted`: tokens of its prompt; None if bytes are its bound."""
        request, output = call.request, self._bound(call, ask, asked)
        bill.most = most(request.prompt, request.extent, request.model, counted, output, request.choices, bill.asked)
        bill.least = min(LEAST_OUTPUT, output) if asked is None and request.endpoint.output_limits else 0

    def _as_bounded(self, bill: Bill, call: Call, ask: Ask, asked: int | None) -> tuple[Call, Ask]:
        """The request as it goes out, with the bound that its budgets have room for."""
        request = call.request
        if bill.most is not None and bill.least:
            request, ask = capped(request, bill.most.output), ask._replace(most_output=bill.most.output)
        if bill.most is not None and request.hosted.unbounded:
            request = bounding_tools(request, {name for name, price in bill.tariff.tools.items() if price})
        if request.max_tokens is not None and request.max_tokens != asked:
            bill.headers[MAX_TOKENS] = str(request.max_tokens)
        return (call if request is call.request else replace(call, request=request)), ask

    def _bound(self, call: Call, ask: Ask, asked: int | None) -> int:
        """Tokens of each choice, at most, as far as the budgets have them."""
        if asked is not None or not call.request.endpoint.writes:
            return ask.most_output or 0
        rules = published(call.request.model)
        room = max(LEAST_OUTPUT, rules.window - ask.input_tokens)
        if call.request.endpoint.unbounded:  # none of our bounds goes along
            return min(rules.output, room)
        bounds = (rules.output, self.longest, room, ask.most_output)
        return min(bound for bound in bounds if bound is not None)

    def _likely(self, call: Call, ask: Ask) -> int:
        """Tokens of all choices that the answer will probably have."""
        if ask.most_output == 0:
            return 0
        learnt = self.expect(ask.person, ask.model)
        output = max(learnt, LEAST_OUTPUT) if ask.most_output is None else ask.most_output
        return output * call.request.choices
