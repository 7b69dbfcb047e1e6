"""The section of `ARCHITECTURE.md` about key states, drawn from `keypool.standing.TRANSITIONS`."""

from __future__ import annotations

from pathlib import Path

from keypool.standing import DEAD, RESTING, TRANSITIONS, Event, State

PAGE = Path(__file__).parent.parent / "ARCHITECTURE.md"
BEGIN, END = "<!-- key states: written by `make docs` -->\n", "<!-- end of key states -->\n"


def architecture() -> str:
    """The whole of `ARCHITECTURE.md`, with the section as it should be."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + section() + END + rest.partition(END)[2]


def section() -> str:
    """A diagram of what moves a state, and the whole table."""
    lines = [
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> unchecked",
        *_arrows(),
        "```",
        "",
        f"Resting, and tried by one request when the rest is over: {_names(RESTING)}. Only the operator brings back:",
        f"{_names(DEAD)}.",
        "",
        "| state | " + " | ".join(event.value for event in Event) + " |",
        "|---|" + "---|" * len(Event),
    ]
    for state in State:
        cells = (TRANSITIONS[state, event] for event in Event)
        lines.append(f"| **{state.value}** | " + " | ".join("·" if to is state else to.value for to in cells) + " |")
    return "\n".join(lines) + "\n"


def _arrows() -> list[str]:
    """One arrow for each pair of states, with all events that move along it."""
    moves: dict[tuple[State, State], list[str]] = {}
    for (state, event), to in TRANSITIONS.items():
        if to is not state:
            moves.setdefault((state, to), []).append(event.value)
    return [f"    {start.value} --> {end.value}: {', '.join(events)}" for (start, end), events in moves.items()]


def _names(states: frozenset[State]) -> str:
    return ", ".join(sorted(state.value for state in states))
