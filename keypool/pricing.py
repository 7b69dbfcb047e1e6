"""The price of a request in the queue.

A guess when it starts; more as soon as its answer outgrows the guess: by what a stream has brought, else by the time
that has passed and the speed at which the model usually writes, for a plain answer that is given up shortly before its
end has cost as much as one that is taken. Where the provider takes the caller's own bound on the output from the tokens
per minute and gives nothing back, the flow pays for that, too: the dominant share (Ghodsi et al., NSDI 2011), at what a
token costs in a usual request.

Costs are in the unit of `estimates`, times seconds, monotonic.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from keypool.domains import Need
from keypool.estimates import CostModel, OutputLengths, Speeds, Tokens, Worth
from keypool.messages import Ask
from keypool.ticket import BATCH_WEIGHT, Ticket

BETWEEN_CHARGES = 1.0  # seconds between two charges of an answer that is longer than was guessed


class Pricing:
    """The costs of requests, and the lengths and speeds of each model's answers."""

    def __init__(self, costs: CostModel) -> None:
        self.costs = costs
        self.lengths = OutputLengths()
        self.speeds = Speeds()
        self.worth = Worth()
        self._overdue: list[tuple[float, int, Ticket]] = []  # when each ticket in flight will have used its guess up

    def ticket(self, ask: Ask, reach: frozenset[str], now: float) -> Ticket:
        """The ticket of a request, with its guessed cost. `reach`: the keys that may serve it."""
        costs, prompt = self.costs, ask.input_tokens
        output = self.lengths.expect(ask.person, ask.model, ask.most_output)
        whole, cached = costs.of(prompt, 0, 0), costs.of(prompt, prompt, 0)
        return Ticket(
            id=ask.id,
            person=ask.person,
            model=ask.model,
            dialect=ask.dialect,
            cost=costs.of(prompt, 0, output),
            submitted=now,
            deadline=ask.deadline if ask.max_wait is None else min(ask.deadline, now + ask.max_wait),
            impatient=ask.max_wait is not None and now + ask.max_wait < ask.deadline,
            weight=ask.weight * (BATCH_WEIGHT if ask.batch else 1.0),
            batch=ask.batch,
            running_cap=ask.running_cap,
            groups=ask.groups,
            party=ask.party,
            party_weight=ask.party_weight * (BATCH_WEIGHT if ask.batch else 1.0),
            least=cached,
            doubt=whole - cached,
            most_output=ask.most_output,
            need=Need(prompt, output, ask.most_output or 0),
            conversation=ask.conversation,
            bound_to=ask.bound_to,
            reach=reach if ask.bound_to is None else reach & ask.bound_to,
        )

    def of_prompt(self, ticket: Ticket) -> float:
        """The cost of its prompt alone."""
        return self.costs.of(ticket.need.input, 0, 0)

    def of_answer(self, ticket: Ticket, output: int) -> float:
        """The cost of its prompt and so many tokens of an answer."""
        return self.costs.of(ticket.need.input, 0, output)

    def of_reserved(self, tokens: int) -> float:
        """The worth of tokens that a provider takes beforehand and does not give back."""
        return max(0, tokens) * self.worth.of_token

    def written(self, ticket: Ticket, now: float) -> int:
        """Tokens that the upstream has probably written for a ticket in flight."""
        written = self.speeds.written(ticket.model, now - ticket.granted)
        return written if ticket.most_output is None else min(written, ticket.most_output)

    def kept_back(self, ticket: Ticket, used: Tokens) -> float:
        """The worth of what the provider took beforehand from its limits, was not used, and is not given back."""
        if ticket.domain is None or not ticket.domain.sends_limits:
            return 0.0
        return self.of_reserved(ticket.domain.asks(ticket.need).reserved - used.output)

    def learn(self, ticket: Ticket, used: Tokens, now: float) -> None:
        """A complete answer tells how long and how fast answers are."""
        self.lengths.learn(ticket.person, ticket.model, used.output)
        self.speeds.learn(ticket.person, ticket.model, used.output, now - ticket.granted)
        self.worth.learn(self.costs.cost(used), used.input + used.output)

    def watch(self, ticket: Ticket, now: float) -> None:
        """A ticket starts: know when its answer outgrows the guess."""
        self._watch_until(ticket, now + self.speeds.seconds(ticket.model, ticket.need.output))

    def overdue(self, now: float) -> Iterator[tuple[Ticket, float]]:
        """The tickets in flight for longer than their guess covers, unless their stream reports its progress.

        With what each has probably cost by now.
        """
        while self._overdue and self._overdue[0][0] <= now:
            ticket = heappop(self._overdue)[2]
            if ticket.key is not None and not ticket.metered:
                written = self.written(ticket, now)
                yield ticket, self.of_answer(ticket, written)
                if ticket.most_output is None or written < ticket.most_output:
                    self._watch_until(ticket, now + BETWEEN_CHARGES)

    def _watch_until(self, ticket: Ticket, when: float) -> None:
        heappush(self._overdue, (when, id(ticket), ticket))
