"""An upstream's error that came inside an answer with status 200.

Both families may say `200 OK` and then send an error as an event. Before the first byte has gone to the client the
gateway can still treat it like the same error with its proper status; this module says what that would have been.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

# By `error.code` first, then by `error.type`; both families together, since no word means two things.
STATUSES = {
    "insufficient_quota": 429,
    "billing_hard_limit_reached": 429,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "requests": 429,
    "tokens": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "account_deactivated": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "request_too_large": 413,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "timeout_error": 504,
    "server_is_overloaded": 503,
    "overloaded_error": 529,
    "server_error": 500,
    "api_error": 500,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """The status which the upstream would have used, and the body that would have gone with it.

    `body` is a plain error body that readers of both families understand, so that whatever classifies plain errors
    can classify this one. It is the upstream's text: never log it, and scrub it before a client sees it.
    """

    status: int
    body: bytes = field(repr=False)


def fault_of(document: dict[str, Any]) -> Fault | None:
    """Return the fault that an event or a plain answer reports, None if it reports none."""
    error = _error_in(document)
    if error is None:
        return None
    return Fault(_status(error), orjson.dumps({"type": "error", "error": error}))


def _error_in(document: dict[str, Any]) -> dict[str, Any] | None:
    error = document.get("error")
    if type(error) is dict:
        return error
    if type(error) is str and error:
        return {"message": error}
    if document.get("object") == "error":  # vLLM and its like have no envelope
        return {name: document[name] for name in ("type", "code", "message", "param") if name in document}
    response = document.get("response")
    if type(response) is dict and type(response.get("error")) is dict:
        return dict(response["error"])
    if document.get("type") == "error":  # the Responses API has no envelope in a stream
        return {name: document[name] for name in ("code", "message", "param") if name in document}
    return _error_of_choice(document.get("choices"))


def _error_of_choice(choices: Any) -> dict[str, Any] | None:
    """OpenRouter may say it in the first choice."""
    first = choices[0] if type(choices) is list and choices else None
    error = first.get("error") if type(first) is dict else None
    return error if type(error) is dict else None


def _status(error: dict[str, Any]) -> int:
    for name in ("code", "type"):
        word = error.get(name)
        if type(word) is int and 400 <= word <= 599:
            return word
        if type(word) is str and word in STATUSES:
            return STATUSES[word]
    return 500
