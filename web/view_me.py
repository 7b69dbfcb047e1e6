"""The data of a person's own pages: their usage, limits, tokens, groups, and the data kept about them.

Units as in `view.py`. A token's secret is here once, in the answer to the form that made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from web import formatting as words
from web.listing import Listing
from web.view import Frame
from web.view_public import Measure
from web.view_texts import ReadingView
from web.wording import Wording

Unit = Literal["usd", "tokens", "requests"]


@dataclass(frozen=True, slots=True)
class SpentView:
    """The usage of a stretch of time. `label` is its name, such as "Today" or "Winter term"."""

    label: str
    requests: int
    tokens_in: int
    tokens_out: int
    micro_usd: int


@dataclass(frozen=True, slots=True)
class LimitView:
    """One limit and how much of it is taken, in micro-USD, tokens or requests."""

    whose: str  # "Yours", "Of the token laptop", "Shared budget of Physics 101", "Your share of Physics 101"
    unit: Unit
    window: str  # "minute", "day", "week", "month", "term" or "ever"
    most: int
    taken: int
    models: str = "*"  # patterns with blanks between; a star is all
    resets_at_ms: int | None = None
    extra: int = 0  # how much of `most` is a temporary increase
    extra_until_ms: int | None = None
    of_one: bool = False  # whether it is a person's, their own or each person's
    group: str = ""  # the group whose members have it, each for themselves
    raise_until: str = ""  # the day that stands in the form which raises it for one person; empty: it cannot be


@dataclass(frozen=True, slots=True)
class Cell:
    """The usage of one model on one day."""

    day: str
    model: str
    requests: int
    tokens_in: int
    tokens_out: int
    micro_usd: int


@dataclass(frozen=True, slots=True)
class RequestView:
    """One request on the ledger."""

    id: str
    at_ms: int
    model: str
    status: str  # "completed", "failed", "cancelled", "rejected", "cut", "interrupted"
    wait_seconds: float
    first_byte_seconds: float | None
    duration_seconds: float
    tokens_in: int
    tokens_out: int
    micro_usd: int
    estimated: bool = False  # whether the tokens were counted here, because the provider did not report them
    token: str = ""  # the name of the token it came with
    person: str = ""  # on the administrators' pages only
    why: str = ""  # of a refused one
    count: int = 1  # of refused ones that are alike


@dataclass(frozen=True, slots=True)
class MeView:
    """`/me/usage?by=`: what was used, and the latest requests. `cells` lie within the two days."""

    frame: Frame
    groups: tuple[str, ...]
    spent: tuple[SpentView, ...]  # today, this month, and a term if there is one
    first_day: str
    last_day: str
    cells: tuple[Cell, ...]
    requests: tuple[RequestView, ...]
    by: Measure = "cost"
    older: str | None = None  # the cursor of the page behind, for `/me/usage?after=`


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of an explanation: what, and how it was."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class ExplainView:
    """`/me/requests/ID`: how a request went. The stages are seconds; `facts` are the rest, in our words."""

    frame: Frame
    request: RequestView | None  # None: it has not got as far as the ledger
    request_id: str
    sentence: str  # the answer in short, such as "It waited 4 s behind 3 requests and was answered in 2 s."
    facts: tuple[Fact, ...] = ()
    advice: str = ""
    back: str = "/me/requests"
    person: str = ""  # on the administrators' pages only


@dataclass(frozen=True, slots=True)
class RequestsView:
    """`/me/requests` and `/admin/requests`: requests as the filters of the address say. `tokens`: (id, name)."""

    frame: Frame
    requests: tuple[RequestView, ...]
    listing: Listing
    statuses: tuple[str, ...]
    models: tuple[str, ...]
    tokens: tuple[tuple[str, str], ...]
    older: str | None = None
    since_ms: int | None = None  # sorted by a figure are those that arrived since then, if that is not all
    of_all: bool = False
    files: tuple[tuple[str, str], ...] = ()  # the same as files: words and addresses

    @property
    def status_options(self) -> tuple[tuple[str, str], ...]:
        return tuple((each, words.word(each)) for each in self.statuses)

    @property
    def model_options(self) -> tuple[tuple[str, str], ...]:
        return tuple((each, each) for each in self.models)

    @property
    def columns(self) -> list[tuple[str, str, str]]:
        """The table's columns, as `templates/tables.html` wants them."""
        who = [("", Wording("Who"), "")] if self.of_all else []
        figures = [
            ("wait", Wording("Wait"), "n first"),
            ("duration", Wording("Total"), "n first"),
            ("tokens", Wording("Tokens"), "n first"),
            ("cost", Wording("Cost"), "n first"),
        ]
        first = [("", Wording("When"), ""), *who, ("", Wording("Model"), ""), ("", Wording("Status"), "")]
        token = [("", Wording("Token"), "")] if self.names_tokens else []
        return [*first, *token, *figures]

    @property
    def names_tokens(self) -> bool:
        """Whether any of the requests came with a token of a name."""
        return any(each.token for each in self.requests)


@dataclass(frozen=True, slots=True)
class TokenView:
    """A gatekeeper token as it may be shown."""

    id: str
    name: str
    hint: str  # its beginning and its last four characters
    kind: str  # "normal", "special" or "temporary"
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None
    last_used_ms: int | None = None
    models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    addresses: int = 0
    keepalive: str = ""  # "off", "comment" or "chunk"; empty: as each dialect has it
    limit: LimitView | None = None
    owner: str = ""  # on the administrators' pages only


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that is shown once and never again: a token, a guest pass. `again`: that can be read again, a code."""

    what: str  # "token", "guest pass" or "join code"
    name: str
    secret: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class PassView:
    """A guest pass that has not expired. Empty `models` are all of the group's."""

    id: str
    group: str
    micro_usd: int
    expires_ms: int
    models: tuple[str, ...] = ()
    revoked: bool = False
    owner: str = ""  # on the administrators' page of all of them


@dataclass(frozen=True, slots=True)
class TokensView:
    """`/me/tokens`. `passes` says whether they may hand out guest passes, and up to how many micro-USD each."""

    frame: Frame
    tokens: tuple[TokenView, ...]
    base_url: str
    most: int = 50  # live tokens that a person may have
    made: NewSecret | None = None
    passes: int | None = None  # None: no guest passes; 0: no bound but theirs
    issued: tuple[PassView, ...] = ()


@dataclass(frozen=True, slots=True)
class MembershipView:
    """A group of which a person is a member. `leave`: whether they may leave it by themselves."""

    name: str
    note: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    limits: tuple[LimitView, ...] = ()
    teaches: bool = False
    leave: bool = False


@dataclass(frozen=True, slots=True)
class GroupsView:
    """`/me/groups`. `may_found`: whether they may begin a course of their own."""

    frame: Frame
    groups: tuple[MembershipView, ...]
    may_found: bool = False
    made: NewSecret | None = None


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member of a course, in sums only."""

    name: str
    requests: int
    tokens: int
    micro_usd: int
    last_day: str | None = None
    left: bool = False


@dataclass(frozen=True, slots=True)
class CourseView:
    """`/me/groups/NAME`, for its teachers: totals, and no prompts."""

    frame: Frame
    group: MembershipView
    total: SpentView
    members: tuple[MemberView, ...]
    first_day: str
    last_day: str
    cells: tuple[Cell, ...]
    joinable: bool = False  # whether a join code is in force
    code: str | None = None  # that one, where it can be read
    made: NewSecret | None = None
    texts: bool = False  # whether its teachers may read what is kept


@dataclass(frozen=True, slots=True)
class KeptView:
    """One kind of data that is kept about a person: its value, why it is kept, and until when."""

    what: str
    value: str
    why: str
    until: str


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A browser in which a person is logged in."""

    id: str
    created_ms: int
    expires_ms: int
    this: bool = False


@dataclass(frozen=True, slots=True)
class PrivacyView:
    """`/me/privacy`: exactly what is kept, to take away or to erase. `confirm` is what to type for the latter."""

    frame: Frame
    kept: tuple[KeptView, ...]
    nickname: str | None
    confirm: str
    email: str = ""
    mails: bool | None = None  # whether they want mails; None where none are sent
    sessions: tuple[LoginSession, ...] = ()
    content_days: int = 0
    content_group: str = ""
    content_readers: tuple[str, ...] = ()
    readings: tuple[ReadingView, ...] = ()  # the newest first
    language: str = "en"  # of mails
    languages: tuple[str, ...] = ("en",)  # those to choose from


@dataclass(frozen=True, slots=True)
class QuestionView:
    """An act that waits for a yes: what it will do, and the fields of the form that asks for it."""

    frame: Frame
    heading: str
    lines: tuple[str, ...]
    verb: str  # on the button
    action: str
    fields: tuple[tuple[str, str], ...]
    back: str  # where No leads
