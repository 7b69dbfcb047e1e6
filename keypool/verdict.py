"""The verdict on an upstream's answer: its effect on the key that was used, and whether another key would help.

Two rules. A verdict that takes something from others, by resting or revoking a key, needs a reason that a machine can
read: a code, a type, a parameter, or a status that alone means it. Prose may only acquit, since a message may repeat
what its caller wrote. And whatever one request could have provoked is no more than a suspicion (`sure` is false): it
takes requests of two persons to make it true (`blame.py`).

    401, or a code about the key              KEY_REFUSED, suspected   ONE other key, free
    429 or 400 with a code about money, 402   OUT_OF_QUOTA (`keys.py`) every other key, free
    429 otherwise                             RATE_LIMITED             another key, budgeted
    404 or a code about the model             NO_SUCH_MODEL, suspected ONE other key, free
    403 otherwise                             FAILED, suspected        ONE other key, free
    408, 5xx, 529                             FAILED, suspected        ONE other key, budgeted
    no connection                             FAILED                   another key, budgeted
    403 of a moderation or of a firewall,     nothing                  the caller hears it
    402 "fewer max_tokens",
    429 "request too large"
    400, 404, 413, 422 and the rest of 4xx    nothing                  the caller hears it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from keypool.codes import Fault
from keypool.complaint import Complaint, complaint_of
from keypool.health import KeyEvent
from keypool.limits import retry_after


@dataclass(frozen=True, slots=True)
class Verdict:
    """The effect of a failure on the key, and whether the request is repeated.

    `event` None: nothing is learnt, since the key is not at fault. `sure`: one request is proof enough.
    `free`: repeating costs no retry budget. `rest`: seconds that the provider asked for. `final`: it must not be
    repeated, since the provider may have billed it or would say the same again. `elsewhere`: other keys may be allowed
    more, so the next request of this person prefers those.

    The rest is for the operator to read and decides nothing: the `status` of the answer and the provider's scrubbed
    `words`, or the `cause` where there was no answer.
    """

    event: KeyEvent | None
    free: bool = False
    rest: float | None = None
    final: bool = False
    sure: bool = False
    elsewhere: bool = False
    status: int = field(default=0, compare=False)
    words: str = field(default="", compare=False)
    cause: str = field(default="", compare=False)


ANSWERED = Verdict(KeyEvent.ANSWERED)
UNREACHABLE = Verdict(KeyEvent.FAILED, sure=True, cause="there was no connection")  # whatever was to be sent over it
DROPPED = Verdict(KeyEvent.FAILED, cause="the connection ended before any answer")  # perhaps because of what was sent
NONSENSE = Verdict(KeyEvent.FAILED, final=True, cause="the answer was none")
TOO_SLOW = Verdict(KeyEvent.FAILED, final=True, cause="there was no answer in time")
BROKEN_OFF = Verdict(KeyEvent.FAILED, final=True, cause="the answer broke off")  # after its first byte
CALLERS_FAULT = Verdict(None, final=True)
OUR_BOUND = Verdict(None, final=True)  # larger than we take, or packed as we cannot read: not the key's doing
# Not sent at all: its owner's monthly cap has no room for this one.
USED_UP = Verdict(KeyEvent.OUT_OF_QUOTA, free=True, cause="the monthly cap of its upstream had no room for a request")

REFUSED = Verdict(KeyEvent.KEY_REFUSED, free=True)
NO_MONEY = Verdict(KeyEvent.OUT_OF_QUOTA, free=True, sure=True)
PERHAPS_NO_MONEY = Verdict(KeyEvent.OUT_OF_QUOTA, free=True)
NO_MODEL = Verdict(KeyEvent.NO_SUCH_MODEL, free=True)
FORBIDDEN = Verdict(KeyEvent.FAILED, free=True)
TOO_MUCH = Verdict(None, final=True, elsewhere=True)

# Anthropic says these with 400 or 403 and no code. They are beginnings, and no proof before a second person hears them.
MONEY_PHRASES = (
    "your credit balance is too low",
    "usage blocked until",
    "you have reached your specified api usage limits",
)
KEY_PHRASES = ("this organization has been disabled",)
WRONG_KEY = "incorrect api key provided"  # xAI's, with 400; OpenAI has a code beside it
# How providers without a code for it begin when they mean the model. The name in it is the one that the pool has sent.
MODEL_PHRASES = re.compile(
    r"model: \S+$|(?:the |publisher )?model [`'\"]?\S+?[`'\"]? (?:does not exist|(?:is |was )?not (?:found|supported))"
    r"|could not resolve the foundation model|models/\S+ is not found"
)
# What acquits a key. A message may say so because its caller wrote so: then its caller alone hears it.
CONTENT = re.compile(
    r"content violates|usage guidelines|content polic|content management policy|responsible ai|moderation|guardrail"
    r"|(?:input|prompt|request|content|messages?|image|output)\b[^.]{0,40}\bflagged|flagged as|content.filter"
    r"|safety (?:check|system|filter|setting|polic|reason)|safety_check|(?:prohibited|inappropriate|sensitive) content"
    r"|high risk|context length|max_tokens"
)
TOO_LARGE = re.compile(
    r"request too large|too many tokens|tokens must be reduced|long context|fewer max_tokens|reduce the length"
    r"|exceeds? the (?:maximum|context)|greater than the (?:maximum|limit)"
)
AFFORD = re.compile(r"can only afford (\d{1,12})")


def judge(status: int, headers: Mapping[str, str], body: bytes, wall: float) -> Verdict:
    """Judge an upstream's complete answer. `headers` must be case-insensitive or lower case.

    `wall` is seconds since 1970, for instants among the headers.
    """
    if status < 400:
        return ANSWERED
    complaint = complaint_of(headers, body)
    return _acquitted(status, complaint) or _condemned(status, complaint, retry_after(headers, wall, body))


def _acquitted(status: int, said: Complaint) -> Verdict | None:
    """The verdict on a request that would fare no better with a key that is well; None if it might."""
    if said.blames(Fault.KEY):
        return None
    if status in (402, 429) and _too_much(said):
        return TOO_MUCH
    if status == 403 and (said.page or said.moderated or CONTENT.search(said.message)):
        return CALLERS_FAULT
    if said.blames(Fault.CALLER) and not said.blames(Fault.MONEY, Fault.RATE, Fault.MODEL):
        return CALLERS_FAULT
    return None


def _too_much(said: Complaint) -> bool:
    """Whether it is too much for this key, though less would do. A key that can afford nothing is exhausted instead."""
    afford = AFFORD.search(said.message)
    return int(afford[1]) > 0 if afford is not None else bool(TOO_LARGE.search(said.message))


def _condemned(status: int, said: Complaint, rest: float | None) -> Verdict:
    if status == 401 or said.blames(Fault.KEY) or said.begins(KEY_PHRASES) or said.message.startswith(WRONG_KEY):
        return REFUSED
    if status == 402 and said.held_back:  # what runs at present takes all the credit; some of it comes back
        return Verdict(KeyEvent.RATE_LIMITED, rest=rest, sure=True)
    if status == 402 or said.blames(Fault.MONEY):
        return NO_MONEY
    if status in (400, 403, 429) and said.begins(MONEY_PHRASES):
        return PERHAPS_NO_MONEY
    if status == 429:
        return Verdict(KeyEvent.RATE_LIMITED, rest=rest, sure=True)
    if status in (400, 403, 404) and _about_model(status, said):
        return NO_MODEL
    if status == 403:
        return FORBIDDEN
    if status == 408 or status >= 500:
        return replace(DROPPED, rest=rest, cause="")
    return CALLERS_FAULT


def _about_model(status: int, said: Complaint) -> bool:
    """The model that was asked for is meant, and no other thing that a request may name."""
    if said.param not in ("", "model"):
        return False
    if said.blames(Fault.MODEL):
        return True
    return status == 404 and (said.param == "model" or MODEL_PHRASES.match(said.message) is not None)
