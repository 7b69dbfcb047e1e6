"""Commands about requests of this moment: an administrator ends one, all of a person, or all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from keypool.live import LiveRequest
from server.admin.changes import Changes
from server.admin.consequences import Consequences, of_cancelling, of_cancelling_person
from server.policy.commands import NotThere
from web.wording import Wording

End = Callable[[Sequence[str]], Awaitable[int]]  # ends requests by their ids; says how many were still there


async def cancel(changes: Changes, actor: str, request_id: str, live: Iterable[LiveRequest], end: End) -> None:
    """End one of the requests of this moment; its client hears by whom.

    Raises NotThere for one that has ended already. It is noted first; if it ends by itself meanwhile, the log says so.
    """
    found = next((each for each in live if each.id == request_id), None)
    if found is None:
        raise _ended()
    before = {"person": found.person, "model": found.model, "state": found.state}
    await changes.note(actor, "request.cancel", request_id, before, None)
    if not await end([request_id]):
        await changes.note(actor, "request.cancel", request_id, None, {"ended": "by itself, before that"})
        raise _ended()


async def cancel_all(changes: Changes, actor: str, live: Collection[LiveRequest], end: End) -> Consequences:
    """End all requests of this moment; what comes meanwhile is served. It is noted first, in numbers."""
    consequences = of_cancelling(live)
    await changes.note(actor, "request.cancel-all", "queue", None, dict(consequences.numbers))
    await end([each.id for each in live])
    return consequences


async def cancel_of(
    changes: Changes, actor: str, person: str, name: str, live: Iterable[LiveRequest], end: End
) -> Consequences:
    """End all requests of a person at this moment; what comes meanwhile is served. It is noted first, in numbers.

    Raises NotThere if there are none.
    """
    mine = [each for each in live if each.person == person]
    if not mine:
        raise NotThere(Wording("no request of this person runs or waits"))
    consequences = of_cancelling_person(mine, person, name)
    await changes.note(actor, "request.cancel-of", person, None, dict(consequences.numbers))
    await end([each.id for each in mine])
    return consequences


def _ended() -> NotThere:
    return NotThere(Wording("this request has ended already"))
