"""Fields that the gateway puts into a request (`Request.added`), and upstreams that refuse them.

A caller does not know of these fields, so their refusal is not the caller's fault, and not the key's. The request is
sent again without the field. A bound of the answer is never left out, since a budget may rest on it: it goes out under
the endpoint's other name. If that helps, the upstream is remembered for a while: per model, since a gateway behind this
one may lead anywhere. Prose may acquit, so an error that names the field in its words is enough; but an error may
repeat a caller's words, so what others will be sent depends on an answer, never on an error.

A bound of the answer that is too large for a model is another matter: it keeps its name, and is shortened (`shorter`).

    stream_options          the figures of a stream             (`request.read_request`)
    store                   false, where nothing may be kept    (`request.unkept`)
    max_tokens and others   the bound of the answer             (`request.capped`)
    max_tool_calls          the bound of hosted tools           (`request.bounding_tools`)
    max_uses                the same, in each of Anthropic's
    cache_control           for a translated loop of tools      (`translate/request_to_messages.py`)

The bound of hosted tools has no other name, and a budget rests on it: who refuses it does not get the request at all.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import orjson

from server.wire.request import Request
from server.wire.shorter import LEAST, LEAST_LEARNT, Shorter, shortened

REFUSALS = frozenset({400, 405, 422, 500, 501})
LASTS = 86_400.0  # seconds; upstreams learn, too
MOST = 10_000  # upstreams and models that are remembered
ALLOWANCE, MARGIN = 20, 32  # a twentieth of the input and so many tokens: others count a little more than we do

USAGE = "stream_options"
STORE = "store"
CACHE = "cache_control"
BOUNDS = frozenset({"max_tokens", "max_completion_tokens"})  # which name each other where an endpoint has both

# `store` is a word of every day, and some errors say what it would have to be ("not supported with store=false"): that
# the caller asks for something which only a kept answer has.
_STORE_IS_UNKNOWN = re.compile(
    rb"(?is)\A(?!.*\bstore\W{0,4}(?:(?:is|was|to|be|must|set|requires?)\W+)*(?:true|false)\b)(?=.*\bstore\b)"
    rb".*(?:un(?:known|recogni[sz]ed|expected|supported)|extra (?:input|field)|additional propert"
    rb"|not (?:permitted|supported|allowed|recogni[sz]ed|valid))"
)
# How errors name each field.
_NAMED: dict[str, re.Pattern[bytes]] = {
    USAGE: re.compile(rb"stream_options|include_usage"),
    STORE: _STORE_IS_UNKNOWN,
    CACHE: re.compile(rb"\bcache_control\b"),
    **{name: re.compile(rb"\b%b\b" % name.encode()) for name in BOUNDS},
}
_BOUND_OF_TOOLS = re.compile(rb"\b(max_tool_calls|max_uses)\b")


def refuses_what_we_added(sent: Request, status: int, error: bytes) -> str | None:
    """Return the field of ours that an upstream's error is about; None if it is about something else."""
    if status not in REFUSALS:
        return None
    return next((name for name in sent.added if _can_do_without(sent, name) and _NAMED[name].search(error)), None)


def refuses_bound_of_tools(sent: Request, status: int, error: bytes) -> bool:
    """Whether an upstream's error is about our bound of hosted tools."""
    found = _BOUND_OF_TOOLS.search(error) if status in REFUSALS else None
    return found is not None and found[1].decode() in sent.added


def _can_do_without(request: Request, name: str) -> bool:
    return name in _NAMED and (name not in BOUNDS or _other_name(request, name) is not None)


def _other_name(request: Request, bound: str) -> str | None:
    """The other name of a bound at the request's endpoint, if it has one."""
    return next((name for name in request.endpoint.output_limits if name != bound), None)


def without(request: Request, name: str) -> Request:
    """The request without this field of ours, and with a bound under its other name."""
    document = orjson.loads(request.body)
    value, added = document.pop(name), [each for each in request.added if each != name]
    if name in BOUNDS and (other := _other_name(request, name)) is not None:
        document[other] = value
        added.append(other)
    if name == USAGE and (others := {key: each for key, each in value.items() if key != "include_usage"}):
        document[USAGE] = others
    hides_usage = request.hides_usage and name != USAGE
    return replace(request, body=orjson.dumps(document), hides_usage=hides_usage, added=tuple(added))


class Unwanted:
    """Which upstream refuses which of our fields, with which model. `now` is seconds, monotonic."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str, str], float] = {}
        self._takes: dict[tuple[str, str], tuple[Shorter, float]] = {}  # how long a bound may be, until when

    def note(self, upstream: str, request: Request, field: str, now: float) -> None:
        """An upstream has refused a field, and answered without it."""
        if len(self._until) >= MOST:
            self._until = {each: until for each, until in self._until.items() if until > now}
        if len(self._until) < MOST:
            self._until[upstream, request.model, field] = now + LASTS
        if field in BOUNDS and (other := _other_name(request, field)) is not None:
            self._until.pop((upstream, request.model, other), None)

    def shortened(self, upstream: str, request: Request, found: Shorter, now: float) -> None:
        """An upstream has answered a request whose bound was shortened to this."""
        before, _ = self._takes.get((upstream, request.model), (found, now))
        if len(self._takes) >= MOST:
            self._takes = {each: it for each, it in self._takes.items() if it[1] > now}
        known = replace(found, output=found.output or before.output, window=found.window or before.window)
        if len(self._takes) < MOST and (known.output or (known.window or 0) >= LEAST_LEARNT):
            self._takes[upstream, request.model] = known, now + LASTS

    def bounded(self, request: Request, upstream: str, now: float, read: int, found: Shorter | None) -> Request:
        """The request with a bound of ours as short as this upstream's model takes it.

        `read` is its input in tokens, as counted here; `found` what the upstream has just said, which counts first.
        """
        if found is not None:
            return shortened(request, found.most)
        known, until = self._takes.get((upstream, request.model), (None, now))
        if known is None or until <= now:
            return request
        room = [] if known.window is None else [max(LEAST, known.window - read - read // ALLOWANCE - MARGIN)]
        return shortened(request, min([known.output or request.max_tokens or LEAST, *room]))

    def fitted(self, request: Request, upstream: str, now: float, refused: Collection[str] = ()) -> Request:
        """The request as this upstream takes it. `refused`: what it has just refused of it, which counts first.

        A bound whose name it has refused goes out under the other one, and is not changed once more.
        """
        if not self._until and not refused:
            return request
        for name in request.added:
            other = _other_name(request, name) if name in BOUNDS else None
            known = self._until.get((upstream, request.model, name), now) > now and other not in refused
            if _can_do_without(request, name) and (name in refused or known):
                request = without(request, name)
        if not BOUNDS.isdisjoint(refused):
            added = (f"={name}" if name in BOUNDS else name for name in request.added)  # ours, and renamed no more
            request = replace(request, added=tuple(added))
        return request
