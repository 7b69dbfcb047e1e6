"""The content security policy of an operator's own page: ours, widened by `PAGE_CSP` and by nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

LONGEST = 4096  # characters
LEGACY = "legacy"  # in place of directives: what a page needs that was written where there was no policy at all
_INLINE = "'unsafe-inline'"
LEGACY_POLICY = (
    f"script-src {_INLINE} https:; style-src {_INLINE} https:; img-src https: data:; font-src https: data:; "
    "media-src https: data:; frame-src https:"
)

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
    """The setting `PAGE_CSP`: directives, or the word `legacy`. `ValueError` if it is no policy."""
    if text.strip().lower() == LEGACY:
        return LEGACY_POLICY
    policy_words(text)
    return text


def needed_by(page: str) -> str:
    """The directives that a page of HTML seems to need beside ours; "" if none. A hint for its operator, no judgement.

    It sees what stands in the text: inline scripts and styles, and addresses of other hosts in the elements that load.
    """
    needs: dict[str, list[str]] = {}
    for name, source in _needs(page):
        if source not in needs.setdefault(name, []):
            needs[name].append(source)
    return "; ".join(" ".join((name, *sources)) for name, sources in sorted(needs.items()))


def missing(policy: str, page: str) -> str:
    """The directives that a page seems to need and a policy does not give; "" if none."""
    given = policy_words(policy)
    lacks = {
        name: [source for source in sources if not _allows(given.get(name, ()), source)]
        for name, sources in policy_words(needed_by(page)).items()
    }
    return "; ".join(" ".join((name, *sources)) for name, sources in lacks.items() if sources)


def _allows(given: tuple[str, ...], source: str) -> bool:
    scheme = f"{urlsplit(source).scheme}:" if "://" in source else source
    return source == "data:" or bool({source, scheme, "*"} & set(given))  # ours allows pictures that stand in the page


def _needs(page: str) -> Iterator[tuple[str, str]]:
    for attributes in _SCRIPT.findall(page):
        if not _ADDRESS.search(attributes) and "application/json" not in attributes:
            yield "script-src", _INLINE
    if _HANDLER.search(page):
        yield "script-src", _INLINE
    if _STYLE.search(page):
        yield "style-src", _INLINE
    for element, attributes in _LOADS.findall(page):
        found = _ADDRESS.search(attributes)
        origin = _origin(found[1]) if found else ""
        if origin:
            yield _DIRECTIVES[element.lower()], origin
    for address in _IN_STYLE.findall(page):
        if origin := _origin(address):
            yield "img-src", origin


def _origin(address: str) -> str:
    """What a policy calls the place of an address: an origin, or `data:`; "" for this gateway itself."""
    if address.startswith("data:"):
        return "data:"
    parts = urlsplit(f"https:{address}" if address.startswith("//") else address)
    host = re.sub(r"[^A-Za-z0-9.:-]", "", parts.netloc.rpartition("@")[2])
    return f"{parts.scheme}://{host}" if parts.scheme in ("http", "https") and host else ""


def widened(policy: str, more: str) -> str:
    """A policy with the sources of another one beside its own; directives that it has not are added whole."""
    words = policy_words(policy)
    for name, sources in policy_words(more).items():
        own = tuple(each for each in words.get(name, ()) if each != _NONE)
        words[name] = tuple(dict.fromkeys((*own, *sources)))
    return "; ".join(" ".join((name, *sources)) for name, sources in words.items())


_SCRIPT = re.compile(r"<script\b([^>]{0,2000})>", re.I)
_HANDLER = re.compile(r"<[a-z][^<>]{0,2000}?\son[a-z]{3,20}\s{0,3}=", re.I)
_STYLE = re.compile(r"<style\b|<[a-z][^<>]{0,2000}?\sstyle\s{0,3}=", re.I)
_LOADS = re.compile(r"<(script|link|img|audio|video|source|iframe)\b([^>]{0,2000})>", re.I)
_ADDRESS = re.compile(r"""(?:src|href)\s{0,3}=\s{0,3}["']?([^"'\s>]{1,2000})""", re.I)
_IN_STYLE = re.compile(r"""url\(\s{0,3}["']?([^"')\s]{1,2000})""", re.I)
_DIRECTIVES = {
    "script": "script-src", "link": "style-src", "img": "img-src", "audio": "media-src", "video": "media-src",
    "source": "media-src", "iframe": "frame-src",
}  # fmt: skip
_EXPECTED = "expected directives of a content security policy such as img-src https://example.org; font-src data:"
