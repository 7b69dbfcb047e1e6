"""Whether an address leads to one of our own pages: where a person goes after a login is theirs to say, but only here.

A browser reads `//evil`, `/\\evil` and `/<tab>/evil` as another host, so a path of ours begins with one slash and holds
only what may stand in a path and a query as it is.
"""

from __future__ import annotations

import re

HOME = "/"
LONGEST = 1024
_OWN = re.compile(
    r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@%-][A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)


def own_path(text: str | None) -> str:
    """The path, if it is one of ours; else our first page."""
    return text if text and len(text) <= LONGEST and _OWN.fullmatch(text) else HOME
