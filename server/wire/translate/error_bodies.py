"""An upstream's error in the envelope, with the words and the status of the other family.

Clients act upon some words: Codex compacts a conversation when it reads `context_length_exceeded`, Claude Code when it
reads that the prompt is too long. So these are carried, whatever else an error says.
"""

from __future__ import annotations

from typing import Any, Literal

import orjson

from keypool.complaint import error_of
from server.wire.dialect import scrub

Family = Literal["openai", "anthropic"]

TOO_LONG = "prompt is too long"
TOO_LONG_CODE = "context_length_exceeded"

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}  # Anthropic's, by the status
_TYPES = {403: "permission_error", 429: "rate_limit_error"}  # OpenAI's
_CODES = {
    401: "invalid_api_key",
    402: "insufficient_quota",
    404: "not_found",
    413: "request_too_large",
    429: "rate_limit_exceeded",
}
_STATUSES: dict[Family, dict[int, int]] = {"openai": {529: 503, 402: 429}, "anthropic": {503: 529}}
_TOO_LONG_WORDS = (TOO_LONG, "exceed context limit", "context window", "maximum context length")


def translated(status: int, body: bytes, family: Family) -> tuple[int, bytes]:
    """Return the status and the body of an error, as this family says it. What tells of an account is masked."""
    status, error = _STATUSES[family].get(status, status), error_of(scrub(body)) or {}
    message = error.get("message")
    words = message if type(message) is str and message else "The upstream gave no reason."
    if family == "anthropic":
        return status, orjson.dumps({"type": "error", "error": _of_anthropic(status, error, words)})
    return status, orjson.dumps({"error": _of_openai(status, error, words)})


def _of_anthropic(status: int, error: dict[str, Any], words: str) -> dict[str, Any]:
    if _too_long(error, words) and TOO_LONG not in words.lower():
        words = f"{TOO_LONG}: {words}"
    kind = _KINDS.get(status, _KINDS[400] if status < 500 else "api_error")
    return {"type": kind, "message": words}


def _of_openai(status: int, error: dict[str, Any], words: str) -> dict[str, Any]:
    code = TOO_LONG_CODE if _too_long(error, words) else _CODES.get(status)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"message": words, "type": kind, "param": None, "code": code}


def _too_long(error: dict[str, Any], words: str) -> bool:
    return error.get("code") == TOO_LONG_CODE or any(each in words.lower() for each in _TOO_LONG_WORDS)
