"""The data of the administrators' pages. Units as in `view.py`; no secret has a field here.

A key is known by its fingerprint and its last four characters: what was typed in is never shown again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from web.listing import Listing
from web.view import Frame, NoticeView
from web.view_me import Cell, LimitView, NewSecret, PassView, RequestView, SpentView, TokenView
from web.view_public import Measure

OF_PEOPLE, OF_USAGE, OF_AUDIT = Listing("/admin/people"), Listing("/admin/usage"), Listing("/admin/audit")


@dataclass(frozen=True, slots=True)
class LiveView:
    """A request that waits or runs now."""

    id: str
    person: str
    model: str
    state: str  # "waiting" or "running"
    since_ms: int
    position: int | None = None  # in its queue; None: it runs
    wait_seconds: float | None = None  # how long it is expected to wait yet
    upstream: str = ""
    tokens_in: int = 0  # estimated
    person_id: str = ""
    many: int = 1  # requests of this person that are shown


@dataclass(frozen=True, slots=True)
class QueueView:
    """One model's queue in figures."""

    model: str
    waiting: int
    running: int
    slots: int
    people: int  # different ones who wait


@dataclass(frozen=True, slots=True)
class GatewayView:
    """One gateway on the store. `heard_seconds`: since its last heartbeat; `own`: it has made this page."""

    id: str
    address: str
    version: str
    since_ms: int
    heard_seconds: float
    running: int
    waiting: int
    own: bool


@dataclass(frozen=True, slots=True)
class MissingJournalView:
    """A gateway that died and whose journal no other one can read; `since_ms` is when it was noticed."""

    id: str
    address: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class AdminView:
    """`/admin`: what happens now. `alerts` are sentences of ours about what the operator should look at.

    `gateways` are shown where there may be several.
    """

    frame: Frame
    queues: tuple[QueueView, ...]
    live: tuple[LiveView, ...]
    alerts: tuple[str, ...] = ()
    spent: tuple[SpentView, ...] = ()  # of all people: today and this month
    gateways: tuple[GatewayView, ...] = ()
    missing: tuple[MissingJournalView, ...] = ()
    no_backup: str = ""  # why none can be taken away here


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person in the list."""

    id: str
    name: str
    groups: tuple[str, ...] = ()
    admin: bool = False
    disabled: bool = False
    lapsed: bool = False  # their last login is too long ago
    last_seen_ms: int | None = None
    month_micro_usd: int = 0
    month_requests: int = 0
    tokens: int = 0  # live ones
    invited: bool = False  # by a link that is not used yet


@dataclass(frozen=True, slots=True)
class PeopleView:
    """`/admin/people?q=&group=&state=&sort=&after=`. `next`: how many people come before the next page."""

    frame: Frame
    people: tuple[PersonRow, ...]
    total: int
    next: str | None = None
    made: NewSecret | None = None
    listing: Listing = OF_PEOPLE
    group_options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PersonView:
    """`/admin/people/ID`."""

    frame: Frame
    person: PersonRow
    email: str = ""
    login: str = ""  # who it is at the identity provider
    claimed: tuple[str, ...] = ()  # groups that the provider gave
    note: str = ""
    created_ms: int = 0
    tokens: tuple[TokenView, ...] = ()
    limits: tuple[LimitView, ...] = ()
    groups: tuple[str, ...] = ()  # that there are, to choose from
    requests: tuple[RequestView, ...] = ()
    made: NewSecret | None = None
    passes: tuple[PassView, ...] = ()  # that have not expired
    invited_ms: int | None = None  # until when an invitation holds that is not used yet


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group and its rights. Empty `models` means all; `running` 0 is no bound."""

    name: str
    weight: float = 1.0
    models: tuple[str, ...] = ()
    running: int = 0
    batch: bool = False
    content_days: int = 0
    since_ms: int | None = None
    until_ms: int | None = None
    teachers: tuple[str, ...] = ()  # names
    joinable: bool = False
    guests: bool = False
    tool_prices: str = ""  # as they are written: "web_search=0.01"
    note: str = ""
    members: int = 0
    readers: tuple[str, ...] = ()  # of what is kept
    fallback: str = ""  # such as "gpt-5-mini; wait=20"


@dataclass(frozen=True, slots=True)
class AdminGroupsView:
    """`/admin/groups`, with the one that is edited in the form."""

    frame: Frame
    groups: tuple[GroupRow, ...]
    edited: GroupRow | None = None


@dataclass(frozen=True, slots=True)
class AdminTokensView:
    """`/admin/tokens?q=&after=`."""

    frame: Frame
    tokens: tuple[TokenView, ...]
    query: str = ""
    next: str | None = None
    made: NewSecret | None = None
    passes: tuple[PassView, ...] = ()  # of all people


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One upstream key."""

    id: str  # its fingerprint
    hint: str  # the last four characters
    upstream: str
    state: str  # one of KEY_STATES
    since_ms: int | None = None
    models: tuple[str, ...] = ()
    running: int = 0
    slots: int = 0
    added: bool = False  # at run time: it can be removed here; else it stands in the configuration
    paused: bool = False
    owner: str = ""
    kind: str = ""  # of its upstream
    address: str = ""  # of its upstream
    why: tuple[str, ...] = ()  # sentences: why it stands so
    next: tuple[str, ...] = ()  # what comes next
    check: tuple[str, ...] = ()  # what the last free test found
    left: tuple[str, ...] = ()  # what it cost today, and what is left of its limits
    terms: Mapping[str, str] = field(default_factory=dict)  # of an added one, as its form has them


@dataclass(frozen=True, slots=True)
class KeysView:
    """`/admin/keys`. `may_add`: whether there is a master key to encrypt with."""

    frame: Frame
    keys: tuple[KeyRow, ...]
    upstreams: tuple[str, ...]  # names that a new key may be for
    may_add: bool = True
    kinds: tuple[str, ...] = ()  # of upstreams
    aliases: tuple[tuple[str, str, bool], ...] = ()  # a name, its model, and whether lists show it


@dataclass(frozen=True, slots=True)
class PriceRow:
    """The price of a model, in micro-USD per million tokens, and micro-USD for one request."""

    id: str
    model: str
    valid_from_ms: int
    input: int
    output: int
    cached: int | None = None
    cache_write: int | None = None
    request: int = 0
    own: bool = True  # the operator's; else the catalogue's
    holds: bool = True  # whether it is the one that counts now


@dataclass(frozen=True, slots=True)
class PricesView:
    """`/admin/prices`. `unpriced` are models that are served without a price."""

    frame: Frame
    prices: tuple[PriceRow, ...]
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit as it was set. `subject` is a name to read, `subject_id` what the form sends."""

    id: str
    scope: str  # "everyone", "person", "token", "group", "member" or "upstream"
    subject: str
    unit: str  # "usd", "tokens" or "requests"
    window: str  # "minute", "day", "week", "month", "term" or "ever"
    amount: int
    models: str = "*"
    since_ms: int | None = None
    until_ms: int | None = None
    extra: int = 0
    extra_until_ms: int | None = None
    person: str = ""  # the member of a group for whom alone it is raised


@dataclass(frozen=True, slots=True)
class LimitsView:
    """`/admin/limits`."""

    frame: Frame
    limits: tuple[LimitRow, ...]


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A notice and whether it holds now."""

    id: str
    notice: NoticeView
    holds: bool


@dataclass(frozen=True, slots=True)
class NoticesView:
    """`/admin/notices`: announcements, scheduled maintenance, and whether requests are turned away now."""

    frame: Frame
    notices: tuple[NoticeRow, ...]
    maintenance: bool = False


@dataclass(frozen=True, slots=True)
class UsageSum:
    """One line of the sums: what it is of, and how much. `share` is a part of 1 of all lines.

    `narrows`: the parameters of the page about this one alone.
    """

    name: str
    requests: int
    tokens_in: int
    tokens_out: int
    micro_usd: int
    share: float = 0.0
    narrows: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdminUsageView:
    """`/admin/usage?first=&last=&of=&by=`: sums of all people, grouped by `of`, with the days as a chart."""

    frame: Frame
    first_day: str
    last_day: str
    of: str  # "model", "user", "group", "token", "day" or "status"
    by: Measure
    sums: tuple[UsageSum, ...]
    total: UsageSum
    cells: tuple[Cell, ...]
    requests: tuple[RequestView, ...] = ()
    listing: Listing = OF_USAGE
    file: str = "/admin/usage.csv"
    group_options: tuple[tuple[str, str], ...] = ()
    model_options: tuple[tuple[str, str], ...] = ()
    more: int = 0  # lines that are only in the file
    hours: tuple[tuple[int, str, int], ...] = ()  # (start, model, requests) of the last two days, whatever is asked for


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A change: who, when, what, and how it was. `before` and `after` are lines such as "amount: 5.00"."""

    at_ms: int
    actor: str
    action: str
    target: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    id: str = ""  # of one that can be undone
    outcome: str = ""  # what is to be known of one that was not made, or not wholly
    target_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditView:
    """`/admin/audit?after=`, the newest first. `kinds`: (value, words) of what changes are about."""

    frame: Frame
    rows: tuple[AuditRow, ...]
    next: str | None = None
    listing: Listing = OF_AUDIT
    kinds: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """An invitation with its link, which is shown once."""

    name: str
    email: str
    link: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class ImportView:
    """`/admin/people/import`: what came of a file. `faults` are (line, sentence); `done`: whether the rest was done."""

    frame: Frame
    added: int | None = None  # None: nothing was sent yet
    changed: int = 0
    faults: tuple[tuple[int, str], ...] = ()
    invitations: tuple[InvitationRow, ...] = ()
    invitations_csv: str = ""
    done: bool = False
