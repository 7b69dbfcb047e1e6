"""Rate limits in the words of the IETF's draft 8, for clients that know no provider's own.

    RateLimit-Policy: "requests";q=20;w=60
    RateLimit: "requests";r=19;t=3

`q` is how many there may be in `w` seconds, `r` how many are left and `t` in how many seconds all are there again.
(draft-ietf-httpapi-ratelimit-headers-08)
"""

from __future__ import annotations

from math import ceil

from server.ledger.ratelimit import Left

WINDOW = 60  # seconds, of all limits that the x-ratelimit headers tell


def draft8(requests: Left | None, tokens: Left | None) -> dict[str, str]:
    """The headers for what is limited; empty if nothing is."""
    policies, standings = [], []
    for kind, left in (("requests", requests), ("tokens", tokens)):
        if left is not None:
            policies.append(f'"{kind}";q={left.limit};w={WINDOW}')
            standings.append(f'"{kind}";r={left.remaining};t={ceil(left.reset)}')
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(standings)} if policies else {}
