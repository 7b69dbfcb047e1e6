"""The generated texts about the settings, from their rows: `--help`, `.env.example` and the page for operators."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from server.config import architecture_docs
from server.config.settings import SETTINGS
from server.wire.translate import manual
from web import snippets

ROOT = Path(__file__).parent.parent.parent


def help_text() -> str:
    """The settings as `--help` lists them."""
    lines = ["settings, in the environment or in .env:"]
    for section, rows in groupby(SETTINGS, attrgetter("section")):
        lines += ["", f"  {section}"]
        for row in rows:
            said = f"{row.help} [{row.default}]" if row.default else row.help
            lines += textwrap.wrap(
                said, 116, initial_indent=f"    {row.name:<30}", subsequent_indent=" " * 34, break_on_hyphens=False
            )
    return "\n".join(lines)


def env_example() -> str:
    """A `.env` that changes nothing: every setting stands in it, commented out, with its default."""
    lines = [
        "# Copy this file to .env and take the # away from what you change. The environment and the command line win.",
        "# It is written by `make docs` from server/config/settings_rows.py.",
    ]
    for section, rows in groupby(SETTINGS, attrgetter("section")):
        lines += ["", f"# ---- {section}"]
        for row in rows:
            lines += [f"# {row.help}", f"#{row.name}={row.default or row.example}"]
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """The page for operators."""
    lines = [
        "# Settings",
        "",
        "What counts is the command line, then the environment, then `.env`, then the default. Sizes may be written as",
        "`8MiB`; durations are seconds. All mistakes are reported together, and then the exit code is 2.",
        "",
        "This page is written by `make docs` from `server/config/settings_rows.py`.",
    ]
    for section, rows in groupby(SETTINGS, attrgetter("section")):
        lines += ["", f"## {section}", "", "| setting | default | |", "|---|---|---|"]
        for row in rows:
            default = f"`{row.default}`" if row.default else ""
            example = f" Example: `{row.example}`." if row.example else ""
            lines.append(f"| `{row.name}` | {default} | {row.help}{example} |")
    return "\n".join(lines) + "\n"


# Each file that is written from the code, relative to the checkout.
GENERATED: dict[str, Callable[[], str]] = {
    ".env.example": env_example,
    "docs/settings.md": markdown,
    "docs/clients.md": snippets.markdown,
    "ARCHITECTURE.md": architecture_docs.architecture,
    "docs/modules.md": architecture_docs.modules,
    "docs/translation.md": manual.page,
}


def write(root: Path = ROOT) -> None:
    """Rewrite the generated files."""
    for name, text in GENERATED.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text(), encoding="utf-8")
