"""The differences between the two families of APIs: errors, credentials, model lists."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from server.wire.errors import Refusal

JSON_TYPE = "application/json"

Facts = Mapping[str, Mapping[str, object]]  # by the models' names; both SDKs keep fields that they do not know
NO_FACTS: Facts = {}

# What a provider may echo of a secret or of the account behind it. Our own keys of every family are meant, also where
# the provider has starred out the middle.
_SECRETS = re.compile(
    rb"\b(?:sk|pk|rk|sess|xai|pplx|nvapi|csk)-[\w*.-]{6,}"
    rb"|\b(?:gsk|hf|r8)_[\w*]{6,}"
    rb"|\bAIza[\w*-]{6,}"
    rb"|\borg[-_][A-Za-z0-9]{12,}"
    rb"|\b(?:proj|user|team|acct)_[A-Za-z0-9]{12,}"
    rb"|\b(?:team|org|organization|account|project|api key id)(?: id)?:? [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,27}"
    rb"|https?://[^\s\"\\<>)]{0,200}\b(?:account|billing|console|credits|dashboard|keys|plans|settings|usage|workspaces?)\b"
    rb"[^\s\"\\<>)]*"
    rb'|\bBearer\s+[^\s"\\,]+',
    re.IGNORECASE,
)


class Dialect(Protocol):
    """One family's manners. All methods are pure; `request_id` is the gateway's own."""

    @property
    def name(self) -> str:
        """Return "openai" or "anthropic"."""

    @property
    def passed_headers(self) -> frozenset[str]:
        """Return the request headers, in lower case, that may go upstream. Never a credential, never a person."""

    def status(self, refusal: Refusal) -> int:
        """Return the HTTP status."""

    def headers(self, refusal: Refusal) -> dict[str, str]:
        """Return the headers of a refusal, `Content-Type` included."""

    def body(self, refusal: Refusal, request_id: str) -> bytes:
        """Return the body of a refusal."""

    def event(self, refusal: Refusal, request_id: str) -> bytes:
        """Return the refusal as the last event of a stream that has begun."""

    def heartbeat(
        self, position: int | None, wait: float | None, latest: float | None = None, longer: float = 0.0
    ) -> bytes:
        """Return what keeps a stream open while its request waits, and no SDK takes for an event.

        `position` counts from 1. In seconds: `wait` is the usual wait, `latest` the longest one, and `longer` by how
        much the wait has grown since the last heartbeat. None where it is not known.
        """

    def relayed(self, body: bytes) -> bytes:
        """Return an upstream's error body as the last event of a stream that has begun."""

    def credentials(self, secret: str) -> dict[str, str]:
        """Return the headers that authenticate with a provider, and defaults that it insists on.

        Lay the client's passed headers *over* them, `{**credentials(secret), **passed}`: so the client's own
        `anthropic-version` wins, and no credential can be replaced since `passed_headers` names none.
        """

    def models(self, names: Sequence[str], facts: Facts = NO_FACTS) -> bytes:
        """Return the answer to `GET /v1/models`, with what is known of each model beside the dialect's own fields."""

    def model(self, name: str, facts: Facts = NO_FACTS) -> bytes:
        """Return the answer to `GET /v1/models/{name}`."""


def refusal_headers(refusal: Refusal) -> dict[str, str]:
    """Return what both families understand: how long to wait, and whether to come back at all."""
    headers = {"Content-Type": JSON_TYPE, **refusal.headers}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after))
        headers["retry-after-ms"] = str(math.ceil(refusal.retry_after * 1000))
    if not refusal.retriable:
        headers["x-should-retry"] = "false"
    return headers


def one_line(body: bytes) -> bytes:
    """Return a JSON body without line breaks, which only stand between its parts: so it fits into one `data:` line."""
    return body.replace(b"\r", b" ").replace(b"\n", b" ")


def scrub(body: bytes) -> bytes:
    """Mask everything in an error that is relayed which looks like a provider's key or tells of the account behind it:
    organisation, project, team, and links to its pages."""
    return _SECRETS.sub(b"***", body)
