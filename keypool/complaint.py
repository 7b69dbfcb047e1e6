"""An upstream's error, whatever its shape: the words that a machine can read, and the message.

Providers wrap an error in `error`, in a list (Gemini), beside an error that is only a text (xAI, Ollama), in nothing at
all (vLLM, Mistral), in `detail` (FastAPI), or in a header (Amazon). A firewall in front of them answers with a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from keypool.codes import CODES, Fault


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error. `message` is in lower case; it may repeat its caller, so it proves nothing against a key."""

    faults: frozenset[Fault] = frozenset()
    param: str = ""
    message: str = ""
    page: bool = False  # no JSON but a web page: something in front of the provider speaks
    moderated: bool = False  # it lists what a moderation found
    held_back: bool = False  # credit is reserved for what runs at present

    def blames(self, *faults: Fault) -> bool:
        """Do its words, the message left out, blame one of these?"""
        return not self.faults.isdisjoint(faults)

    def begins(self, phrases: tuple[str, ...]) -> bool:
        """Does the message begin so? One that names a field ("messages.0.role: ...") may repeat the caller's words."""
        return self.message.startswith(phrases) and ": " not in self.message


def complaint_of(headers: Mapping[str, str], body: bytes) -> Complaint:
    """Read an error. Never raises."""
    error = error_of(body)
    if error is None:
        return Complaint(_faults(_header(headers)), page=_is_page(headers, body))
    metadata = _object(error.get("metadata"))
    message, param = error.get("message"), error.get("param")
    return Complaint(
        faults=_faults((*words_in(error), *_header(headers))),
        param=param if isinstance(param, str) else "",
        message=message.lower() if isinstance(message, str) else "",
        moderated=bool(metadata.get("reasons") or metadata.get("flagged_input") or metadata.get("patterns")),
        held_back=metadata.get("limit_source") == "openrouter_in_flight_budget",
    )


def error_of(body: bytes) -> dict[str, Any] | None:
    """The error in a body as one object with `message`, `type`, `code` and `param` as far as they are there; else None.

    Fields beside the error (xAI's `code`, Amazon's `__type`) are moved into it.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    return error_in(document) if isinstance(document, dict) else None


def error_in(document: dict[str, Any]) -> dict[str, Any]:
    """The same of a document that is known to be an error."""
    error = document.get("error")
    if isinstance(error, dict):
        return error
    flat = {name: value for name, value in document.items() if name in ("message", "type", "code", "param", "metadata")}
    if flat.get("type") == "error":
        del flat["type"]  # the envelope's
    if isinstance(document.get("__type"), str):
        flat.setdefault("type", document["__type"].rpartition("#")[2])
    if "message" not in flat:
        texts = (document.get(name) for name in ("error", "detail", "msg", "Message"))
        flat["message"] = next((text for text in texts if isinstance(text, str)), "")
    return flat


def words_in(error: dict[str, Any]) -> Iterator[str]:
    """Every word of an error that a machine is meant to read."""
    details = error.get("details")
    inner = [details] if isinstance(details, dict) else details if isinstance(details, list) else []
    places = [(error, ("code", "type", "status")), (_object(error.get("innererror")), ("code",))]
    places += [(_object(each), ("reason", "error_code")) for each in inner]
    places += [(_object(error.get("metadata")), ("error_type",))]
    for place, names in places:
        yield from (value for name in names if isinstance(value := place.get(name), str))


def _faults(words: Iterable[str]) -> frozenset[Fault]:
    return frozenset(CODES[word].fault for word in words if word in CODES)


def _header(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Amazon's: `ThrottlingException:http://internal...`."""
    return (headers.get("x-amzn-errortype", "").partition(":")[0],)


def _is_page(headers: Mapping[str, str], body: bytes) -> bool:
    kind = headers.get("content-type", "").lower()
    return "html" in kind or body.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
