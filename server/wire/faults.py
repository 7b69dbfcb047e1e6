"""An upstream's error that came inside an answer with status 200.

Both families may say `200 OK` and then send an error as an event. Before the first byte has gone to the client the
gateway can still treat it like the same error with its proper status; this module says what that would have been, by
the pool's table of the providers' words (`keypool/codes.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from keypool.codes import status_of
from keypool.complaint import error_in, error_of, words_in

_CODE = re.compile(r"[A-Za-z][A-Za-z_.]{0,63}", re.ASCII)  # no secret looks like this


@dataclass(frozen=True, slots=True)
class ReportedError:
    """The status which the upstream would have used, and the body that would have gone with it.

    `body` is a plain error body that readers of both families understand, so that whatever classifies plain errors
    can classify this one. It is the upstream's text: never log it, and scrub it before a client sees it.
    """

    status: int
    body: bytes = field(repr=False)


def fault_of(document: dict[str, Any]) -> ReportedError | None:
    """Return the fault that an event or a plain answer reports, None if it reports none."""
    error = _error_in(document)
    if error is None:
        return None
    return ReportedError(_status(error), orjson.dumps({"type": "error", "error": error}))


def relayable(body: bytes) -> bytes | None:
    """An upstream's error body as readers of both families understand it, None if it is not JSON.

    It stays as it came where it has the usual shape: an object whose `error` is an object.
    """
    error = error_of(body)
    if error is None:
        return None
    usual = body.lstrip()[:1] == b"{" and type(orjson.loads(body).get("error")) is dict
    return body if usual else orjson.dumps({"type": "error", "error": {"type": "invalid_request_error", **error}})


def code_in(body: bytes) -> str:
    """The code of an error body, or its type where it has none; "" if that is no plain word but a text."""
    error = error_of(body) or {}
    words = (error.get("code"), error.get("type"))
    return next((word for word in words if isinstance(word, str) and _CODE.fullmatch(word)), "")


def _error_in(document: dict[str, Any]) -> dict[str, Any] | None:
    error = document.get("error")
    if (type(error) is dict or type(error) is str) and error:
        return error_in(document)
    response = document.get("response")
    if type(response) is dict and type(response.get("error")) is dict:
        return dict(response["error"])
    # The Responses API has no envelope in a stream; vLLM has none at all.
    if document.get("type") == "error" or document.get("object") == "error":
        return error_in(document)
    return _error_of_choice(document.get("choices"))


def _error_of_choice(choices: Any) -> dict[str, Any] | None:
    """OpenRouter may say it in the first choice."""
    first = choices[0] if type(choices) is list and choices else None
    error = first.get("error") if type(first) is dict else None
    return error if type(error) is dict else None


def _status(error: dict[str, Any]) -> int:
    code = error.get("code")
    if type(code) is int and 400 <= code <= 599:
        return code
    return next((status for word in words_in(error) if (status := status_of(word)) is not None), 500)
