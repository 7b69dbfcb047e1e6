"""docs/performance.md: each command of the bench writes its own section and leaves the others as they are."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from pathlib import Path

from bench.report import machine

PAGE = Path("docs/performance.md")
INTRODUCTION = """# Performance

Each section is written by the command that it names. The gateway runs on one core; the mock upstream (1 KB of JSON,
stream chunks of 170 bytes) and the load generator share another one. "All on" is a token from the store, limits in
requests and money that apply and are far from their end, the ledger and the journal on the disk, metrics and the access
log. "Shared key" is one key for all and no limits. "Added" is the latency through the gateway less the latency direct.
CPU is what the kernel counted for the gateway's process with its threads, memory is its proportional set size. All
sides speak plain HTTP over the loopback, except where TLS is named.
"""
# In the order of the page: the mark of a section, and its heading.
SECTIONS = {
    "gateway": "The gateway",
    "peers": "Beside its peers",
    "parts": "Where the microseconds of a request go",
    "soak": "A long run at half load",
}


def rewritten(page: str, section: str, lines: Sequence[str]) -> str:
    """The page with a section of these lines in the place of the one that it had."""
    kept = {name: found[1] for name in SECTIONS if (found := re.search(_pattern(name), page, re.DOTALL))}
    kept[section] = "\n".join(lines).strip()
    parts = [
        f"## {heading}\n\n<!-- {name}: begins -->\n{kept[name]}\n<!-- {name}: ends -->\n"
        for name, heading in SECTIONS.items()
        if name in kept
    ]
    return "\n".join([INTRODUCTION, *parts])


def write(section: str, command: str, lines: Sequence[str], path: Path = PAGE) -> None:
    """Rewrite a section of the page: who wrote it, when and where, and these lines."""
    written = f"Written by `{command}` on {datetime.date.today().isoformat()}: {machine()}."
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(rewritten(page, section, [written, "", *lines]), encoding="utf-8")


def _pattern(name: str) -> str:
    return rf"<!-- {name}: begins -->\n(.*?)\n<!-- {name}: ends -->"
