"""The authority of a caller. One function decides it, and every route and every verb that makes something asks it.

A person may do what their credential may, never more. Five things decide:

* the *means*: a name in a trusted header vouches for the caller, so it calls and reads that person's usage; it
  proves nothing that could make a lasting credential, and never an administrator. A guest's pass calls. Where all
  share one name, one calls and reads that name's figures. A token, the provider's own token, a session and the
  operator's key may do what their person may;
* the *terms*: a token that was narrowed down on purpose (models, networks, addresses, a kind) calls and reads;
* the *end*: a credential that is made by one that ends (a token, a pass) ends no later;
* the *limits*: a token with a limit of its own makes nothing at all, because what it made would be free of that limit,
  and administers nothing, because it could lift the limit;
* whether the person *administers*.

    means      call   read own   change own   administer
    guest       x
    header      x        x
    shared      x        x
    bearer      x        x           x            x        ends with the provider's token
    token       x        x           x            x        less by its terms, its limits and its end
    session     x        x           x            x        begun by a token: what that token may, as it is now
    operator    x        x           x            x

An administrator makes administrators. That is authority without an end, so a credential that ends cannot give it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from web.wording import Wording


class Means(StrEnum):
    """By what a caller is authenticated."""

    GUEST = "guest"
    HEADER = "header"
    SHARED = "shared"
    BEARER = "bearer"
    TOKEN = "token"  # noqa: S105 - a word
    SESSION = "session"
    OPERATOR = "operator"


class Power(IntEnum):
    """The powers of a credential; each one includes those before it."""

    CALL = 1
    READ_OWN = 2
    CHANGE_OWN = 3
    ADMINISTER = 4


MOST = {
    Means.GUEST: Power.CALL,
    Means.HEADER: Power.READ_OWN,
    Means.SHARED: Power.READ_OWN,
    Means.BEARER: Power.ADMINISTER,
    Means.TOKEN: Power.ADMINISTER,
    Means.SESSION: Power.ADMINISTER,
    Means.OPERATOR: Power.ADMINISTER,
}

LIMITED = Wording("a credential with a limit of its own makes no other one")
TOO_LONG = Wording("this credential ends sooner than what it was asked to make: give an end that is no later")
NOT_LASTING = Wording("a credential that ends makes no administrator")
TOO_WEAK = Wording("this credential makes no other one")


@dataclass(frozen=True, slots=True)
class Authority:
    """`ends_at` is UTC milliseconds, None is never. `limited`: the credential has a limit of its own."""

    means: Means
    power: Power
    ends_at: int | None = None
    limited: bool = False

    def may(self, power: Power) -> bool:
        return self.power >= power

    def against_making(self, ends_at: int | None) -> str | None:
        """Why it makes no credential that ends then; None if it does."""
        if not self.may(Power.CHANGE_OWN):
            return TOO_WEAK
        return LIMITED if self.limited else self._against_end(ends_at)

    def against_renewing(self, ends_at: int | None, itself: bool) -> str | None:
        """Why it gives no new secret to a credential that ends then; a limited one renews itself, and keeps its limit.

        `itself`: it is the very credential that asks, or one that took its place.
        """
        return self._against_end(ends_at) if itself and self.may(Power.CHANGE_OWN) else self.against_making(ends_at)

    def against_promoting(self) -> str | None:
        """Why it makes no administrator; None if it does."""
        if not self.may(Power.ADMINISTER):
            return TOO_WEAK
        return None if self.ends_at is None else NOT_LASTING

    def _against_end(self, ends_at: int | None) -> str | None:
        lasts = self.ends_at is not None and (ends_at is None or ends_at > self.ends_at)
        return TOO_LONG if lasts else None


def authority_of(
    means: Means, *, admin: bool, narrowed: bool = False, limited: bool = False, ends_at: int | None = None
) -> Authority:
    """The authority of a credential. `admin`: its person administers; `narrowed`: it has terms of its own."""
    person = Power.ADMINISTER if admin and not limited else Power.CHANGE_OWN
    terms = Power.READ_OWN if narrowed else Power.ADMINISTER
    return Authority(means, min(MOST[means], person, terms), ends_at, limited)


# The operator at the command line, on the machine that has all the secrets.
OPERATOR = authority_of(Means.OPERATOR, admin=True)
