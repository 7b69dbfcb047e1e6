"""Records that are made quickly are what frozen dataclasses are."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from server.wire.records import made_quickly


@dataclass(frozen=True, slots=True)
class Slow:
    """A frozen dataclass as it comes."""

    name: str
    amount: int = 3
    seen: tuple[str, ...] = ()


@made_quickly
@dataclass(frozen=True, slots=True)
class Quick:
    """The same."""

    name: str
    amount: int = 3
    seen: tuple[str, ...] = ()


@made_quickly
@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One whose fields are given by name."""

    name: str
    amount: int = 3


def test_it_is_made_compared_shown_and_replaced_as_ever() -> None:
    quick, slow = Quick("a", seen=("b",)), Slow("a", seen=("b",))
    assert repr(quick) == repr(slow).replace("Slow", "Quick")
    assert hash(quick) == hash(slow)
    assert quick == Quick(name="a", amount=3, seen=("b",)) != Quick("a")
    assert replace(quick, amount=4) == Quick("a", 4, ("b",))
    assert copy.deepcopy(quick) == pickle.loads(pickle.dumps(quick)) == quick
    assert isinstance(quick, Quick)


def test_it_is_never_changed() -> None:
    quick = Quick("a")
    with pytest.raises(FrozenInstanceError):
        quick.amount = 4  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del quick.name  # type: ignore[misc]


def test_wrong_arguments_are_refused() -> None:
    for wrong in (lambda: Quick(), lambda: Quick("a", 1, (), 2), lambda: Quick("a", other=1), lambda: Named("a")):
        with pytest.raises(TypeError):
            wrong()
    assert Named(name="a") == Named(amount=3, name="a")


def test_a_class_that_does_more_than_assign_is_none() -> None:
    @dataclass(frozen=True, slots=True)
    class Listing:
        names: list[str] = field(default_factory=list)

    @dataclass(frozen=True, slots=True)
    class Checked:
        name: str

        def __post_init__(self) -> None:
            """It would not be called."""

    @dataclass(frozen=True, slots=True)
    class More(Slow):
        other: str = ""

    for each in (Listing, Checked, More):
        with pytest.raises(TypeError):
            made_quickly(each)
