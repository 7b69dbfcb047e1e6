"""What an upstream's answer says about the key that was used, and whether another key would help.

One table for each provider's words. Only the machine-readable fields (`type`, `code`) are matched where there are any;
of messages only the phrases for which a provider has no code.

    401, account deactivated, access terminated      the key is refused          other key, free
    429 with a quota code, 402, billing              its quota is gone           other key, free
    429 otherwise                                    this model rests            budgeted
    529, 500, 502, 503, 504, no answer at all        this model rests            other key, budgeted
    403 or 404 about the model                       this model, this key        other key, free
    400, 413, 422 and the rest of 4xx                nothing: the caller's fault
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from keypool.limits import retry_after
from keypool.standing import Event

QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_not_active",
        "billing_hard_limit_reached",
        "billing_error",
        "credit_balance_exhausted",
        "organization_usage_limit_exceeded",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
    }
)
REFUSED_CODES = frozenset({"invalid_api_key", "account_deactivated", "access_terminated", "authentication_error"})
MODEL_CODES = frozenset({"model_not_found", "model_not_available"})
# Anthropic answers these with 400 or 403 and no code of their own. They are beginnings: a message may quote its caller.
QUOTA_PHRASES = (
    "your credit balance is too low",
    "usage blocked until",
    "you have reached your specified api usage limits",
)
REFUSED_PHRASES = ("this organization has been disabled",)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a key learns, and what becomes of the request.

    `event` None means nothing is learnt: the caller's fault. `free`: repeating costs no retry budget. `rest`: seconds
    that the provider asked for. `final`: it must not be repeated, since the provider may have billed it.
    """

    event: Event | None
    free: bool = False
    rest: float | None = None
    final: bool = False


ANSWERED = Verdict(Event.ANSWERED)
UNREACHABLE = Verdict(Event.FAILED)
NONSENSE = Verdict(Event.FAILED, final=True)  # an answer that is none
TOO_SLOW = Verdict(None, final=True)  # no answer in time: it says more about the request than about the key
EMPTY = Verdict(Event.FAILED)  # it ended well and had said nothing: nothing was delivered, so another key may try
UNREADABLE = Verdict(None, final=True)  # our own bounds, and what we cannot read, say nothing about a key
CALLERS_FAULT = Verdict(None, final=True)
USED_UP = Verdict(Event.OUT_OF_QUOTA, free=True)  # not sent at all: its owner's monthly cap leaves no room


def judge(status: int, headers: Mapping[str, str], body: bytes, wall: float) -> Verdict:
    """Judge an upstream's complete answer. `headers` must be case-insensitive or lower case.

    `wall` is seconds since 1970, for instants among the headers.
    """
    if status < 400:
        return ANSWERED
    words = _words(body)
    rest = retry_after(headers, wall, body)
    if status == 401 or words.codes & REFUSED_CODES or words.says(REFUSED_PHRASES):
        return Verdict(Event.KEY_REFUSED, free=True)
    if status == 402 or words.codes & QUOTA_CODES or words.says(QUOTA_PHRASES):
        return Verdict(Event.OUT_OF_QUOTA, free=True)
    if status == 429:
        return Verdict(Event.RATE_LIMITED, rest=rest)
    if status >= 500:
        return Verdict(Event.FAILED, rest=rest)
    if status == 403 or (status == 404 and words.about_model()):
        return Verdict(Event.NO_SUCH_MODEL, free=True)
    return CALLERS_FAULT


@dataclass(frozen=True, slots=True)
class _Words:
    codes: frozenset[str]
    message: str

    def says(self, phrases: tuple[str, ...]) -> bool:
        """Does the message begin so? One that names a field ("messages.0.role: ...") may repeat the caller's words."""
        return self.message.startswith(phrases) and ": " not in self.message

    def about_model(self) -> bool:
        return bool(self.codes & MODEL_CODES) or "model" in self.message


def _words(body: bytes) -> _Words:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    error = document.get("error", document) if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return _Words(frozenset(), "")
    codes = frozenset(value for name in ("type", "code") if isinstance(value := error.get(name), str))
    message = error.get("message")
    return _Words(codes, message.lower() if isinstance(message, str) else "")
