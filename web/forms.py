"""The forms that the pages hold: where each goes and which fields it has. Handlers read them here, too.

All are sent with POST and hold the visitor's `XSRF` token besides. `*` stands for an id or a name in the path. A field
that is left empty is sent as empty text; a box that is not ticked is not sent. Days are "2026-11-21" in the operator's
zone (of a notice with a time: "2026-11-21T14:30"), money is dollars such as "12.50", lists of patterns have blanks
between and lists of names commas.
"""

from __future__ import annotations

XSRF = "xsrf"

_GROUP = (
    "weight", "models", "running", "batch", "guests", "content_days", "since", "until", "teachers", "note",
    "tool_prices",
)  # fmt: skip
SURE = "sure"  # "yes": the answer to the question what an act will do

FORMS: dict[str, tuple[str, ...]] = {
    "/login": ("token", "next"),
    # --- one's own
    "/me/tokens": ("name", "until", "models", "networks", "addresses", "keepalive", "usd"),
    "/me/tokens/*/rotate": ("grace",),  # hours for which the old secret still works
    "/me/tokens/*/narrow": ("until", "models", "networks", "addresses"),  # what is empty stays
    "/me/tokens/*/revoke": (),
    "/me/passes": ("name", "until", "models", "usd"),
    "/me/groups/join": ("code",),
    "/me/groups/*/leave": (),
    "/me/groups": ("name", "since", "until", "pot", "per_head"),  # begins a course
    "/me/groups/*/code": (),  # a new join code; the old one ends
    "/me/groups/*/close": (),
    "/me/nickname": ("nickname",),  # empty: off the leaderboard
    "/me/sessions/end": (),  # all but this one
    "/me/sessions/*/end": (),
    "/me/erase": ("confirm",),
    # --- the administrators'
    "/admin/requests/*/cancel": (),
    "/admin/people": ("name", "groups"),
    "/admin/people/import": ("csv", "trial"),
    "/admin/people/*": ("name", "groups", "note"),
    "/admin/people/*/disable": (),
    "/admin/people/*/enable": (),
    "/admin/people/*/promote": (),
    "/admin/people/*/demote": (),
    "/admin/people/*/erase": ("confirm",),
    "/admin/people/*/tokens": ("name", "kind", "until", "models", "networks", "addresses", "keepalive", "usd"),
    "/admin/tokens/*/revoke": (),
    "/admin/groups": ("name", *_GROUP),
    "/admin/groups/*/change": _GROUP,
    "/admin/groups/*/code": (),
    "/admin/groups/*/remove": (),
    "/admin/keys": ("upstream", "secret"),
    "/admin/keys/*/pause": (),
    "/admin/keys/*/resume": (),
    "/admin/keys/*/recheck": (),
    "/admin/keys/*/remove": (),
    "/admin/prices": ("model", "valid_from", "input", "output", "cached", "cache_write", "request"),
    "/admin/prices/*/remove": (),
    "/admin/limits": ("scope", "subject", "unit", "window", "amount", "models", "since", "until"),
    "/admin/limits/*/raise": ("extra", "until"),
    "/admin/limits/*/remove": (),
    "/admin/notices": ("kind", "text", "since", "until"),
    "/admin/notices/*/remove": (),
    "/admin/maintenance": ("text", "since", "until"),  # scheduled: all three are needed
    "/admin/close": ("text", "until"),
    "/admin/open": (),
}  # fmt: skip
