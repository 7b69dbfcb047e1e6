"""The file `.env`, without the variable expansion of a shell: a `$` in a key is a `$`.

A value in quotes that holds quotes itself, as the sample of the OAI Reverse Proxy has one, is what stands between the
first and the last of its line.
"""

from __future__ import annotations

import re
from pathlib import Path

from dotenv.parser import parse_stream

_QUOTED = re.compile(r"""\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*"([^\n]*)"[ \t]*""")


def read_dotenv(path: Path | None, mistakes: list[str]) -> dict[str, str]:
    """The names and values of a file that may be missing. A line that cannot be read is a mistake by its number."""
    if path is None or not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8") as file:
            bindings = list(parse_stream(file))
    except (OSError, UnicodeDecodeError):
        mistakes.append(f"{path.name}: expected a readable text file in UTF-8")
        return {}
    found: dict[str, str] = {}
    for each in bindings:
        quoted = _QUOTED.fullmatch(each.original.string.strip("\n")) if each.error else None
        if quoted is not None:
            found[quoted[1]] = quoted[2].strip()
        elif each.error:
            mistakes.append(f"{path.name} line {each.original.line}: expected NAME=value")
        elif each.key and each.value and each.value.strip():
            found[each.key] = each.value.strip()
    return found
