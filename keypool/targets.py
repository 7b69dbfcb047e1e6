"""What part of a capacity each gateway should have: in proportion to the weight that is active there.

A person counts where there is something waiting or running, and one who is active at several gateways counts in parts,
so that all of them together have one share. Max-min: a gateway at which nothing waits has no use for more than it wants
(`want`), and what it leaves goes to those that have; only then is the rest for all.

A gateway at which no person is active keeps a little, so that the first request need not wait until the next heartbeat.

Slots are whole. Each gateway's ideal number is laid end to end on a line, and each whole number plus an offset on that
line is one slot (systematic sampling): so each gets its number rounded up or down and the sum is exact. The offset
moves with the turn by the golden ratio, which spreads the turns evenly: over many turns each gets its ideal number,
also where there are fewer slots than gateways. All gateways compute the same, if they know the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import NamedTuple

from keypool.shares import WHOLE

IDLE = 0.02  # of the whole, for each gateway at which no person is active
IDLE_TOGETHER = 0.1  # of the whole, for all of these
GOLDEN = 0.6180339887498949
HAIR = 1e-9  # of a slot: the slack that rounding needs


class Claim(NamedTuple):
    """What a gateway asks of one capacity: the weight active there, the part that it wants, and the slots."""

    weight: float = 0.0
    want: int = WHOLE
    slots: int = WHOLE


def parts(claims: Mapping[str, Claim]) -> dict[str, int]:
    """Each gateway's parts per million."""
    least = min(IDLE, IDLE_TOGETHER / max(1, len(claims))) * WHOLE
    wanted = {name: (claim.weight, float(claim.want)) for name, claim in claims.items()}
    return {name: floor(part + HAIR) for name, part in filled(float(WHOLE), wanted, least).items()}


def slots(claims: Mapping[str, Claim], number: int, turn: int) -> dict[str, int]:
    """Each gateway's slots of so many."""
    least = 1.0 if number >= 2 * len(claims) else 0.0
    wanted = {name: (claim.weight, float(claim.slots)) for name, claim in claims.items()}
    return whole(filled(float(number), wanted, least), turn)


def filled(total: float, wanted: Mapping[str, tuple[float, float]], least: float) -> dict[str, float]:
    """Divide a total among those that have a weight and want some; those without a weight get the least.

    What all of them leave is for all alike.
    """
    given = {name: min(least, total / len(wanted)) for name, (weight, _) in wanted.items() if weight <= 0.0}
    open_ = {name: each for name, each in wanted.items() if each[0] > 0.0}
    left = total - sum(given.values())
    while open_:
        level = left / sum(weight for weight, _ in open_.values())
        content = {name: want for name, (weight, want) in open_.items() if want < level * weight}
        if not content:
            given |= {name: level * weight for name, (weight, _) in open_.items()}
            return given
        given |= content
        left -= sum(content.values())
        open_ = {name: each for name, each in open_.items() if name not in content}
    return {name: part + max(0.0, left) / len(given) for name, part in given.items()}


def whole(ideal: Mapping[str, float], turn: int) -> dict[str, int]:
    """Round ideal numbers so that the sum stays what it is; another turn rounds others up."""
    offset = turn * GOLDEN % 1.0
    rounded, end, before = {}, 0.0, floor(offset + HAIR)
    for name in sorted(ideal):
        end += ideal[name]
        mark = floor(end + offset + HAIR)
        rounded[name], before = mark - before, mark
    return rounded
