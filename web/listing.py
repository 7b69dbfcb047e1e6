"""A table as its address says it: which filters are in force, what it is sorted by, and the links that change that.

Without a script: a heading is a link, a filter is a field of a form that is sent with GET, a page is a cursor. So a
person can keep what they see as a bookmark, and send it to another. `templates/tables.html` draws it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

Row = TypeVar("Row")
Order = Literal["ascending", "descending", ""]


@dataclass(frozen=True, slots=True)
class Listing:
    """`filters` are the fields of the form with what they hold now, "" for those that filter nothing.

    `sort` is the name of a column, with "-" before it where the largest comes first; "" is the list's own order.
    `kept` are parameters of the page that no field of the form shows, such as the measure of its chart.
    """

    path: str
    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def filtered(self) -> bool:
        return any(self.filters.values())

    def order(self, column: str) -> Order:
        """How the table is sorted by a column, as `aria-sort` says it; "" if it is sorted by another."""
        return {column: "ascending", f"-{column}": "descending"}.get(self.sort, "")  # type: ignore[return-value]

    def by(self, column: str, falling: bool = False) -> str:
        """The address that sorts by a column: first the way it is read best, then the other way round."""
        usual, other = (f"-{column}", column) if falling else (column, f"-{column}")
        return self.address(sort=other if self.sort == usual else usual)

    def after(self, cursor: str) -> str:
        """The address of the page that begins behind a row."""
        return self.address(after=cursor)

    def plain(self) -> str:
        """The address without filters."""
        return _joined(self.path, {**self.kept, "sort": self.sort})

    def address(self, **changes: str) -> str:
        """The address of this table with some parameters changed; it begins at the first page. It needs escaping."""
        return _joined(self.path, {**self.kept, **self.filters, "sort": self.sort, **changes})


def arranged(rows: Iterable[Row], sort: str, keys: Mapping[str, Callable[[Row], Any]]) -> list[Row]:
    """The rows as `sort` wants them, by the function of its column; as they are, where it names none of them.

    Rows whose figure is None come last in both directions. Rows that are alike keep their order.
    """
    of = keys.get(sort.removeprefix("-"))
    if of is None:
        return list(rows)
    known: list[Row] = []
    unknown: list[Row] = []
    for row in rows:
        (unknown if of(row) is None else known).append(row)
    return sorted(known, key=of, reverse=sort.startswith("-")) + unknown


def _joined(path: str, parameters: Mapping[str, str]) -> str:
    said = urlencode({name: value for name, value in parameters.items() if value}, errors="replace")
    return f"{path}?{said}" if said else path
