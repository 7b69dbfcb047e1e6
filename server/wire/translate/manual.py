"""The page of the manual that has the table of fields (`docs/translation.md`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from server.wire.translate.fields import Rows
from server.wire.translate.fields_of_answers import OF_CHAT, OF_MESSAGES
from server.wire.translate.translation import TABLE

_HEAD = """# Translation between dialects

*This page is written by `make docs` from the table that the translation uses.*

A model is asked in the dialect of its provider. Where a caller asks in another one, the request is translated, and its
answer back: chat completions ↔ messages, and responses → both.

* What is **carried** is said in the other dialect's words.
* What is **left out** does no harm, or the model does without; the header `X-Fairgate-Translated` names it.
* What is **refused** cannot be said there: a 400 `not_translatable` names the field.
* A field that is not on this page is refused. A field that is null says nothing.

An answer keeps its text, its thoughts, its calls of tools, the reason why it ended and its usage; what of it is left
out stands at the end of this page. Thoughts come as `thinking` blocks, as `reasoning_content`, or as `reasoning` items;
what is sent back as it came is carried. A provider's own tools (a search, a sandbox) are not called in another dialect:
beside tools of the caller's they are left out, alone they are refused. OpenAI's `local_shell`, `shell` and
`apply_patch`, which the caller runs, are functions there. Ids of calls are kept; names that the other side does not
take are changed there, and come back as they were.

A loop of tools on a Claude is cached (`cache_control`) unless its caller says what is; the header names that, too.
A chunk of a stream takes 9 to 13 microseconds of a processor (`python -m bench.translation`).
"""

_ANSWERS = {"Answers of chat completions": OF_CHAT, "Answers of messages": OF_MESSAGES}
_TITLES = {
    "chat": "Chat completions, for a model that speaks messages",
    "messages": "Messages, for a model that speaks chat completions",
    "responses": "Responses, for a model that speaks chat completions or messages",
}


def page() -> str:
    """The page."""
    return "\n".join([_HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for asker, title in _TITLES.items():
        yield from _section(title, {place: rows for place, rows in TABLE.items() if place.partition(".")[0] == asker})
    for title, table in _ANSWERS.items():
        yield from _section(title, table)


def _section(title: str, table: Mapping[str, Rows]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| where | field | what becomes of it |"
    yield "|---|---|---|"
    for place, rows in table.items():
        yield from _rows(place.partition(".")[2] or "body", rows)
    yield ""


def _rows(where: str, rows: Rows) -> Iterator[str]:
    """A place's fields, those of one fate and reason in one row."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, row in rows.items():
        harmless = " or ".join(f"`{each}`" for each in row.harmless)
        named = f"`{name}`" + (f" (but {harmless})" if harmless else "")
        groups.setdefault((row.fate, row.why), []).append(named)
    for (fate, why), names in groups.items():
        becomes = {"carried": "carried", "noted": f"left out: {why}", "refused": f"refused: {why}"}[fate]
        yield f"| `{where}` | {', '.join(names)} | {becomes} |"
