"""Fields that the gateway puts into a request, and upstreams that refuse them.

A caller does not know of these fields, so their refusal is not the caller's fault, and not the key's. The request is
sent again without the field. If that helps, the upstream is remembered for a while: per model, since a gateway behind
this one may lead anywhere. Prose may acquit, so an error that names the field in its words is enough; but an error may
repeat a caller's words, so what others will be sent depends on an answer, never on an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import orjson

from server.wire.request import Request

REFUSALS = frozenset({400, 405, 422, 500, 501})
LASTS = 86_400.0  # seconds; upstreams learn, too
MOST = 10_000  # upstreams and models that are remembered

USAGE = "stream_options"


@dataclass(frozen=True, slots=True)
class _Added:
    """How to see that the field is ours, the words by which errors name it, and the request without it."""

    is_ours: Callable[[Request], bool]
    words: tuple[bytes, ...]
    without: Callable[[Request], Request]


def _without_usage(request: Request) -> Request:
    """The body without `include_usage`; without `stream_options` if there is nothing else in it."""
    document = orjson.loads(request.body)
    options = document.pop(USAGE)
    del options["include_usage"]
    if options:
        document[USAGE] = options
    return replace(request, body=orjson.dumps(document), hides_usage=False)


_FIELDS = {USAGE: _Added(lambda request: request.hides_usage, (b"stream_options", b"include_usage"), _without_usage)}


def refuses_what_we_added(sent: Request, status: int, error: bytes) -> str | None:
    """Return the field of ours that an upstream's error is about; None if it is about something else."""
    if status not in REFUSALS:
        return None
    return next((name for name, field in _FIELDS.items() if field.is_ours(sent) and _names(error, field.words)), None)


def _names(error: bytes, words: tuple[bytes, ...]) -> bool:
    return any(word in error for word in words)


def without(request: Request, names: Iterable[str]) -> Request:
    """The request without these fields, as far as they are ours."""
    for name in names:
        if _FIELDS[name].is_ours(request):
            request = _FIELDS[name].without(request)
    return request


class Unwanted:
    """Which upstream refuses which of our fields, with which model. `now` is seconds, monotonic."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str, str], float] = {}

    def note(self, upstream: str, model: str, field: str, now: float) -> None:
        """An upstream has refused a field, and answered without it."""
        if len(self._until) >= MOST:
            self._until = {each: until for each, until in self._until.items() if until > now}
        if len(self._until) < MOST:
            self._until[upstream, model, field] = now + LASTS

    def fitted(self, request: Request, upstream: str, now: float) -> Request:
        """The request as this upstream takes it."""
        if not self._until:
            return request
        known = self._until
        return without(request, (name for name in _FIELDS if known.get((upstream, request.model, name), now) > now))
