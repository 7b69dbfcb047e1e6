"""What the status page may know: counts and names, frozen.

The page is public, so this module is the border. No key, fingerprint, person or token has a field here; whoever
builds a view decides nothing about privacy any more. Words and layout are `render.py`'s, numbers are the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

KEY_STATES = ("ready", "cooling", "exhausted", "unchecked", "paused", "revoked")
"""The states of a key as the page names them, the healthiest first."""

State = Literal["up", "draining", "degraded"]
Condition = Literal["available", "busy", "checking", "recovering", "unavailable"]


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model: its queue and the keys that serve it.

    The waits are of the latest requests, None before the first. `gap` is the largest difference between what two
    people who wait have been served, and `gap_bound` what the queue's rule allows, both in largest requests; `jain` is
    the fairness index (1: all the same) of those who waited in the last minutes.
    """

    name: str
    waiting: int  # requests in the queue
    running: int  # requests that hold a slot
    slots: int  # requests that may run at once
    keys: Mapping[str, int] = field(default_factory=dict)  # state (one of KEY_STATES) -> number of keys
    wait_p50_seconds: float | None = None
    wait_p99_seconds: float | None = None
    jain: float = 1.0
    gap: float = 0.0
    gap_bound: float = 0.0

    def __post_init__(self) -> None:
        unknown = set(self.keys) - set(KEY_STATES)
        if unknown:
            raise ValueError(f"not a key state: {', '.join(sorted(unknown))}")

    @property
    def condition(self) -> Condition:
        """What somebody who asks for this model now has to expect, in one word."""
        if self.keys.get("ready"):
            return "busy" if self.waiting else "available"
        if self.keys.get("unchecked"):
            return "checking"
        return "recovering" if self.keys.get("cooling") else "unavailable"

    @property
    def answers(self) -> bool:
        """Whether at least one key is ready."""
        return bool(self.keys.get("ready"))


@dataclass(frozen=True, slots=True)
class StatusView:
    """The whole installation at one instant. `today` is the day in UTC."""

    title: str  # the installation's name
    state: State
    demo: bool  # whether the built-in demo model answers instead of a provider
    uptime_seconds: float
    now_ms: int  # UTC, milliseconds since 1970
    models: tuple[ModelView, ...]
    requests_today: int
    tokens_in_today: int
    tokens_out_today: int
    base_url: str  # scheme, host and port as callers reach them, without a path: "http://127.0.0.1:8080"
    checking: tuple[int, int] | None = None  # keys checked so far and in all, while that is done for the first time

    @property
    def waiting(self) -> int:
        """Requests in all queues."""
        return sum(model.waiting for model in self.models)

    @property
    def running(self) -> int:
        """Requests that hold a slot, of all models."""
        return sum(model.running for model in self.models)

    @property
    def answering(self) -> int:
        """Models that answer now."""
        return sum(model.answers for model in self.models)
