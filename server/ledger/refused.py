"""Requests that were refused before a key served them: their makers and administrators see why.

They have no row on the ledger: nothing was sent and nothing is billed. What is kept says who asked for what and what
was answered, and no word of the prompt. Alike ones of an hour are one record with a count, so that a client that
repeats a refused request ten thousand times costs one record. A client that varies what it asks for has `MOST_EACH`
records an hour; further ones leave the model and the detail out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

HOUR_MS = 3_600_000
MOST_EACH = 50  # different ones of a person in an hour
MOST = 10_000  # of all people in an hour, and as many again for the first one of each person; the rest is not recorded
LONGEST = 128  # characters of a model's name, which its caller made up


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRequest:
    """Alike requests that were refused. Times are UTC milliseconds."""

    request_id: str  # of the first of them
    person_id: str
    token_id: str | None
    model: str  # as its caller named it; empty where it is not known
    endpoint: str  # the route, such as "/v1/chat/completions"
    code: str  # as the answer had it, such as "rate_limit_exceeded"
    status: int  # of HTTP
    detail: str = ""  # which limit was reached, or which field is at fault
    first_at: int
    last_at: int
    count: int = 1


Kind = tuple[str, str | None, str, str, str, str]


class RefusedTally:
    """The refusals of this hour, summed up, and which of them are not written yet."""

    def __init__(self) -> None:
        self._hour = 0
        self._known: dict[Kind, RefusedRequest] = {}
        self._each: Counter[str] = Counter()
        self._unwritten: dict[str, RefusedRequest] = {}

    def note(self, refused: RefusedRequest) -> None:
        """A request has been refused."""
        if (hour := refused.first_at // HOUR_MS) != self._hour:
            self._hour = hour
            self._known.clear()
            self._each.clear()
        refused = replace(refused, model=refused.model[:LONGEST])
        if _kind(refused) not in self._known and self._each[refused.person_id] >= MOST_EACH:
            refused = replace(refused, model="", detail="", endpoint="")
        if (known := self._known.get(_kind(refused))) is not None:
            count = known.count + refused.count
            refused = replace(known, last_at=max(known.last_at, refused.last_at), count=count)
        elif len(self._known) >= (MOST if self._each[refused.person_id] else 2 * MOST):
            return  # the first one of a person has room that those who vary what they ask for do not take
        else:
            self._each[refused.person_id] += 1
        self._known[_kind(refused)] = self._unwritten[refused.request_id] = refused

    def forget(self, person_id: str) -> None:
        """Let nothing more be written of a person."""
        self._unwritten = {name: it for name, it in self._unwritten.items() if it.person_id != person_id}
        self._known = {kind: it for kind, it in self._known.items() if it.person_id != person_id}

    def taken(self) -> list[RefusedRequest]:
        """What has changed since the last time."""
        unwritten, self._unwritten = self._unwritten, {}
        return list(unwritten.values())

    def put_back(self, unwritten: Iterable[RefusedRequest]) -> None:
        """These could not be written; what has come since is newer."""
        both = {each.request_id: each for each in unwritten} | self._unwritten
        self._unwritten = dict(list(both.items())[-2 * MOST :])  # after a long outage the latest


def _kind(refused: RefusedRequest) -> Kind:
    token, endpoint = refused.token_id, refused.endpoint
    return refused.person_id, token, refused.model, endpoint, refused.code, refused.detail
