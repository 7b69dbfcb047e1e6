"""The records that a store keeps, and the errors that its verbs raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from server.config.specs import UpstreamSpec
from server.policy.authority import Means
from server.wire.keepalive import DEFAULT


class StoreError(Exception):
    """The store cannot be reached, opened or written."""


class NameTaken(Exception):
    """There is already a person of this name, nickname or login."""


class KeyTaken(Exception):
    """This upstream key has been added already."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the gateway. All tokens of one person are one flow in the queue."""

    id: str
    name: str  # unique
    disabled: bool
    created_at: int
    groups: tuple[str, ...] = ()  # by an operator's hand
    claimed: tuple[str, ...] = ()  # by what the identity provider said at the last login
    admin: bool = False
    login: str | None = None  # who it is at the identity provider; unique
    email: str | None = None
    last_login_at: int | None = None
    nickname: str | None = None  # on the leaderboard, if they want to be there; unique
    note: str = ""
    mails: bool = True  # messages about their budgets, where there is an address
    language: str = ""  # of these; "" is the installation's first


# The fields of a person that a remembered caller depends on. A login alone only opens what was at rest.
LETS_IN = frozenset({"name", "disabled", "groups", "claimed", "admin", "login"})


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """The uses that a token is allowed; empty is no condition."""

    kind: str = "normal"  # or "special" (no rate limits) or "temporary"; "guest" of a caller with a pass
    models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()  # such as "10.0.0.0/8"
    addresses: int = 0  # from how many different ones; 0 is any number
    keepalive: str = DEFAULT  # the signs of life in streams: no condition, but a choice (`wire/keepalive.py`)

    @property
    def narrow(self) -> bool:
        """The token may do less than its owner."""
        return self.kind != "normal" or bool(self.models or self.networks or self.addresses)


@dataclass(frozen=True, slots=True)
class Token:
    """A gatekeeper token as it may be shown: the secret itself is not kept, only its digest."""

    id: str
    person_id: str
    name: str
    hint: str  # prefix and last four characters, to recognise it by
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    terms: TokenTerms = TokenTerms()

    def is_valid_at(self, now: int) -> bool:
        """Whether it opens anything at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated sender of a request."""

    person_id: str
    person_name: str
    token_id: str | None  # None where no personal token is asked for
    weight: float = 1.0  # the person's share in the fair queue, relative to the others'
    groups: tuple[str, ...] = ()
    admin: bool = False  # the person administers; whether this credential does, `Services.authority` says
    terms: TokenTerms = TokenTerms()
    spend: int | None = None  # micro-USD in all, where the credential itself says so: a guest's
    means: Means = Means.TOKEN
    ends_at: int | None = None  # when the credential ends


@dataclass(frozen=True, slots=True)
class Credential:
    """The caller of a token's digest, with all that decides whether the token is valid."""

    caller: Caller
    disabled: bool
    expires_at: int | None
    revoked_at: int | None
    last_login_at: int | None = None

    def valid_at(self, now: int) -> bool:
        """Whether this counts at `now`. A revocation holds from the moment it is read, whatever its date."""
        return not self.disabled and self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedKey:
    """An upstream key that was added at run time. Its secret is here only as `KeyEncryption` encrypted it."""

    id: str  # its fingerprint
    spec: UpstreamSpec  # what it may be used for; `keys` is empty
    hint: str  # the last four characters, to recognise it by
    encrypted: bytes = field(repr=False)
    added_at: int

    def __post_init__(self) -> None:
        if self.spec.keys:
            raise ValueError("a key's secret is kept encrypted only")


@dataclass(frozen=True, slots=True)
class KeyWish:
    """The operator's wishes for an upstream key, from the configuration or added."""

    id: str  # the key's fingerprint
    paused: bool = False
    recheck_at: int | None = None  # when it was asked for last


@dataclass(frozen=True, slots=True)
class IssuedObject:
    """The maker of an object that a provider keeps, and the upstream key that made it: only that key knows it."""

    person_id: str
    key: str  # the key's fingerprint
    at: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over many usage rows. Tokens as in `Usage`: `input` includes the cached, `output` the reasoning."""

    requests: int
    people: int
    input: int
    output: int


@dataclass(frozen=True, slots=True)
class Record:
    """One of the few things that an operator decides at run time: a limit, a price, a group, an announcement.

    Records of a kind are read together and kept in memory; `body` is what JSON can say.
    """

    kind: str
    id: str
    body: Mapping[str, Any]


DONE, PENDING, FAILED = "done", "pending", "failed"


@dataclass(frozen=True, slots=True)
class Audit:
    """A change that a person made: who, when, what, and how it was before and after. Never a secret.

    `outcome`: DONE; PENDING of a change that was begun, and whose end the database did not confirm; FAILED of one of
    which only a part was made. The embedded store has no other than DONE.
    """

    id: str
    at: int
    actor: str  # a person's id, or "operator" at the command line
    action: str  # such as "limit.set"
    target: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    outcome: str = DONE


@dataclass(frozen=True, slots=True)
class Session:
    """A login in a browser. Its id is the digest of what the cookie holds."""

    digest: bytes
    person_id: str
    created_at: int
    expires_at: int
    sealed: bytes = field(default=b"", repr=False)  # what the logout needs, encrypted


@dataclass(frozen=True, slots=True)
class Content:
    """A prompt and its answer, where a group keeps them and a header of the answer says so."""

    request_id: str
    person_id: str
    group: str
    at: int
    expires_at: int
    asked: bytes = field(repr=False)
    answered: bytes = field(repr=False)
    readers: str = ""  # whom the group named to read it when it was written (`policy/groups.py`), blanks between
