"""Rate limits in the words of the IETF's draft 8, for clients that know no provider's own.

    RateLimit-Policy: "requests";q=20;w=60
    RateLimit: "requests";r=19;t=3

`q` is how many there may be in `w` seconds, `r` how many are left and `t` in how many seconds all are there again.
(draft-ietf-httpapi-ratelimit-headers-08)
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from keypool.times import duration

WINDOW = 60  # seconds, of all limits that the x-ratelimit headers tell
COUNT = re.compile(r"[0-9]{1,15}")


def draft8(headers: Mapping[str, str]) -> dict[str, str]:
    """Translate the `x-ratelimit-*` headers (in lower case) of an answer; empty if there are none.

    `x-ratelimit-reset-*` is a Go duration, such as "6m0s".
    """
    policies, standings = [], []
    for kind in ("requests", "tokens"):
        most, left = headers.get(f"x-ratelimit-limit-{kind}", ""), headers.get(f"x-ratelimit-remaining-{kind}", "")
        reset = duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
        if not COUNT.fullmatch(most) or not COUNT.fullmatch(left):
            continue
        policies.append(f'"{kind}";q={most};w={WINDOW}')
        standings.append(f'"{kind}";r={left}' + ("" if reset is None else f";t={math.ceil(reset)}"))
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(standings)} if policies else {}
