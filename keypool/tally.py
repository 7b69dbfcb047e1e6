"""The pool's counters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from keypool.messages import Reason


@dataclass(slots=True)
class PoolTally:
    """The pool's counters since the start."""

    refusals: Counter[Reason]
    retries: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
