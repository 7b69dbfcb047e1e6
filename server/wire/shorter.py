"""A smaller bound, where the bound that the gateway has put into a request is too large for the model.

Where a budget applies, an answer gets a bound (`request.capped`). What a model takes is known of some models only, and
what its server has room for is known of none. So a refusal of our own bound is not the caller's to hear: the request
goes out again with a shorter one, at most `MOST` times at one upstream. A bound of the caller's own is never touched.

That an error is about the bound is known by its `param`, by its code or type, else by its words: prose may acquit. How
much shorter it must be stands in the error. The context window has a field of its own (llama.cpp), else words:

    the window without the input                  "maximum context length is 8192 ... (64 in the messages ...)"
    a minute's tokens, or credit, likewise        "Limit 10000, Requested 16484", "can only afford 2500"
    the largest number below what was sent        "supports at most 4096", "[1, 8192]", "a value <= 12288"
    what a list of models says of the window      where the error has no number
    half of it                                    where no number helps

If an answer follows, the upstream and the model are remembered (`added.Unwanted`), by the longest answer or by the
window. So what others get depends on an answer, never on an error; and a window is the model's own, whatever this
prompt was. The limits of a minute and the credit are no model's, and are not remembered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import orjson

from keypool.complaint import error_of, words_in
from server.wire.request import Request

BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
STATUSES = frozenset({400, 402, 413, 416, 422, 429})
MOST = 3  # times
LEAST = 16  # tokens: less is refused by providers, too
LEAST_LEARNT = 256  # and less than that is no answer to hold others to

_NAMED = re.compile(r"max_(?:completion_|output_|new_)?tokens|maxoutputtokens")
_UNKNOWN = re.compile(
    r"unsupported[ _]parameter|unknown|unrecogni[sz]ed|not supported|unexpected|extra (?:input|field)|not permitted"
)
_TOO_LARGE = re.compile(
    r"too (?:large|high|big)|at most|less than|<=|>|maximum|valid range|supported range|exceed|is limited|fewer"
)
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_CONTEXT = re.compile(r"context[ _](?:length|window|size|limit)")
_MINUTE = re.compile(r"limit:? (\d{1,9}),? .{0,40}?requested:? (\d{1,9})")
_CREDIT = re.compile(r"can only afford (\d{1,9})")

_WINDOW = re.compile(r"context (?:length|window|size|limit)(?: is| of|:)? (?:only )?(\d{1,9})|must be <= (\d{1,9})")
_SUM = re.compile(r"(\d{1,9}) \+ \d{1,9} > (\d{1,9})")  # input + answer > window
_INPUT = re.compile(
    r"(\d{1,9}) (?:in the (?:messages|prompt)|(?:prompt|input|`inputs`) tokens|of text input|tokens from the in)"
)
_REQUESTED = re.compile(r"requested (?:about )?(\d{1,9}) tokens")


@dataclass(frozen=True, slots=True)
class Shorter:
    """A bound that is to be sent, in tokens. `output` and `window` are what the upstream's model takes, if known."""

    most: int
    output: int | None = None
    window: int | None = None
    tries: int = 1


def our_bound(request: Request) -> str | None:
    """The field by which the gateway bounds the answer; None if it adds no bound. (`=` is in front of a last name.)"""
    if not request.added:
        return None
    return next((name for name in BOUNDS if name in request.added or f"={name}" in request.added), None)


def shorter(
    sent: Request, status: int, body: bytes, before: Shorter | None = None, room: int | None = None
) -> Shorter | None:
    """The bound to send after one that was refused; None if it was not refused, or no bound is left to try.

    `before` is what was sent last, if that was shortened already. `room` is what a list of models says that the window
    leaves for an answer, for errors without a figure.
    """
    tries = 1 if before is None else before.tries + 1
    if status not in STATUSES or tries > MOST or our_bound(sent) is None or sent.max_tokens is None:
        return None
    error = error_of(body)
    found = None if error is None else _found(error, sent.max_tokens, room)
    if found is None or not LEAST <= found.most < sent.max_tokens:
        return None
    window = found.window or (before.window if before is not None else None)
    return replace(found, window=window, tries=tries)


def shortened(request: Request, most: int) -> Request:
    """The request with a bound of ours lowered to so many tokens of each choice; as it is, if that is no less."""
    name = our_bound(request)
    if name is None or request.max_tokens is None or request.max_tokens <= most:
        return request
    document = orjson.loads(request.body)
    return replace(request, body=orjson.dumps(document | {name: most}), max_tokens=most)


def _found(error: dict[str, Any], sent: int, room: int | None) -> Shorter | None:
    """The bound by an error about one of `sent` tokens."""
    message = str(error.get("message") or "").lower().replace(",", "")
    if (credit := _CREDIT.search(message)) is not None:
        return Shorter(int(credit[1]))
    if (minute := _MINUTE.search(message)) is not None:
        return Shorter(int(minute[1]) - (int(minute[2]) - sent))
    by_param = _NAMED.search(str(error.get("param") or "").lower())
    if _about_context(error, message) and not (by_param and not _INPUT.search(message)):
        return _in_context(error, message, sent, room)
    if _UNKNOWN.search(message) or not (by_param or (_NAMED.search(message) and _TOO_LARGE.search(message))):
        return None
    numbers = map(int, re.findall(r"\d{1,9}", message))
    most = max((number for number in numbers if LEAST <= number < sent), default=sent // 2)
    return Shorter(most, output=most if most >= LEAST_LEARNT else None)


def _about_context(error: dict[str, Any], message: str) -> bool:
    """Whether the window is what is too small: for the prompt and the answer together."""
    coded = not _CONTEXT_CODES.isdisjoint(words_in(error))
    return coded or any(pattern.search(message) for pattern in (_CONTEXT, _INPUT, _SUM))


def _in_context(error: dict[str, Any], message: str, sent: int, room: int | None) -> Shorter | None:
    """The room of the window beside the input. If the error has no figures: `room`, or half of what was sent."""
    window, read = _integer(error.get("n_ctx")), _integer(error.get("n_prompt_tokens"))
    if window is None and (added := _SUM.search(message)) is not None:
        read, window = int(added[1]), int(added[2])
    if window is None and (found := _WINDOW.search(message)) is not None:
        window = int(found[1] or found[2])
    if read is None and (found := _INPUT.search(message)) is not None:
        read = int(found[1])
    if read is None and (found := _REQUESTED.search(message)) is not None:
        read = int(found[1]) - sent
    if window is None or read is None:
        return Shorter(room if room is not None and LEAST <= room < sent else sent // 2, window=window)
    # Where less than this was refused already, the figures are not all that counts.
    return Shorter(window - read if window - read < sent else sent // 2, window=window)


def _integer(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None
