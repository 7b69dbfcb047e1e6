"""The table of all that can be administered: the things, their fields, and their verbs in all three front ends.

From it the JSON API makes its schemas, and so its document. The forms of the pages, the options of the command line and
the columns of lists are made by hand, because a person reads them; a test compares each with this table, field by field
and verb by verb (`tests/admin/test_resources.py`). So what exists in one front end exists in all, or stands among the
exceptions there, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.admin.resource import Field, Resource, Verb, same
from server.config.shapes import Flag, Instant, Many, Maybe, Number, Shape, Text, Thing, Whole, Word
from server.config.upstream_kinds import KINDS
from server.ledger.prices import TOKENS
from server.policy.groups import READERS
from server.policy.notifications import Channel, DeliveryState, EventKind
from server.wire.keepalive import CHOICES

AMOUNT = Whole(0, 10**15)  # micro-USD, tokens or requests
NAME = Text(64)
NAMES = Many(NAME)
PATTERNS = Many(Text(256))
WHEN = Maybe(Instant())
DAY = Text(10, pattern=r"\d{4}-\d\d-\d\d")
SENTENCES = Many(Text(4000))
NOTE = Text(1000, least=0)
RATE = Whole(1, 10**12)
DAYS = 30 * 86_400  # seconds, the longest grace and the longest pass
TOOL_PRICES = Many(Thing({"tool": NAME, "micro_usd": AMOUNT}, name="ToolPrice"))
KINDS_OF_RATES = (*TOKENS, "request", "image", "audio_hour")
RATES: Mapping[str, Shape] = dict.fromkeys(KINDS_OF_RATES, AMOUNT)
TIER = Thing({"above": AMOUNT}, RATES, name="Tier")


PERSON = Resource(
    "person",
    (
        Field("name", NAME, option=("user", "name")),
        Field("email", Maybe(Text(254, least=3))),
        Field("groups", NAMES),
        Field("note", NOTE),
        Field("admin", Flag(), page="promote demote"),
        Field("disabled", Flag(), page="disable enable"),
        Field("mails", Flag()),
    ),
    (
        Verb("create", "POST /people", "/people", "user create", ("name",), ("email", "groups", "note")),
        Verb("change", "PATCH /people/*", "/people/*", "user change", (),
             ("name", "email", "groups", "note", "admin", "disabled", "mails")),
        Verb("erase", "POST /people/*/erase", "/people/*/erase", "user erase", own=("POST /erase", "/erase")),
        Verb("invite", "POST /people/*/invitation", "/people/*/invitation", "user invite"),
        Verb("withdraw", "DELETE /people/*/invitation", "/people/*/invitation/withdraw", "user withdraw"),
        Verb("import", "POST /people.csv", "/people/import", "user import"),
    ),
    {"claimed_groups": Many(Text(), 10_000), "nickname": Maybe(Text()), "language": Maybe(Text()),
     "login": Maybe(Text(2000)), "id": Text(),
     "created_at": Instant(), "last_login_at": WHEN},
)  # fmt: skip

_TERMS = ("kind", "models", "networks", "addresses", "keepalive")
TOKEN = Resource(
    "token",
    (
        Field("name", NAME, shown=Text(least=0)),
        Field("expires_at", WHEN, page="until", option=("days", "until")),
        Field("kind", Word(("normal", "special", "temporary"))),
        Field("models", PATTERNS),
        Field("networks", Many(NAME)),
        Field("addresses", Whole(0, 1000)),
        Field("keepalive", Word(CHOICES)),
        Field("budget_micro_usd", AMOUNT, page="usd", option="budget", kept=False),
        Field("grace_seconds", Whole(0, DAYS), page="grace", option="grace", kept=False),
    ),
    (
        Verb("create", "POST /people/*/tokens", "/people/*/tokens", "token create", ("name",),
             ("expires_at", *_TERMS, "budget_micro_usd"), own=("POST /tokens", "/tokens")),
        Verb("rotate", "POST /tokens/*/rotate", "/tokens/*/rotate", "token rotate", (), ("grace_seconds",),
             own=("POST /tokens/*/rotate", "/tokens/*/rotate")),
        Verb("narrow", "PATCH /tokens/*", "/tokens/*/narrow", "token narrow", (), ("expires_at", *_TERMS),
             own=("PATCH /tokens/*", "/tokens/*/narrow")),
        Verb("revoke", "DELETE /tokens/*", "/tokens/*/revoke", "token revoke",
             own=("DELETE /tokens/*", "/tokens/*/revoke")),
    ),
    {"id": Text(), "person": Text(), "hint": Text(least=0), "created_at": Instant(), "revoked_at": WHEN},
)  # fmt: skip

PASS = Resource(
    "pass",
    (
        Field("seconds", Whole(1, DAYS), page="until", option="days", kept=False),
        Field("micro_usd", AMOUNT, page="usd", option="usd"),
        Field("group", Text(64, least=0), shown=Maybe(Text())),
        Field("models", PATTERNS),
    ),
    (
        Verb("issue", "POST /people/*/passes", "/people/*/passes", "pass issue", ("seconds", "micro_usd"),
             ("group", "models"), own=("POST /passes", "/passes")),
        Verb("revoke", "DELETE /passes/*", "/passes/*/revoke", "pass revoke",
             own=("DELETE /passes/*", "/passes/*/revoke")),
    ),
    {"id": Text(), "issuer": Text(), "issued_at": Instant(), "expires_at": Instant(), "revoked": Flag()},
)  # fmt: skip

_GIVES = ("weight", "models", "running", "batch", "content_days", "readers", "since", "until", "teachers", "guests",
          "tool_prices", "fallback", "note")  # fmt: skip
GROUP = Resource(
    "group",
    (
        Field("name", NAME, option="group", shown=Text()),
        Field("weight", Number(0.01, 1000)),
        Field("models", PATTERNS),
        Field("running", Whole(0, 1_000_000)),
        Field("batch", Flag()),
        Field("content_days", Whole(0, 3650)),
        Field("readers", Many(Word(READERS), len(READERS))),
        Field("person", NAME, kept=False),
        Field("since", WHEN),
        Field("until", WHEN),
        Field("teachers", Many(NAME), shown=Many(Text(256), 10_000)),
        Field("guests", Flag()),
        Field("tool_prices", TOOL_PRICES),
        Field("fallback", Text(300, least=0)),
        Field("note", NOTE),
    ),
    (
        Verb("create", "POST /groups", "/groups", "group create", ("name",), _GIVES),
        Verb("change", "PATCH /groups/*", "/groups/*/change", "group change", (), _GIVES),
        Verb("remove", "DELETE /groups/*", "/groups/*/remove", "group remove"),
        Verb("texts", "POST /groups/*/texts", "/groups/*/texts", "group texts", ("person",),
             own=("POST /groups/*/texts", "/groups/*/texts")),
        Verb("add", "PUT /groups/*/members/*", "", "group add"),
        Verb("drop", "DELETE /groups/*/members/*", "", "group drop"),
    ),
    {"joinable": Flag()},
)  # fmt: skip

COURSE = Resource(
    "course",
    (
        Field("name", NAME, option="course"),
        Field("teachers", Many(NAME)),
        Field("since", Instant()),
        Field("until", Instant()),
        Field("pot_micro_usd", Maybe(AMOUNT), page="pot", option="pot"),
        Field("per_head_micro_usd", Maybe(AMOUNT), page="per_head", option="per_head"),
        Field("models", PATTERNS),
        Field("code", NAME),
    ),
    (
        Verb("create", "POST /courses", "/me/groups", "course create", ("name", "teachers", "since", "until"),
             ("pot_micro_usd", "per_head_micro_usd", "models")),
        Verb("code", "", "/groups/*/code", "course code", own=("POST /courses/*/code", "/groups/*/code")),
        Verb("close", "", "", "course close", own=("POST /courses/*/close", "/groups/*/close")),
        Verb("join", "", "", "", ("code",), own=("POST /courses/join", "/groups/join")),
        Verb("leave", "", "", "", own=("DELETE /courses/*", "/groups/*/leave")),
    ),
    {},
)  # fmt: skip

_OPTIONS_OF_SCOPES = ("everyone", "person", "token", "group", "member", "upstream")
LIMIT = Resource(
    "limit",
    (
        Field("scope", Word(_OPTIONS_OF_SCOPES), option=_OPTIONS_OF_SCOPES),
        Field("subject", Text(1000, least=0), option=_OPTIONS_OF_SCOPES),
        Field("unit", Word(("usd", "tokens", "requests")), option="limit"),
        Field("window", Word(("minute", "day", "week", "month", "term", "ever")), option="limit"),
        Field("amount", AMOUNT, option="limit"),
        Field("models", Text(1000), option="limit"),
        Field("group", NAME, kept=False),
        Field("since", WHEN),
        Field("until", WHEN),
        Field("extra", AMOUNT, option="amount"),
        Field("extra_until", WHEN),
    ),
    (
        Verb("set", "PUT /limits/*", "/limits", "limit set", ("scope", "unit", "window", "amount"),
             ("subject", "models", "since", "until", "extra", "extra_until")),
        Verb("raise", "POST /limits/*/raise", "/limits/*/raise", "limit raise", ("extra", "until"),
             shapes={"extra": Whole(1, 10**15), "until": Instant()}),
        Verb("allow", "POST /people/*/raise", "/people/*/raise", "user raise", ("unit", "window", "extra", "until"),
             ("models", "group"), shapes={"extra": Whole(1, 10**15), "until": Instant()}),
        Verb("remove", "DELETE /limits/*", "/limits/*/remove", "limit remove"),
    ),
    {"id": Text(1000), "person": Maybe(Text())},
)  # fmt: skip

PRICE = Resource(
    "price",
    (
        Field("model", Text(), shown=Text(1000)),
        Field("valid_from", Instant(), option="since"),
        *same((*TOKENS, "request", "image"), AMOUNT),
        Field("audio_hour", AMOUNT, page="audio_minute", option="audio_minute"),
        Field("tiers", Many(TIER)),
        *(Field(name, DAY, kept=False) for name in ("first", "last")),
    ),
    (
        Verb("set", "PUT /prices/*", "/prices", "price set", ("model", "valid_from"), (*KINDS_OF_RATES, "tiers")),
        Verb("remove", "DELETE /prices/*", "/prices/*/remove", "price remove"),
        Verb("reprice", "POST /reprice", "/prices/reprice", "", ("first", "last"), ("model",)),
    ),
    {"id": Text(1000)},
)

_SAID = (
    Field("kind", Word(("announcement", "incident")), shown=Word(("announcement", "maintenance", "incident"))),
    Field("text", Text(500)),
    Field("since", Instant()),
    Field("until", WHEN),
)
NOTICE = Resource(
    "notice",
    _SAID,
    (
        Verb("set", "PUT /notices/*", "/notices", "notice set", ("kind", "text", "since"), ("until",)),
        Verb("remove", "DELETE /notices/*", "/notices/*/remove", "notice remove"),
    ),
    {"id": Text(1000)},
)
MAINTENANCE = Resource(
    "maintenance",
    _SAID[1:],
    (
        Verb(
            "schedule",
            "PUT /maintenance/*",
            "/maintenance",
            "maintenance schedule",
            ("text", "since", "until"),
            shapes={"until": Instant()},
        ),
        Verb("close", "POST /close", "/close", "maintenance close", (), ("text", "until")),
        Verb("open", "POST /open", "/open", "maintenance open"),
    ),
    {},
)

ALIAS = Resource(
    "alias",
    (Field("model", Text(256)), Field("listed", Flag())),
    (
        Verb("set", "PUT /aliases/*", "/aliases", "alias set", ("model",), ("listed",)),
        Verb("remove", "DELETE /aliases/*", "/aliases/*/remove", "alias remove"),
    ),
    {"name": Text()},
)

DOLLARS = Text(20, pattern=r"\d{1,9}(\.\d{1,6})?")
_OF_KEYS = (*("models", "slots", "rpm", "tpm", "itpm", "otpm", "rpd"), *("organisation", "owner", "groups"))
_OF_KINDS = ("kind", "api_version", "names", "headers")
KEY = Resource(
    "key",
    (
        Field("secret", Text(1000, pattern=r"[!-~]+"), option=(), kept=False),
        Field("upstream", Text(), shown=Text(1000)),
        Field("dialect", Many(Word(("openai", "anthropic")), 2), kept=False),
        Field("name", NAME, kept=False),
        Field("base_url", Text(1000), kept=False),
        Field("untested", Flag(), kept=False),
        Field("models", PATTERNS, shown=Many(Text(1000), 10_000)),
        Field("slots", Whole(1, 10_000), shown=Whole()),
        *(Field(name, RATE, shown=Maybe(Whole())) for name in ("rpm", "tpm", "itpm", "otpm", "rpd")),
        Field("organisation", Text(), shown=Maybe(Text(1000))),
        Field("owner", Text(), shown=Maybe(Text(1000))),
        Field("groups", NAMES, shown=Many(Text(1000))),
        Field("monthly_cap_usd", DOLLARS, shown=Maybe(Text(30))),
        Field("kind", Word(tuple(KINDS)), kept=False),
        Field("api_version", Text(32), kept=False),
        Field("names", Many(Text(400)), kept=False),
        Field("headers", Many(Text(1000), 32), kept=False),
    ),
    (
        Verb("add", "POST /keys", "/keys", "key add", ("secret",),
             ("upstream", "dialect", "name", "base_url", *_OF_KEYS, "monthly_cap_usd", *_OF_KINDS, "untested")),
        Verb("change", "PATCH /keys/*", "/keys/*/change", "key change", (), (*_OF_KEYS, "monthly_cap_usd"),
             shapes={
                 **dict.fromkeys(("rpm", "tpm", "itpm", "otpm", "rpd"), Maybe(RATE)), "slots": Maybe(Whole(1, 10_000)),
                 **dict.fromkeys(("organisation", "owner"), Maybe(Text())), "monthly_cap_usd": Maybe(DOLLARS),
             }),
        *(
            Verb(name, f"POST /keys/*/{name}", f"/keys/*/{name}", f"key {name}")
            for name in ("pause", "resume", "recheck")
        ),
        Verb("remove", "DELETE /keys/*", "/keys/*/remove", "key remove"),
    ),
    {"id": Text(), "hint": Text(), "state": Maybe(Text()), "state_since": WHEN, "added": Flag(), "paused": Flag(),
     "running": Whole(), "why": SENTENCES, "next": SENTENCES, "check": Text(4000, least=0), "checked_at": WHEN,
     "left": SENTENCES},
)  # fmt: skip

REQUEST = Resource(
    "request",
    (),
    (
        Verb("cancel", "DELETE /queue/*", "/requests/*/cancel", ""),
        Verb("cancel of", "DELETE /people/*/queue", "/requests/of/*/cancel", ""),
        Verb("cancel all", "DELETE /queue", "/requests/cancel", ""),
    ),
    {},
)

AUDIT = Resource("audit", (), (Verb("undo", "POST /audit/*/undo", "/audit/*/undo", "audit undo"),), {})

MESSAGE = Resource(
    "message",
    (),
    (Verb("test", "POST /notifications/test", "/notifications/test", "notify test"),),
    {
        "id": Text(),
        "kind": Word(tuple(map(str, EventKind))),
        "channel": Word(tuple(map(str, Channel))),
        "receiver": Text(),
        "at": Instant(),
        "state": Word(tuple(map(str, DeliveryState))),
        "tries": Whole(0, 1_000),
        "ended_at": WHEN,
        "failure": Text(200, least=0),
    },
)

RESOURCES = (PERSON, TOKEN, PASS, GROUP, COURSE, LIMIT, PRICE, NOTICE, MAINTENANCE, ALIAS, KEY, REQUEST, AUDIT, MESSAGE)
