"""The pool process's side of what is said: one pool, and the workers that ask it. Pure: messages in, messages out.

A worker says, of a request by its id:

    hello version number life          the first message of all
    running ask key granted output     it was granted by a pool that has died, and still runs
    submit ask arrived                 it wants a key
    joined                             all that runs and waits there has been said
    answered limits, progress output, again verdict limits, rejected ..., broke, cancel
    finish used complete left limits   limits, if it has not said before that it was answered
    outlook number id, forecast number ask, live number most, ask number what argument, answer number value
    announce what ...                 all others are to hear this

and hears:

    welcome, keys, standings, snapshot       a picture of the pool, as far as a worker has to know it
    waits, grant, refuse, giveup             what becomes of a request
    reply number value, asked number what argument, announced what ...

**After a death.** A pool process that follows one that has died knows nothing of what runs, so it grants nothing until
all workers have said what runs with them (`opening`), or some time has passed. What waits is said with the instant at
which it came, and is put into the queues in that order.

**Once.** Each ticket belongs to one member. What a member has is given back by `left` when its connection ends,
however that comes. A message about a ticket that is not its own, or over, does nothing: two messages may have crossed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import itemgetter

from keypool.estimates import Tokens
from keypool.live import live
from keypool.messages import Ask, Decision, Grant, Refuse
from keypool.pool import Pool
from keypool.ticket import Ticket
from server.dispatcher import SUSPICIOUS
from server.dispatching import CANCEL, HERE_SECONDS
from server.workers.beyond import Alone, Beyond
from server.workers.codec import JSON, ask_in, key_out, limits_in, standing_out, verdict_in
from server.workers.frames import VERSION, FrameError, Message, packed

GATHER_SECONDS = 1.0  # for the answers of all workers to a question of one of them


@dataclass(eq=False)
class Member:
    """One worker, as long as its connection lasts. `outbox`: packed messages that are to be sent to it."""

    who: tuple[int, int] | None = None  # its number and its life, from the hello on
    joined: bool = False
    outbox: list[bytes] = field(default_factory=list)
    tickets: dict[str, Ticket] = field(default_factory=dict)

    def say(self, *message: JSON) -> None:
        self.outbox.append(packed(list(message)))


@dataclass
class Gathering:
    """A question of one member to all: the answers that have come."""

    asker: Member
    number: int  # as the asker has it
    until: float
    awaited: set[Member]
    answers: list[JSON] = field(default_factory=list)


class Hub:
    """`carry_out` gets what the pool decides, and calls `decided`; `suspect` hears which key has failed a request."""

    def __init__(
        self,
        pool: Pool,
        carry_out: Callable[[Iterable[Decision]], None],
        suspect: Callable[[str], None],
    ) -> None:
        self.pool, self._carry_out, self._suspect = pool, carry_out, suspect
        self._opening = 0  # how many have to join before anything is granted
        self.members: list[Member] = []
        self._held: list[tuple[float, Member, Ask]] = []  # until all have joined
        self._owners: dict[str, Member] = {}
        self._gatherings: dict[int, Gathering] = {}
        self._gathered = 0
        self._hears: dict[str, Callable[..., None]] = {}
        self._standings: dict[str, list[JSON]] = {}
        self._pictured = b""
        self._seen: dict[str, float] = {}  # persons, and when they were answered last
        self._beyond: Beyond = Alone()

    def among(self, beyond: Beyond) -> None:
        """There may be other gateways: members see what they do."""
        self._beyond = beyond

    # Members come and go

    def came(self) -> Member:
        member = Member()
        self.members.append(member)
        return member

    def left(self, member: Member, now: float) -> None:
        """Its connection has ended: what it held is given back. Twice is once."""
        if member not in self.members:
            return
        self.members.remove(member)
        self._held = [each for each in self._held if each[1] is not member]
        for ticket in sorted(member.tickets.values(), key=_runs):  # else what waits would be granted the slots
            self._forget(ticket.id)
            self._carry_out(self.pool.cancel(ticket, now))
        for number, gathering in list(self._gatherings.items()):
            gathering.awaited.discard(member)
            self._conclude(number, gathering)
        if self._opening:
            self._open_if_all_joined(now)

    @property
    def opening(self) -> bool:
        """Whether some workers have still to join."""
        return self._opening > 0

    def expect(self, workers: int) -> None:
        """Grant nothing before so many workers have joined, or `open` is called."""
        self._opening = workers

    def open(self, now: float) -> None:
        """Wait for no more workers: what has been held is submitted, in the order in which it came."""
        self._opening = 0
        held, self._held = sorted(self._held, key=itemgetter(0)), []
        for _, member, ask in held:
            self._submit(member, ask, now)

    def _open_if_all_joined(self, now: float) -> None:
        if sum(each.joined for each in self.members) >= self._opening:
            self.open(now)

    # What a member says

    def hear(self, member: Member, message: Message, now: float) -> None:
        """Do what a message says. Raises FrameError if it cannot be understood."""
        if member not in self.members:
            return  # it has left: what it says now would be no one's
        word, *rest = message
        if member.who is None and word != "hello":
            raise FrameError("no hello")
        verb = _VERBS.get(word)
        if verb is None:
            raise FrameError("an unknown word")
        verb(self, member, now, *rest)

    def _hello(self, member: Member, now: float, version: int, number: int, life: int) -> None:
        if version != VERSION:
            member.say("refused", VERSION)
            return
        for other in [each for each in self.members if each.who == (number, life)]:
            self.left(other, now)  # its old connection has ended, though that was not noticed yet
        member.who = number, life
        member.say("welcome", VERSION)
        member.say("keys", self._keys())
        if self._pictured:
            member.outbox.append(self._pictured)

    def _joined(self, member: Member, now: float) -> None:
        member.joined = True
        if self._opening:
            self._open_if_all_joined(now)

    def _running(self, member: Member, now: float, ask: list[JSON], key_id: str, granted: float, output: int) -> None:
        wanted = ask_in(ask)
        if wanted.id in self._owners:
            return
        ticket = self.pool.resume(wanted, key_id, granted, now)
        if ticket is not None:
            self._own(member, ticket)
            if output:
                self.pool.progress(ticket, output)

    def _submitted(self, member: Member, now: float, ask: list[JSON], arrived: float) -> None:
        wanted = ask_in(ask)
        if self._opening:
            self._held.append((arrived, member, wanted))
        else:
            self._submit(member, wanted, now)

    def _submit(self, member: Member, ask: Ask, now: float) -> None:
        if ask.id in self._owners:
            return
        ticket, decisions = self.pool.submit(ask, now)
        self._own(member, ticket)
        self._carry_out(decisions)
        if ticket.waiting:
            member.say("waits", ticket.id, *_place(ticket))

    def _answered(self, member: Member, now: float, request_id: str, limits: list[JSON]) -> None:
        if (ticket := _in_flight(member, request_id)) is not None:
            self._carry_out(self.pool.answered(ticket, now, limits_in(limits)))

    def _progress(self, member: Member, now: float, request_id: str, output: int) -> None:
        if (ticket := _in_flight(member, request_id)) is not None:
            self.pool.progress(ticket, output)

    def _finish(
        self, member: Member, now: float, request_id: str, used: list[int], complete: bool, left: bool, begun: JSON
    ) -> None:
        if begun is not None:
            self._answered(member, now, request_id, begun)
        if (ticket := _in_flight(member, request_id)) is None:
            return
        self._forget(request_id)
        self._seen[ticket.person] = now
        if complete:
            self._carry_out(self.pool.finish(ticket, Tokens(*used), now))
        else:
            self._carry_out(self.pool.break_off(ticket, Tokens(*used), now, left=left))

    def _again(self, member: Member, now: float, request_id: str, verdict: dict[str, JSON], limits: list[JSON]) -> None:
        if (ticket := _in_flight(member, request_id)) is None:
            member.say("giveup", request_id, None)  # it was granted by a pool whose key this one does not have
            return
        judged = verdict_in(verdict)
        if judged.event in SUSPICIOUS and ticket.key is not None:
            self._suspect(ticket.key.id)
        self._carry_out(self.pool.failed(ticket, judged, now, limits_in(limits)))

    def _rejected(
        self, member: Member, now: float, request_id: str, verdict: dict[str, JSON], limits: list[JSON]
    ) -> None:
        if (ticket := _in_flight(member, request_id)) is not None:
            self.pool.rejected(ticket, verdict_in(verdict), now, limits_in(limits))

    def _broke(self, member: Member, now: float, request_id: str) -> None:
        if (ticket := _in_flight(member, request_id)) is not None and ticket.key is not None:
            self._suspect(ticket.key.id)
            self._carry_out(self.pool.broke(ticket, now))

    def _cancel(self, member: Member, now: float, request_id: str) -> None:
        self._held = [each for each in self._held if each[2].id != request_id] if self._held else self._held
        if (ticket := member.tickets.get(request_id)) is not None:
            self._forget(request_id)
            self._carry_out(self.pool.cancel(ticket, now))

    # What a member asks

    def _outlook(self, member: Member, now: float, number: int, request_id: str) -> None:
        ticket = member.tickets.get(request_id)
        waits = ticket is not None and ticket.waiting
        member.say("reply", number, self.pool.admission.outlook(ticket, now) if ticket and waits else None)

    def _forecast(self, member: Member, now: float, number: int, ask: list[JSON]) -> None:
        member.say("reply", number, self.pool.admission.forecast(ask_in(ask), now))

    def _live(self, member: Member, now: float, number: int, most: int) -> None:
        member.say("reply", number, [*live(self.pool, now, most), *self._beyond.known()][:most])

    def _ask(self, member: Member, now: float, number: int, what: str, argument: JSON) -> None:
        self._gathered += 1
        asked = {each for each in self.members if each.joined}
        gathering = self._gatherings[self._gathered] = Gathering(member, number, now + GATHER_SECONDS, set(asked))
        if what == CANCEL:
            gathering.answers.append(self._beyond.end(argument))
        for each in asked:
            each.say("asked", self._gathered, what, argument)
        self._conclude(self._gathered, gathering)

    def _answer(self, member: Member, now: float, number: int, value: JSON) -> None:
        gathering = self._gatherings.get(number)
        if gathering is not None and member in gathering.awaited:
            gathering.awaited.discard(member)
            gathering.answers.append(value)
            self._conclude(number, gathering)

    def hears(self, what: str, function: Callable[..., None]) -> None:
        """Say what the pool process does when a worker announces something."""
        self._hears[what] = function

    def announce(self, what: str, *arguments: JSON) -> None:
        """Have all members hear something."""
        self._pass_on(None, what, *arguments)

    def _announce(self, member: Member, now: float, what: str, *arguments: JSON) -> None:
        self._pass_on(member, what, *arguments)
        if what in self._hears:
            self._hears[what](*arguments)

    def _pass_on(self, member: Member | None, *announced: JSON) -> None:
        message = packed(["announced", *announced])
        for each in self.members:
            if each is not member and each.who is not None:
                each.outbox.append(message)

    def _conclude(self, number: int, gathering: Gathering) -> None:
        """Reply when all have answered."""
        if not gathering.awaited:
            del self._gatherings[number]
            gathering.asker.say("reply", gathering.number, gathering.answers)

    # What all members hear

    def decided(self, decisions: Iterable[Decision], now: float) -> None:
        """The pool has decided about some tickets: their members hear it."""
        for decision in decisions:
            ticket = decision.ticket
            member = self._owners.get(ticket.id)
            if member is None:
                continue
            if isinstance(decision, Grant):
                member.say("grant", ticket.id, decision.key.id, *_place(ticket))
                continue
            self._forget(ticket.id)
            if isinstance(decision, Refuse):
                member.say("refuse", ticket.id, decision.reason.value, decision.retry_after, *_place(ticket))
            else:
                member.say("giveup", ticket.id, self.pool.admission.opens_in(ticket, now))

    def publish_keys(self) -> None:
        """Keys or models have come or gone."""
        self._say_to_all(packed(["keys", self._keys()]))

    def publish(self, now: float) -> None:
        """What has changed since the last time: to be called now and then, and when a key was judged."""
        standings = {key.id: standing_out(key) for key in self.pool.keys.values()}
        if standings != self._standings:
            self._standings = standings
            self._say_to_all(packed(["standings", standings]))
        for number, gathering in list(self._gatherings.items()):
            if gathering.until <= now:
                gathering.awaited.clear()
                self._conclude(number, gathering)

    def picture(self, now: float, progress: tuple[int, int]) -> None:
        """How everything stands, where that has changed. `progress`: keys that were asked about, and are to be."""
        self._seen = {person: at for person, at in self._seen.items() if at + HERE_SECONDS > now}
        persons = self._seen.keys() | {ticket.person for ticket in self.pool.tickets.values()}
        pictured = packed(["snapshot", self.pool.snapshot(now), sorted(persons), progress, self._beyond.load()])
        if pictured != self._pictured:
            self._pictured = pictured
            self._say_to_all(pictured)

    def _say_to_all(self, message: bytes) -> None:
        for each in self.members:
            if each.who is not None:
                each.outbox.append(message)

    def _keys(self) -> list[JSON]:
        return [key_out(key) for key in self.pool.keys.values()]

    # Whose is whose

    def _own(self, member: Member, ticket: Ticket) -> None:
        self._owners[ticket.id] = member
        member.tickets[ticket.id] = ticket

    def _forget(self, request_id: str) -> None:
        member = self._owners.pop(request_id, None)
        if member is not None:
            del member.tickets[request_id]


def _in_flight(member: Member, request_id: str) -> Ticket | None:
    """A ticket of this member that has a key."""
    ticket = member.tickets.get(request_id)
    return ticket if ticket is not None and ticket.key is not None else None


def _runs(ticket: Ticket) -> bool:
    return ticket.key is not None


def _place(ticket: Ticket) -> list[JSON]:
    return [ticket.position, ticket.predicted, ticket.need]


_VERBS: dict[str, Callable[..., None]] = {
    "hello": Hub._hello,
    "joined": Hub._joined,
    "running": Hub._running,
    "submit": Hub._submitted,
    "answered": Hub._answered,
    "progress": Hub._progress,
    "finish": Hub._finish,
    "again": Hub._again,
    "rejected": Hub._rejected,
    "broke": Hub._broke,
    "cancel": Hub._cancel,
    "outlook": Hub._outlook,
    "forecast": Hub._forecast,
    "live": Hub._live,
    "ask": Hub._ask,
    "answer": Hub._answer,
    "announce": Hub._announce,
}
