"""Words that are data and are shown as they are: states, units and the like, which templates say with `| word`.

They are listed here so that the catalogues have them.
"""

from __future__ import annotations

from web.wording import Wording as W

CONDITIONS = (W("available"), W("busy"), W("checking"), W("recovering"), W("unavailable"))
KEYS = (W("ready"), W("cooling"), W("exhausted"), W("unchecked"), W("paused"), W("revoked"))
DEMANDS = (W("low"), W("medium"), W("high"), W("very high"))
REQUESTS = (W("completed"), W("rejected"), W("cancelled"), W("failed"), W("waiting"), W("running"),
            W("cut"), W("interrupted"), W("refused"))  # fmt: skip
WINDOWS = (W("minute"), W("day"), W("week"), W("month"), W("term"), W("ever"))
TOKENS = (W("normal"), W("special"), W("temporary"), W("guest"), W("comment"), W("chunk"), W("off"))
MADE = (W("token"), W("guest pass"), W("join code"), W("invitation link"))
FIELDS = (
    W("addresses"), W("audio minute"), W("code"), W("confirm"), W("content days"), W("grace"), W("input"), W("kind"),
    W("model"), W("name"), W("output"), W("per head"), W("pot"), W("running"), W("secret"), W("since"), W("subject"),
    W("text"), W("until"), W("upstream"), W("dollars"), W("valid from"), W("weight"), W("amount"), W("extra"),
)  # fmt: skip
KINDS = (W("group"), W("limit"), W("price"), W("notice"), W("alias"), W("token"), W("person"), W("upstream"), W("key"))
MESSAGES = (W("mail"), W("webhook"), W("sent"), W("skipped"))  # and "waiting" and "failed", as requests
UNITS = (W("requests"), W("tokens"), W("cost"), W("usd"))
