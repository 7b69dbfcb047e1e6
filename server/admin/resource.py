"""One kind of thing that can be administered: its fields, and its verbs in the three front ends (`resources.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from server.config.shapes import Shape, Thing


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a thing, and how it is called in a form and among the options where that is not its name.

    `shown`: its shape in an answer, where that is wider than what may be written. `kept`: it stands in the record;
    else it is only said when the thing is made.
    """

    name: str
    shape: Shape
    page: str | None = None
    option: str | tuple[str, ...] | None = None
    shown: Shape | None = None
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb about a thing, and its places: an operation, a form, a verb of the command line; "" is nowhere.

    `needs` and `takes`: the fields that must and that may be said. `own`: the same for the owner of the thing.
    """

    name: str
    api: str
    page: str
    line: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    own: tuple[str, str] | None = None
    shapes: Mapping[str, Shape] = field(default_factory=dict)  # of fields that are narrower here

    @property
    def fields(self) -> tuple[str, ...]:
        return self.needs + self.takes


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of thing. `columns` are fields that are read and never written, by their shapes in an answer."""

    name: str
    fields: tuple[Field, ...]
    verbs: tuple[Verb, ...]
    columns: Mapping[str, Shape]

    def field(self, name: str) -> Field:
        return next(each for each in self.fields if each.name == name)

    def verb(self, name: str) -> Verb:
        return next(each for each in self.verbs if each.name == name)

    def body(self, verb: str, name: str = "") -> Thing:
        """The body that a verb takes, as the API reads and describes it; `name` is the schema's."""
        found = self.verb(verb)
        needed, may = (
            {each: found.shapes.get(each) or self.field(each).shape for each in some}
            for some in (found.needs, found.takes)
        )
        return Thing(needed, may, name=name)

    def record(self, name: str, absent: Iterable[str] = (), more: Mapping[str, Shape] | None = None) -> Thing:
        """A thing as the API answers it. `absent`: fields that may be left out; `more`: what is shown but once."""
        shapes = {each.name: each.shown or each.shape for each in self.fields if each.kept}
        rare = set(absent)
        there = {field: shape for field, shape in shapes.items() if field not in rare}
        return Thing({**self.columns, **there, **(more or {})}, {each: shapes[each] for each in absent}, name=name)


def same(names: Iterable[str], shape: Shape) -> tuple[Field, ...]:
    """Fields of one shape."""
    return tuple(Field(name, shape) for name in names)
