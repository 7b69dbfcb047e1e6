"""The content security policy of an operator's own page: ours, widened by `PAGE_CSP` and by nothing else."""

from __future__ import annotations

import re

LONGEST = 4096  # characters

_DIRECTIVE = re.compile(r"[a-z]+(-[a-z]+)*")
_SOURCE = re.compile(r"[!-+\--:<-~]+")  # what may stand between blanks in a header: no semicolon, no comma
_NONE = "'none'"


def policy_words(text: str) -> dict[str, tuple[str, ...]]:
    """A policy's directives and their sources. `ValueError` if it is none."""
    if len(text) > LONGEST:
        raise ValueError(_EXPECTED)
    found: dict[str, tuple[str, ...]] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, *sources = part.split()
        if not _DIRECTIVE.fullmatch(name) or name in found or not all(map(_SOURCE.fullmatch, sources)):
            raise ValueError(_EXPECTED)
        found[name] = tuple(sources)
    return found


def page_csp(text: str) -> str:
    """The setting `PAGE_CSP`. `ValueError` if it is no policy."""
    policy_words(text)
    return text


def widened(policy: str, more: str) -> str:
    """A policy with the sources of another one beside its own; directives that it has not are added whole."""
    words = policy_words(policy)
    for name, sources in policy_words(more).items():
        own = tuple(each for each in words.get(name, ()) if each != _NONE)
        words[name] = tuple(dict.fromkeys((*own, *sources)))
    return "; ".join(" ".join((name, *sources)) for name, sources in words.items())


_EXPECTED = "expected directives of a content security policy such as img-src https://example.org; font-src data:"
