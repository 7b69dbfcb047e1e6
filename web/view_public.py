"""The data of the other public pages: leaderboard, help, login, feed, and the operator's own page.

Units as in `view.py`. Only people who chose a nickname have a name here, and it is the nickname.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from web.view import Frame, StatusView
from web.wording import Wording

WINDOWS = ("day", "week", "month", "ever")
MEASURES = ("requests", "tokens", "cost")

Window = Literal["day", "week", "month", "ever"]
Measure = Literal["requests", "tokens", "cost"]


@dataclass(frozen=True, slots=True)
class Score:
    """One line of a leaderboard: a nickname, or a group of at least five."""

    rank: int
    name: str
    requests: int
    tokens: int
    micro_usd: int
    watt_hours: float | None = None  # an estimate
    people: int = 1
    own: bool = False  # whether it is the visitor's


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where the visitor stands among all who used the gateway, whether they are listed or not."""

    rank: int
    of: int
    nickname: str | None = None  # None: not listed


@dataclass(frozen=True, slots=True)
class LeaderboardView:
    """`/leaderboard?window=&by=`. `since_ms` is when the window began; None for "ever"."""

    frame: Frame
    window: Window
    by: Measure
    people: tuple[Score, ...]
    groups: tuple[Score, ...] = ()
    since_ms: int | None = None
    place: QueuePlace | None = None  # None: not logged in, or nothing used in this window
    energy_formula: str = ""  # how watt hours are estimated, a sentence; empty: they are not


@dataclass(frozen=True, slots=True)
class DocsView:
    """`/docs`: how to use this installation. The snippets are those of `snippets.py`, filled in with these."""

    frame: Frame
    base_url: str  # without a path
    models: tuple[str, ...] = ()  # that any caller may ask for
    openai_model: str = "gpt-5.2"  # the one that the examples ask for
    anthropic_model: str = "claude-sonnet-4-5"
    token_prefix: str = "fg_"  # noqa: S105 - how a gatekeeper token begins


@dataclass(frozen=True, slots=True)
class LoginView:
    """`/login`. At least one way in is open. `next` is one of our own paths, to go on to afterwards."""

    frame: Frame
    provider: str = ""  # what the organisation's login is called; empty: there is none
    provider_path: str = "/login/oidc"
    tokens: bool = True  # whether a gatekeeper token is another way to log in
    next: str = "/me"
    failed: str = ""  # why the last attempt was refused: a sentence of ours


@dataclass(frozen=True, slots=True)
class InvitationView:
    """`/invitation`: a question with its `code`, the `secret` of the first token, or the `problem`, a sentence."""

    frame: Frame
    name: str = ""
    code: str = ""
    secret: str = ""
    base_url: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class MessageView:
    """A page that says one thing: an error, a farewell."""

    frame: Frame
    code: str  # small print above, such as "404"; may be empty
    heading: str
    message: str
    link: tuple[str, str] = ("/", Wording("See the status page"))


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One entry of the feed. `id` stays the same for ever and names no person, such as "incident-17"."""

    id: str
    title: str
    text: str
    published_ms: int
    updated_ms: int
    kind: Literal["announcement", "maintenance", "incident", "key"]


@dataclass(frozen=True, slots=True)
class FeedView:
    """`/feed.xml`. `entries` are the newest first; `updated_ms` is when anything of it changed last."""

    title: str
    base_url: str
    updated_ms: int
    entries: tuple[FeedEntry, ...]


@dataclass(frozen=True, slots=True)
class FamilyView:
    """The keys and the queue of a family of models, as the OAI Reverse Proxy names them.

    "turbo", "gpt4", "gpt432k", "gpt4_turbo", "grok", "google", "mistral", "palm", "ai21", "anthropic", or one of the
    operator's own. `revoked` are keys that the provider refuses, `disabled` those that the operator paused.
    """

    active: int = 0
    exhausted: int = 0
    revoked: int = 0
    disabled: int = 0
    waiting: int = 0
    wait_seconds: float | None = None  # None: nothing serves it


@dataclass(frozen=True, slots=True)
class AliasView:
    """A person who chose to be named, and how much they used: in all, and of each model."""

    nickname: str
    requests: int
    tokens: int
    requests_by_model: Mapping[str, int] = field(default_factory=dict)
    input_by_model: Mapping[str, int] = field(default_factory=dict)
    output_by_model: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustomView:
    """The data of the tags of an operator's own page (docs/custom-page.md).

    `keys` counts keys by provider ("openai", "anthropic", "google", …). `config` holds settings that may be shown, by
    the names of the tags behind "config:"; what is not in it reads "Not Available".
    """

    status: StatusView
    build: str = ""
    gatekeeper: str = "user_token"
    keys: Mapping[str, int] = field(default_factory=dict)
    families: Mapping[str, FamilyView] = field(default_factory=dict)
    config: Mapping[str, str | int | bool | None] = field(default_factory=dict)
    people: tuple[AliasView, ...] = ()
    tokens_by_provider: Mapping[str, int] = field(default_factory=dict)
