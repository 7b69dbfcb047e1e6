"""What the outside may see of the pool: frozen, without secrets and without persons."""

from __future__ import annotations

from dataclasses import dataclass

from keypool.keys import State


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """One key. `since` is when its state began, seconds, monotonic."""

    id: str
    upstream: str
    state: State
    since: float
    running: int
    slots: int


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One model: requests waiting and in flight, slots of its keys, and how many keys are in each state."""

    name: str
    waiting: int
    running: int
    slots: int
    keys: dict[State, int]


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    models: tuple[ModelSnapshot, ...]
    keys: tuple[KeySnapshot, ...]
