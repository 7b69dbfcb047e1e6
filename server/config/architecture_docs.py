"""The sections of `ARCHITECTURE.md` that are written from the code: the map of all modules, and the states of keys.

A module's line in the map is the first line of its own docstring, so the map cannot be out of date.
"""

from __future__ import annotations

import ast
from pathlib import Path

from keypool.standing import DEAD, RESTING, TRANSITIONS, KeyEvent, KeyState

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
ROOMS = {
    "keypool": "Ground: `keypool`, queues and keys",
    "server/wire": "Ground: `server/wire`, bytes and dialects",
    "server/ledger": "Ground: `server/ledger`, tokens and money",
    "server/terms": "Ground: `server/terms`, what people and operators may say",
    "web": "Ground: `web`, views to pages",
    "server/config": "Floor 1: `server/config`, the settings",
    "server/store": "Floor 1: `server/store`, what is remembered",
    "server/people": "Floor 2: `server/people`, who may ask",
    "server/login": "Floor 2: `server/login`, who comes in by a browser",
    "server/keys": "Floor 2: `server/keys`, the upstream keys while it runs",
    "server/books": "Floor 2: `server/books`, one request's money",
    "server/public": "Floor 2: `server/public`, what everybody may see",
    "server": "Floors 1 and 2, and the roof: `server`",
    "server/cli": "Roof: `server/cli`, the command line",
    "server/handlers": "Floor 3: `server/handlers`, Tornado",
}


def architecture() -> str:
    """The whole of `ARCHITECTURE.md`, with the sections as they should be."""
    text = PAGE.read_text(encoding="utf-8")
    for name, section in (("map", floor_map()), ("key states", states())):
        begin, end = f"<!-- {name}: written by `make docs` -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        text = before + begin + section + end + rest.partition(end)[2]
    return text


def floor_map() -> str:
    """Every module with what it knows, room by room."""
    lines = []
    for folder, title in ROOMS.items():
        lines += [f"### {title}", "", "| file | what it knows |", "|---|---|"]
        for path in sorted((ROOT / folder).glob("*.py")):
            if path.name != "__init__.py":
                lines.append(f"| `{path.relative_to(ROOT).as_posix()}` | {_first_line(path)} |")
        lines.append("")
    return "\n".join(lines)


def _first_line(path: Path) -> str:
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return told.partition("\n")[0].rstrip(".:").replace("|", "\\|")


def states() -> str:
    """A diagram of what moves a state, and the whole table."""
    lines = [
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> unchecked",
        *_arrows(),
        "```",
        "",
        f"Resting, and tried by one request when the rest is over: {_names(RESTING)}. The operator brings back:",
        f"{_names(DEAD)}; of a revoked key a free check asks now and then, and resumes it if it is let in.",
        "",
        "| state | " + " | ".join(event.value for event in KeyEvent) + " |",
        "|---|" + "---|" * len(KeyEvent),
    ]
    for state in KeyState:
        cells = (TRANSITIONS[state, event] for event in KeyEvent)
        lines.append(f"| **{state.value}** | " + " | ".join("·" if to is state else to.value for to in cells) + " |")
    return "\n".join(lines) + "\n"


def _arrows() -> list[str]:
    """One arrow for each pair of states, with all events that move along it."""
    moves: dict[tuple[KeyState, KeyState], list[str]] = {}
    for (state, event), to in TRANSITIONS.items():
        if to is not state:
            moves.setdefault((state, to), []).append(event.value)
    return [f"    {start.value} --> {end.value}: {', '.join(events)}" for (start, end), events in moves.items()]


def _names(states: frozenset[KeyState]) -> str:
    return ", ".join(sorted(state.value for state in states))
