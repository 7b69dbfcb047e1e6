"""Words that are data and are shown as they are: states, units and the like, which templates say with `| word`.

They are listed here so that the catalogues have them.
"""

from __future__ import annotations

from web.wording import Wording as W

CONDITIONS = (W("available"), W("busy"), W("checking"), W("recovering"), W("unavailable"))
KEYS = (W("ready"), W("cooling"), W("exhausted"), W("unchecked"), W("paused"), W("revoked"))
DEMANDS = (W("low"), W("medium"), W("high"), W("very high"))
REQUESTS = (W("completed"), W("rejected"), W("cancelled"), W("failed"), W("waiting"), W("running"))
WINDOWS = (W("minute"), W("day"), W("week"), W("month"), W("term"), W("ever"))
TOKENS = (W("normal"), W("temporary"), W("guest"), W("comment"), W("chunk"), W("off"))
UNITS = (W("requests"), W("tokens"), W("cost"), W("usd"))
