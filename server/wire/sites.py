"""Whether a request that needs no credential comes from a page of our own, or from none.

Where no credential is needed, every web page that a person looks at could let the browser ask this gateway: by a
form or a script of its own (then the browser says so in `Sec-Fetch-Site` or `Origin`), or by giving its own name this
machine's address for a while (DNS rebinding: then everything looks like our own page, but for the name in `Host`).
Programs send neither header.

A name is ours if the operator named it, if it is an address, or if it has no dot or ends in `.localhost`: no stranger
can give those another address.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

OWN_SITE = (None, "none", "same-origin")  # what a browser says of our own pages, and of an address that was typed in


def is_own_name(host: str, names: Collection[str]) -> bool:
    """Whether a `Host` header names this gateway. `names` are in small letters, without ports."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    return bool(name) and ("." not in name or name.endswith(".localhost") or name in names or _is_address(name))


def is_from_elsewhere(site: str | None, origin: str | None, host: str, public_url: str) -> bool:
    """Whether a browser asks for a page of another site: by its `Sec-Fetch-Site` and `Origin`."""
    if site not in OWN_SITE:
        return True
    if origin is None:
        return False
    named = origin.partition("://")[2].lower()
    return not named or named not in (host.lower(), urlsplit(public_url).netloc.lower())


def is_of_page(site: str | None, origin: str | None, ours: Collection[str]) -> bool:
    """Whether a script of one of our own pages asks: by the browser's word, and where it gives none by the origin.

    `ours` are origins such as `https://llm.example.org`, also with a path. A request that says neither is of no page.
    """
    if site is not None:
        return site == "same-origin"
    if origin is None:
        return False
    named = {urlsplit(each)[:2] for each in ours if each}
    return urlsplit(origin.lower())[:2] in {(scheme, host.lower()) for scheme, host in named}


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
