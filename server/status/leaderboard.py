"""The leaderboard: the usage of people who chose a nickname, computed once in ten seconds for all readers.

On the list are people who chose a nickname, and groups of the operator's of whose people at least five used something
in the window: with fewer, a person could be made out. All others are only counted, so that a person who has logged in
learns their place among all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from server.accounting.runtime_config import RuntimeConfig
from server.ledger.calendar import Calendar
from server.ledger.reports import By, Days, Sum
from server.ledger.reports import SumMeasure as Measured
from server.single_flight import SingleFlight
from server.store.base import Store
from web.view_public import Measure, QueuePlace, Score, Window
from web.wording import Wording

FRESH_SECONDS = 10.0
MOST_PEOPLE = 100_000  # of whom a place is known
MOST_LISTED = 100
FEWEST = 5  # people of a group that is listed

# Watt hours of a thousand tokens. Measured for large models on current hardware are 0.2 to 0.4 for a usual answer of
# about 500 tokens with its prompt; what a prompt costs is computed at once and far less.
WH_PER_1000_OUT, WH_PER_1000_IN = 0.6, 0.03
ENERGY = Wording(
    "%(answers)s Wh for 1,000 tokens of answers and %(prompts)s Wh for 1,000 tokens of prompts, whatever the model. "
    "No provider tells the true figure, which may be several times more or less.",
    answers=WH_PER_1000_OUT,
    prompts=WH_PER_1000_IN,
)


@dataclass(frozen=True, slots=True)
class Board:
    """One window by one measure. `order`: the ids of all people, the first has used the most."""

    people: tuple[tuple[str, Score], ...]  # with their ids, which stay here
    groups: tuple[Score, ...]
    order: tuple[str, ...]
    since_ms: int | None

    def scores(self, person_id: str | None) -> tuple[Score, ...]:
        """The list as this person sees it."""
        return tuple(replace(score, own=True) if owner == person_id else score for owner, score in self.people)

    def place(self, person_id: str, nickname: str | None) -> QueuePlace | None:
        """A person's place among all; None if they have used nothing."""
        if person_id not in self.order:
            return None
        return QueuePlace(self.order.index(person_id) + 1, len(self.order), nickname)


class Leaderboard:
    """The boards. `clock` is monotonic seconds, `wall` UTC milliseconds."""

    def __init__(
        self, store: Store, book: RuntimeConfig, calendar: Calendar, clock: Callable[[], float], wall: Callable[[], int]
    ) -> None:
        self._store, self._book, self._calendar, self._wall = store, book, calendar, wall
        self._boards = SingleFlight(self._board, FRESH_SECONDS, clock)

    async def board(self, window: Window, by: Measure) -> Board:
        """Raises StoreError."""
        return await self._boards.get((window, by))

    async def _board(self, asked: tuple[Window, Measure]) -> Board:
        window, by = asked
        today = self._calendar.day(self._wall())
        first = first_day(window, today)
        days = Days(first=first, last=None if first is None else today)
        leaders = await self._store.leaders(days, Measured(by), MOST_PEOPLE)
        people = {person.id: person for person in await self._store.people() if not person.disabled}
        named = [
            (person_id, people[person_id].nickname or "", found)
            for person_id, found in leaders
            if person_id in people and people[person_id].nickname
        ]
        listed = [
            (person_id, score_of(rank, name, found)) for rank, (person_id, name, found) in enumerate(named, start=1)
        ]
        return Board(
            people=tuple(listed[:MOST_LISTED]),
            groups=tuple(await self._groups(days, by)),
            order=tuple(person_id for person_id, _ in leaders),
            since_ms=None if first is None else self._calendar.starts(first),
        )

    async def _groups(self, days: Days, by: Measure) -> list[Score]:
        """The operator's groups with enough people. Those of an identity provider may be named after a person."""
        found = await self._store.sums(days, (By.GROUP, By.PERSON))
        members: dict[str, list[Sum]] = {}
        for each in found:
            if (name := each.key[0]) is not None and name in self._book.groups:
                members.setdefault(name, []).append(each)
        large = [(name, len(sums), total(sums)) for name, sums in members.items() if len(sums) >= FEWEST]
        large.sort(key=lambda each: (-measured(each[2], by), each[0]))
        return [replace(score_of(rank, name, sum_), people=count) for rank, (name, count, sum_) in enumerate(large, 1)]


def first_day(window: Window, today: str) -> str | None:
    """The first day of a window that holds today: weeks begin on Monday. None for ever."""
    day = date.fromisoformat(today)
    starts = {
        "day": today,
        "week": (day - timedelta(days=day.weekday())).isoformat(),
        "month": f"{today[:7]}-01",
    }
    return starts.get(window)


def measured(of: Sum, by: Measure) -> int:
    """The figure by which people are ranked."""
    return {"requests": of.requests, "tokens": of.input + of.output, "cost": of.cost_micro_usd}[by]


def watt_hours(tokens_in: int, tokens_out: int) -> float:
    """An estimate, by the formula that the page tells."""
    return (tokens_out * WH_PER_1000_OUT + tokens_in * WH_PER_1000_IN) / 1000


def total(sums: Iterable[Sum]) -> Sum:
    """Their figures, as far as a board shows them."""
    each = list(sums)
    return Sum(
        requests=sum(it.requests for it in each),
        input=sum(it.input for it in each),
        output=sum(it.output for it in each),
        cost_micro_usd=sum(it.cost_micro_usd for it in each),
    )


def score_of(rank: int, name: str, of: Sum) -> Score:
    """A line of the list."""
    energy = watt_hours(of.input, of.output)
    return Score(rank, name, of.requests, of.input + of.output, of.cost_micro_usd, energy)
