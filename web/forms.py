"""The forms that the pages hold: where each goes and which fields it has. Handlers read them here, too.

All are sent with POST and hold the visitor's `XSRF` token besides. `*` stands for an id or a name in the path. A field
that is left empty is sent as empty text; a box that is not ticked is not sent. Days are "2026-11-21" in the operator's
zone (of a notice with a time: "2026-11-21T14:30"), money is dollars such as "12.50", lists of patterns have blanks
between and lists of names commas.
"""

from __future__ import annotations

XSRF = "xsrf"

_GROUP = (
    "weight", "models", "running", "batch", "guests", "content_days", "readers", "since", "until", "teachers", "note",
    "tool_prices", "fallback",
)  # fmt: skip
_RATES = (
    *("input", "cached", "cache_write", "cache_write_1h", "input_audio", "input_image"),
    *("output", "reasoning", "output_text", "output_audio", "output_image", "request", "image", "audio_minute"),
)
_NARROWING = ("until", "kind", "models", "networks", "addresses", "keepalive")  # what is empty stays
SURE = "sure"  # "yes": the answer to the question what an act will do

FORMS: dict[str, tuple[str, ...]] = {
    "/login": ("token", "next"),
    "/invitation": ("code",),
    # --- one's own
    "/me/tokens": ("name", "until", "models", "networks", "addresses", "keepalive", "usd"),
    "/me/tokens/*/rotate": ("grace",),  # hours for which the old secret still works
    "/me/tokens/*/narrow": _NARROWING,
    "/me/tokens/*/revoke": (),
    "/me/passes": ("name", "until", "models", "usd", "group"),
    "/me/passes/*/revoke": (),
    "/me/groups/join": ("code",),
    "/me/groups/*/leave": (),
    "/me/groups": ("name", "teachers", "since", "until", "pot", "per_head", "models"),  # begins a course
    "/me/groups/*/code": (),  # a new join code; the old one ends
    "/me/groups/*/close": (),
    "/me/groups/*/texts": ("person",),  # whose kept texts are read
    "/me/mails": ("mails", "language"),
    "/me/nickname": ("nickname",),  # empty: off the leaderboard
    "/me/sessions/end": (),  # all but this one
    "/me/sessions/*/end": (),
    "/me/erase": ("confirm",),
    # --- the administrators'
    "/admin/requests/*/cancel": (),
    "/admin/requests/cancel": (),
    "/admin/backup": (),
    "/admin/requests/of/*/cancel": (),
    "/admin/people": ("name", "email", "groups", "note"),
    "/admin/people/import": ("csv", "file", "invite"),
    "/admin/people/*": ("name", "email", "groups", "note"),
    "/admin/people/*/disable": (),
    "/admin/people/*/enable": (),
    "/admin/people/*/promote": (),
    "/admin/people/*/demote": (),
    "/admin/people/*/invitation": (),
    "/admin/people/*/invitation/withdraw": (),
    "/admin/people/*/raise": ("unit", "window", "models", "group", "extra", "until"),
    "/admin/people/*/erase": ("confirm",),
    "/admin/people/*/tokens": ("name", "kind", "until", "models", "networks", "addresses", "keepalive", "usd"),
    "/admin/people/*/passes": ("name", "until", "models", "usd", "group"),
    "/admin/passes/*/revoke": (),
    "/admin/tokens/*/rotate": ("grace",),
    "/admin/tokens/*/narrow": _NARROWING,
    "/admin/tokens/*/revoke": (),
    "/admin/groups": ("name", *_GROUP),
    "/admin/groups/*/change": _GROUP,
    "/admin/groups/*/code": (),
    "/admin/groups/*/texts": ("person",),
    "/admin/groups/*/remove": (),
    "/admin/keys": (
        *("upstream", "dialect", "name", "base_url", "untested", "secret"),
        *("models", "slots", "rpm", "tpm", "itpm", "otpm", "rpd"),
        *("organisation", "owner", "groups", "monthly_cap_usd", "kind", "api_version", "names", "headers"),
    ),
    "/admin/keys/*/change": (
        *("models", "slots", "rpm", "tpm", "itpm", "otpm", "rpd"),
        *("organisation", "owner", "groups", "monthly_cap_usd"),
    ),
    "/admin/keys/*/pause": (),
    "/admin/keys/*/resume": (),
    "/admin/keys/*/recheck": (),
    "/admin/keys/*/remove": (),
    "/admin/aliases": ("name", "model", "listed"),
    "/admin/aliases/*/remove": (),
    "/admin/prices": ("model", "valid_from", *_RATES),
    "/admin/prices/reprice": ("first", "last", "model"),
    "/admin/prices/*/remove": (),
    "/admin/bill": ("usage", "costs", "keys", "tolerance", "all"),
    "/admin/limits": ("scope", "subject", "unit", "window", "amount", "models", "since", "until"),
    "/admin/limits/*/raise": ("extra", "until"),
    "/admin/limits/*/remove": (),
    "/admin/notifications/test": (),
    "/admin/notices": ("kind", "text", "since", "until"),
    "/admin/notices/*/remove": (),
    "/admin/maintenance": ("text", "since", "until"),  # scheduled: all three are needed
    "/admin/close": ("text", "until"),
    "/admin/open": (),
    "/admin/audit/*/undo": (),  # of a removal
}  # fmt: skip
