"""Workers whose pool is in another process: each request gets a key, its refusal, or neither if its caller leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from keypool.estimates import Tokens
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.live import LiveRequest, live
from keypool.messages import Ask
from keypool.pool import Pool
from keypool.verdict import DROPPED, UNREACHABLE
from server.dispatching import HERE_SECONDS
from server.wire.errors import BadAnswer, NoKey, PoolAway, QueueFull, QueueTimeout, Refusal, UpstreamUnreachable
from server.workers.codec import ask_out
from server.workers.frames import FrameError
from server.workers.lease import RemoteLease
from server.workers.remote import REPORT_SECONDS, RemoteDispatcher
from tests.keypool.making import a_key, an_ask
from tests.workers.wires import Machine, Wire


async def settled() -> None:
    """Everything that can run has run."""
    for _ in range(10):
        await asyncio.sleep(0)


class Client:
    """One request of a worker."""

    def __init__(self, dispatcher: RemoteDispatcher, ask: Ask) -> None:
        self.lease = dispatcher.lease(ask)
        self.entered = False
        self._over = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self.lease:
            self.entered = True
            await self._over.wait()

    def finish(self, output: int = 10) -> None:
        self.lease.finish(Tokens(100, 0, output), complete=True)
        self._over.set()


async def machine_of(*keys: Key) -> tuple[Machine, RemoteDispatcher, Wire]:
    machine = Machine(*(keys or (a_key("k1", slots=1),)))
    dispatcher, wire = machine.worker()
    wire.start()
    wire.turn()
    assert dispatcher.connected
    return machine, dispatcher, wire


async def entered(dispatcher: RemoteDispatcher, wire: Wire, ask: Ask) -> Client:
    client = Client(dispatcher, ask)
    await settled()
    wire.turn()
    await settled()
    return client


@pytest.mark.gen_test
async def test_a_request_gets_a_key_and_gives_it_back() -> None:
    machine, dispatcher, wire = await machine_of()
    client = await entered(dispatcher, wire, an_ask("r1", "ann"))
    assert (client.entered, client.lease.key.id, client.lease.position) == (True, "k1", 0)
    assert dispatcher.place("r1").need.input == 100  # type: ignore[union-attr]
    client.lease.answered({})
    client.lease.progress(50)
    client.finish()
    wire.send()
    machine.assert_consistent()
    assert (machine.pool.tickets, dispatcher.idle) == ({}, True)
    assert machine.pool.pricing.lengths.expect("ann", "m", None) == dispatcher.usual_output("ann", "m") == 10


@pytest.mark.gen_test
async def test_a_request_whose_answer_is_short_is_three_messages() -> None:
    machine, dispatcher, wire = await machine_of()
    wire.said.clear()
    client = await entered(dispatcher, wire, an_ask("r1", "ann"))
    client.lease.answered({LimitMeasure.REQUESTS: RateWindow(100, 7, None, None)})
    client.lease.progress(10)
    client.finish()
    wire.turn()
    assert wire.said == ["submit", "grant", "finish"]
    assert machine.pool.snapshot(0.0).domains[0].limits[LimitMeasure.REQUESTS].level == 7


@pytest.mark.gen_test
@pytest.mark.parametrize("last", ["report", "broke", "left"])
async def test_that_an_answer_has_begun_is_said_soon_and_before_what_follows(last: str) -> None:
    _, dispatcher, wire = await machine_of()
    client = await entered(dispatcher, wire, an_ask("r1", "ann"))
    wire.said.clear()
    client.lease.answered({})
    client.lease.progress(5)
    if last == "report":
        await asyncio.sleep(2 * REPORT_SECONDS)
    elif last == "broke":
        client.lease.broke()
    else:
        client.task.cancel()
        await settled()
    wire.turn()
    assert wire.said == ["answered", {"report": "progress", "broke": "broke", "left": "cancel"}[last]]


@pytest.mark.gen_test
async def test_a_request_that_waits_knows_its_place_and_goes_when_a_slot_is_free() -> None:
    machine, dispatcher, wire = await machine_of()
    first = await entered(dispatcher, wire, an_ask("r1", "ann"))
    second = await entered(dispatcher, wire, an_ask("r2", "bob"))
    await second.lease.placed()
    assert (second.entered, second.lease.ticket.waiting, second.lease.position) == (False, True, 1)
    asking = asyncio.create_task(second.lease.outlook())
    await settled()
    wire.turn()
    assert (await asking).position == 1  # type: ignore[union-attr]
    machine.now = 4.0
    first.finish()
    wire.turn()
    await settled()
    assert (second.entered, second.lease.queue_seconds) == (True, 4.0)
    assert await second.lease.outlook() is None


@pytest.mark.gen_test
@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "when its grant is on the way"])
async def test_what_a_caller_who_leaves_held_is_given_back_once(late: bool) -> None:
    machine, dispatcher, wire = await machine_of()
    first = await entered(dispatcher, wire, an_ask("r1", "ann"))
    second = await entered(dispatcher, wire, an_ask("r2", "bob"))
    if late:
        first.finish()
        wire.send()  # the pool has granted it, and the worker does not know
        assert machine.pool.tickets["r2"].key is not None
    second.task.cancel()
    await settled()
    wire.turn()
    wire.turn()
    machine.assert_consistent()
    assert set(machine.pool.tickets) == ({"r1"} - ({"r1"} if late else set()))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("ask", "refusal"),
    [(an_ask("r2", "bob", model="other"), NoKey), (an_ask("r2", "ann"), QueueFull)],
    ids=["no key", "full"],
)
async def test_a_refusal_is_the_same_as_beside_the_pool(ask: Ask, refusal: type[Refusal]) -> None:
    machine, dispatcher, wire = await machine_of()
    for area in machine.pool.areas.all():
        area.fair.per_person = 0
    await entered(dispatcher, wire, an_ask("r1", "ann"))
    client = await entered(dispatcher, wire, ask)
    with pytest.raises(refusal):
        await client.task
    assert machine.pool.tickets.keys() <= {"r1"}


@pytest.mark.gen_test
async def test_who_has_waited_until_the_deadline_hears_so() -> None:
    machine, dispatcher, wire = await machine_of()
    await entered(dispatcher, wire, an_ask("r1", "ann"))
    client = await entered(dispatcher, wire, an_ask("r2", "bob", deadline=9.0))
    machine.now = 9.5
    machine.tick()
    wire.receive()
    with pytest.raises(QueueTimeout):
        await client.task
    assert set(machine.pool.tickets) == {"r1"}


@pytest.mark.gen_test
async def test_a_failed_attempt_gets_another_key_or_its_own_refusal() -> None:
    machine, dispatcher, wire = await machine_of(a_key("k1"), a_key("k2"))
    lease = dispatcher.lease(an_ask("r1", "ann"))
    entering = asyncio.create_task(lease.__aenter__())
    await settled()
    wire.turn()
    await entering
    tried = [lease.key.id]
    again = asyncio.create_task(lease.again(DROPPED, BadAnswer(), {}))
    await settled()
    wire.turn()
    await again
    assert {*tried, lease.key.id} == {"k1", "k2"}
    assert machine.suspected == tried
    ending = asyncio.create_task(lease.again(DROPPED, BadAnswer(), {}))
    await settled()
    wire.turn()
    with pytest.raises(BadAnswer):
        await ending
    machine.assert_consistent()
    assert (machine.pool.tickets, dispatcher.idle) == ({}, True)


@pytest.mark.gen_test
async def test_a_worker_that_dies_leaves_nothing_behind() -> None:
    machine, dispatcher, wire = await machine_of()
    other, its_wire = machine.worker(1)
    its_wire.start()
    its_wire.turn()
    for number in range(3):
        await entered(dispatcher, wire, an_ask(f"r{number}", "ann"))
    waits = await entered(other, its_wire, an_ask("r9", "bob"))
    wire.cut()
    its_wire.receive()
    await settled()
    assert (waits.entered, set(machine.pool.tickets)) == (True, {"r9"})
    machine.assert_consistent()


@pytest.mark.gen_test
async def test_a_new_pool_process_knows_what_runs_and_serves_what_waits_in_its_order() -> None:
    machine, dispatcher, wire = await machine_of(a_key("k1", slots=2))
    other, its_wire = machine.worker(1)
    its_wire.start()
    its_wire.turn()
    runs = [await entered(dispatcher, wire, an_ask("a", "ann")), await entered(other, its_wire, an_ask("b", "bob"))]
    machine.now = 1.0
    early = await entered(other, its_wire, an_ask("early", "eve"))
    machine.now = 2.0
    late = await entered(dispatcher, wire, an_ask("late", "dan"))
    machine.die()
    assert not dispatcher.connected
    machine.now = 3.0
    machine.start(expected=2)
    wire.start()
    wire.turn()
    new = await entered(dispatcher, wire, an_ask("new", "joe"))
    assert set(machine.pool.tickets) == {"a"}, "nothing is granted until all have come back"
    its_wire.start()
    its_wire.turn()
    await settled()
    assert {each.id for each in machine.pool.tickets.values() if each.key} == {"a", "b"}
    machine.assert_consistent()
    runs[0].finish()
    wire.turn()
    its_wire.turn()
    await settled()
    assert (early.entered, late.entered, new.entered) == (True, False, False)
    runs[1].finish()
    its_wire.turn()
    wire.turn()
    await settled()
    assert (late.entered, late.lease.queue_seconds, new.entered) == (True, 1.0, False)
    assert early.lease.arrived == 1.0


@pytest.mark.gen_test
async def test_what_ends_while_the_pool_is_away_is_not_announced() -> None:
    machine, dispatcher, wire = await machine_of()
    client = await entered(dispatcher, wire, an_ask("r1", "ann"))
    machine.die()
    client.finish()
    machine.start(expected=1)
    wire.start()
    wire.turn()
    assert (machine.pool.tickets, machine.hub.opening) == ({}, False)


@pytest.mark.gen_test
async def test_what_runs_with_a_key_that_a_new_pool_does_not_have_ends_as_it_ends() -> None:
    machine, dispatcher, wire = await machine_of(a_key("k1"), a_key("k2", models=("other",)))
    client = await entered(dispatcher, wire, an_ask("r1", "ann"))
    machine.die()
    machine.keys = machine.keys[1:]
    machine.start(expected=1)
    wire.start()
    wire.turn()
    assert machine.pool.tickets == {}
    again = asyncio.create_task(client.lease.again(DROPPED, BadAnswer(), {}))
    await settled()
    wire.turn()
    with pytest.raises(BadAnswer):
        await again
    assert dispatcher.idle
    client.finish()


@pytest.mark.gen_test
async def test_what_is_said_twice_counts_once_and_what_is_not_ones_own_does_nothing() -> None:
    machine, dispatcher, wire = await machine_of(a_key("k1", slots=3))
    await entered(dispatcher, wire, an_ask("r1", "ann"))
    assert wire.member is not None
    other, its_wire = machine.worker(1)
    its_wire.start()
    its_wire.turn()
    for member in machine.hub.members:
        machine.hub.hear(member, ["submit", ask_out(an_ask("r1", "ann")), 0.0], 0.0)
        machine.hub.hear(member, ["running", ask_out(an_ask("r1", "ann")), "k1", 0.0, 0], 0.0)
    machine.hub.hear(machine.hub.members[1], ["cancel", "r1"], 0.0)
    assert (set(machine.pool.tickets), machine.pool.keys["k1"].running, other.idle) == ({"r1"}, 1, True)
    stranger = wire.member
    wire.cut()
    machine.hub.hear(stranger, ["submit", ask_out(an_ask("r2", "ann")), 0.0], 0.0)
    assert machine.pool.tickets == {}


@pytest.mark.gen_test
async def test_who_waits_for_a_pool_that_stays_away_is_refused_and_so_are_all_who_come() -> None:
    machine, dispatcher, wire = await machine_of()
    runs = await entered(dispatcher, wire, an_ask("r1", "ann"))
    waits = await entered(dispatcher, wire, an_ask("r2", "bob"))
    machine.die()
    dispatcher.give_up()
    with pytest.raises(PoolAway):
        await waits.task
    with pytest.raises(PoolAway):
        await dispatcher.lease(an_ask("r3", "eve")).__aenter__()
    with pytest.raises(UpstreamUnreachable):
        await runs.lease.again(UNREACHABLE, UpstreamUnreachable(), {})
    machine.start()
    wire.start()
    wire.turn()
    assert (machine.pool.tickets, dispatcher.idle) == ({}, True)
    assert (await entered(dispatcher, wire, an_ask("r4", "eve"))).entered
    await dispatcher.close()


@pytest.mark.gen_test
async def test_keys_and_their_standing_are_known_to_every_worker() -> None:
    machine, dispatcher, wire = await machine_of()
    assert dispatcher.keyring.serves("m", "openai", frozenset())
    machine.pool.keys["k1"].whole.since = 3.0
    machine.hub.publish(0.0)
    machine.pool.keyring.remove("k1")
    machine.hub.picture(0.0, (1, 2))
    wire.receive()
    assert dispatcher.keyring.keys["k1"].whole.since == 3.0
    assert (dispatcher.progress, dispatcher.snapshot().keys) == ((1, 2), ())
    machine.hub.publish_keys()
    wire.receive()
    assert not dispatcher.keyring.serves("m", "openai", frozenset())


@pytest.mark.gen_test
async def test_workers_ask_each_other_and_do_not_wait_for_one_that_is_silent() -> None:
    machine, dispatcher, wire = await machine_of()
    other, its_wire = machine.worker(1)
    its_wire.start()
    its_wire.turn()

    async def doubled(number: int) -> int:
        return 2 * number

    async def tripled(number: int) -> int:
        return 3 * number

    dispatcher.answers("times", doubled)
    other.answers("times", tripled)
    asking = asyncio.create_task(dispatcher.ask("times", 5))
    for _ in range(3):
        await settled()
        its_wire.turn()
        wire.turn()
    assert sorted(await asking) == [10, 15]
    asking = asyncio.create_task(dispatcher.ask("times", 7))
    await settled()
    wire.turn()
    await settled()
    wire.turn()
    machine.hub.publish(9.0)
    wire.receive()
    assert await asking == [14]


@pytest.mark.gen_test
async def test_a_worker_of_another_version_is_refused_and_a_stranger_is_not_heard() -> None:
    machine, _, _ = await machine_of()
    member = machine.hub.came()
    with pytest.raises(FrameError):
        machine.hub.hear(member, ["joined"], 0.0)
    machine.hub.hear(member, ["hello", 99, 0, 2], 0.0)
    assert (member.who, b"refused" in member.outbox[0]) == (None, True)


def test_a_lease_is_what_the_gateway_needs() -> None:
    from server.dispatcher import Lease
    from server.dispatching import Leasing

    wanted = {name for name in vars(Leasing) if not name.startswith("_")}
    assert wanted <= {*dir(Lease), *Lease.__annotations__}
    assert wanted <= {*dir(RemoteLease), *RemoteLease.__annotations__, "ticket"}


class Elsewhere:
    """Another gateway, which serves one request (`beyond.Beyond`)."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        there = Pool([a_key("k9")])
        there.submit(an_ask("r9", "eve"), 0.0)
        self._live = live(there, 1.0)

    def known(self) -> list[LiveRequest]:
        return self._live

    def load(self) -> dict[str, list[int]]:
        return {"m": [1, 0, 3]}

    def end(self, request_ids: Sequence[str]) -> int:
        found = [each for each in request_ids if each == "r9"]
        self.ended += found
        return len(found)


@pytest.mark.gen_test
async def test_workers_see_the_requests_of_other_gateways_and_end_them() -> None:
    machine, dispatcher, wire = await machine_of()
    beyond = Elsewhere()
    machine.hub.among(beyond)
    await entered(dispatcher, wire, an_ask("r1", "ann"))
    listing = asyncio.create_task(dispatcher.live())
    await settled()
    wire.turn()
    assert [(each.id, each.person) for each in await listing] == [("r1", "ann"), ("r9", "eve")]
    machine.hub.picture(1.0, (1, 1))
    wire.receive()
    assert dispatcher.elsewhere == {"m": [1, 0, 3]}
    dispatcher.answers("cancel", none_of_them)
    asking = asyncio.create_task(dispatcher.ask("cancel", ["r9", "r7"]))
    await settled()
    wire.turn()
    await settled()
    wire.turn()
    assert (await asking, beyond.ended) == ([1, 0], ["r9"])


@pytest.mark.gen_test
async def test_a_person_whom_any_worker_has_answered_is_here_for_a_while() -> None:
    machine, dispatcher, wire = await machine_of()
    other, other_wire = machine.worker(1)
    other_wire.start()
    other_wire.turn()
    client = await entered(dispatcher, wire, an_ask("r1", "ann"))
    client.finish()
    wire.turn()
    for seconds, here in ((1.0, {"ann"}), (HERE_SECONDS, set())):
        machine.hub.picture(seconds, (1, 1))
        other_wire.receive()
        assert other.persons() == here


async def none_of_them(request_ids: object) -> int:
    return 0


@pytest.mark.gen_test
async def test_the_pool_process_hears_what_workers_announce_and_all_of_them_what_it_announces() -> None:
    machine, dispatcher, wire = await machine_of()
    heard_there: list[tuple[object, ...]] = []
    heard_here: list[tuple[object, ...]] = []
    machine.hub.hears("rates", lambda *said: heard_there.append(said))
    dispatcher.hears("rates", lambda *said: heard_here.append(said))
    dispatcher.announce("rates", "a counter", 3, 1.5)
    dispatcher.announce("other", 7)
    wire.turn()
    machine.hub.announce("rates", "another", -1, 2.5)
    wire.turn()
    assert heard_there == [("a counter", 3, 1.5)]
    assert heard_here == [("another", -1, 2.5)]
