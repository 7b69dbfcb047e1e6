"""Who is remembered, and how flows and parties are named."""

from __future__ import annotations

import pytest

from keypool.fairqueue import FairQueue
from keypool.ticket import Ticket
from tests.keypool.making import MODEL, OPENAI, a_key


def asked(name: str, person: str, party: str = "", *, batch: bool = False) -> Ticket:
    return Ticket(name, person, MODEL, OPENAI, 1.0, 0.0, deadline=1e9, party=party, batch=batch)


@pytest.mark.parametrize(
    ("ticket", "flow", "witness"),
    [
        (asked("t", "ann"), "ann", ("ann", "ann")),
        (asked("t", "ann", batch=True), "ann (batch)", ("ann", "ann")),
        (asked("t", "ann", "lab"), "ann of lab", ("ann", "lab")),
        (asked("t", "ann", "lab", batch=True), "ann (batch) of lab", ("ann", "lab")),
    ],
)
def test_a_person_has_a_flow_for_each_class_and_party_and_is_one_witness(
    ticket: Ticket, flow: str, witness: tuple[str, str]
) -> None:
    assert (ticket.flow, ticket.witness) == (flow, witness)


def test_a_party_is_forgotten_with_the_last_of_its_flows() -> None:
    queue = FairQueue()
    tickets = [asked("a", "ann", "lab"), asked("b", "bob", "lab"), asked("c", "eve", "desk"), asked("d", "joe")]
    for ticket in tickets:
        queue.submit(ticket)
    assert (sorted(queue.flows), sorted(queue.parties)) == (
        ["ann of lab", "bob of lab", "eve of desk", "joe"],
        ["desk", "lab"],
    )
    left = []
    for ticket in tickets:
        queue.cancel(ticket)
        left.append((len(queue.flows), sorted(queue.parties)))
    assert left == [(3, ["desk", "lab"]), (2, ["desk"]), (1, []), (0, [])]


@pytest.mark.parametrize("party", ["", "lab"])
@pytest.mark.parametrize("cost", [0.5, 1.0, 5.0])
def test_a_debtor_is_remembered_until_the_others_have_had_as_much_and_no_longer(cost: float, party: str) -> None:
    """Else each address from which one request comes would be remembered for ever."""
    queue, key = FairQueue(), a_key(slots=9)

    def served(name: str, person: str, group: str, cost: float) -> None:
        ticket = asked(name, person, group)
        queue.submit(ticket)
        assert queue.dispatch(lambda ticket: key) is not None
        queue.finish(ticket, cost)

    for number in range(100):
        served(f"t{number}", f"p{number}", party and f"{party}{number}", cost)
    assert len(queue.flows) > (10 if cost > 1.0 else 0)
    for number in range(300):
        served(f"b{number}", "bob", party and "desk", 5.0)
    assert (len(queue.flows), len(queue.parties)) == (1, 1 if party else 0)


def test_who_owes_to_the_others_of_a_party_is_remembered_while_they_are_there() -> None:
    queue, key = FairQueue(), a_key(slots=9)
    tickets = [asked("a", "ann", "lab"), asked("b", "bob", "lab"), asked("b2", "bob", "lab")]
    for ticket in tickets:
        queue.submit(ticket)
    for _ in range(2):
        assert queue.dispatch(lambda ticket: key) is not None
    queue.finish(tickets[0], 9.0)
    debt = queue.flows["ann of lab"].counter
    queue.submit(asked("a2", "ann", "lab"))
    assert queue.flows["ann of lab"].counter == debt == 9.0
    assert [found[0].id for _ in range(2) if (found := queue.dispatch(lambda ticket: key)) is not None] == ["b2", "a2"]
