"""The generated documents about the code's structure: the list of all modules, and the states of keys.

A module's line in the list is the first line of its own docstring, so the list cannot be out of date.
"""

from __future__ import annotations

import ast
from pathlib import Path

from keypool.health import DEAD, RESTING, TRANSITIONS, KeyEvent, KeyState

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
FOLDERS = {
    "server": "Roof, and modules without a folder: `server`",
    "server/bootstrap": "Roof: `server/bootstrap`, the only place where everything meets",
    "server/cli": "Floor 5: `server/cli`, the command line",
    "server/http": "Floor 5: `server/http`, Tornado: routes, who may use them, and the relayed endpoints",
    "server/http/api": "Floor 5: `server/http/api`, the JSON API",
    "server/http/pages": "Floor 5: `server/http/pages`, pages for people",
    "server/http/compat": "Floor 5: `server/http/compat`, the interfaces of five older projects",
    "server/http/transport": "Floor 5: `server/http/transport`, between clients' sockets and Tornado's handlers",
    "server/relay": "Floor 4: `server/relay`, one request's way",
    "server/admin": "Floor 4: `server/admin`, what may be changed",
    "server/admin/commands": "Floor 4: `server/admin/commands`, changes by whom they concern",
    "server/status": "Floor 4: `server/status`, the public pages",
    "server/notifications": "Floor 3: `server/notifications`, messages before something ends",
    "server/accounting": "Floor 3: `server/accounting`, money under way",
    "server/cluster": "Floor 3: `server/cluster`, several gateways on one store",
    "server/keys": "Floor 3: `server/keys`, the upstream keys while it runs",
    "server/auth": "Floor 3: `server/auth`, who asks",
    "server/auth/oidc": "Floor 3: `server/auth/oidc`, logins by an identity provider",
    "server/observability": "Floor 2: `server/observability`, logs, metrics and traces",
    "server/workers": "Floor 2: `server/workers`, several processes on one machine",
    "server/store": "Floor 2: `server/store`, what is remembered",
    "server/store/sqlite": "Floor 2: `server/store/sqlite`, the embedded store",
    "server/store/mongo": "Floor 2: `server/store/mongo`, the store in MongoDB",
    "server/httpclient": "Floor 2: `server/httpclient`, connections to providers",
    "server/config": "Floor 2: `server/config`, the settings",
    "keypool": "Ground: `keypool`, queues and keys",
    "server/wire": "Ground: `server/wire`, bytes and dialects",
    "server/wire/translate": "Ground: `server/wire/translate`, from one dialect to another",
    "server/ledger": "Ground: `server/ledger`, tokens and money",
    "server/policy": "Ground: `server/policy`, what people and operators may decide",
    "web": "Ground: `web`, from figures to pages",
}


def architecture() -> str:
    """The whole of `ARCHITECTURE.md`, with the section about the states of keys as it should be."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition("<!-- key states: written by `make docs` -->\n")
    _, end, after = rest.partition("<!-- end of key states -->\n")
    return before + begin + states() + end + after


def modules() -> str:
    """The whole of `docs/modules.md`: every module with its purpose, folder by folder."""
    lines = ["# All modules", "", "Written by `make docs`: a module's line is the first line of its own docstring.", ""]
    for folder, title in FOLDERS.items():
        lines += [f"## {title}", "", "| file | purpose |", "|---|---|"]
        for path in sorted((ROOT / folder).glob("*.py")):
            if path.name != "__init__.py":
                lines.append(f"| `{path.relative_to(ROOT).as_posix()}` | {_first_line(path)} |")
        lines.append("")
    return "\n".join(lines)


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].rstrip(".:").replace("|", "\\|")


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
