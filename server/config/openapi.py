"""The API's own document: OpenAPI 3.1, made of one description per operation.

A description tells what an operation takes and gives. Refusals need not be named: which of them there can be follows
from the role, the path and the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.config.shapes import Known, Maybe, Schema, Shape, Text, Thing

JSON, CSV, HTML = "application/json", "text/csv; charset=utf-8", "text/html; charset=utf-8"
VERSION = "3.1.0"

ERROR = Thing(
    {
        "error": Thing(
            {"message": Text(2000), "type": Text(100), "param": Maybe(Text(100)), "code": Text(100)},
            name="Refusal",
        )
    },
    name="Error",
)

REFUSALS = {
    400: "What was sent makes no sense; `param` names the part that is wrong.",
    401: "No credential, or one that opens nothing.",
    403: "The caller may not do this.",
    404: "There is no such thing, or it is not the caller's.",
    405: "Not by this method.",
    409: "It cannot be done as things stand; `message` says why.",
    413: "The body is too large.",
    415: "The body has another media type.",
    429: "Too many failures; `Retry-After` says for how long.",
    503: "The store is away; nothing, or not everything, was done.",
}


@dataclass(frozen=True, kw_only=True)
class Description:
    """One operation. `path` has its parameters in braces; `answer` None is an empty one.

    `gives` and `takes` are media types, of which only JSON has a shape. `needs` are parameters of the query that must
    be there, `query` those that may.
    """

    method: str
    path: str
    summary: str
    role: str
    answer: Shape | None = None
    status: int = 200
    gives: tuple[str, ...] = (JSON,)
    needs: Mapping[str, Shape] = field(default_factory=dict)
    query: Mapping[str, Shape] = field(default_factory=dict)
    body: Thing | None = None
    takes: str = JSON
    unready: bool = False  # whether 503 is an answer as well
    looks_up: bool = False  # whether what the query names may not be there

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def has_body(self) -> bool:
        return self.body is not None or self.takes != JSON

    @property
    def refusals(self) -> set[int]:
        """Which statuses there can be beside the answer's."""
        found = {400, 405, 503}
        if self.role != "public":
            found |= {401, 403, 429}
        if self.parameters or self.looks_up:
            found.add(404)
        if self.has_body:
            found |= {413, 415}
        if self.method != "GET":
            found |= {404, 409}
        return found


def document(title: str, descriptions: Iterable[Description]) -> dict[str, Any]:
    """The whole document. Its servers are where it was asked for."""
    known: Known = {}
    paths: dict[str, dict[str, Any]] = {}
    for each in descriptions:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, known)
    credentials = {"token": {"type": "http", "scheme": "bearer", "description": "A gatekeeper token."}}
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": "1", "description": "What can be asked of this gateway itself."},
        "paths": paths,
        "components": {"schemas": dict(sorted(known.items())), "securitySchemes": credentials},
    }


def _operation(each: Description, known: Known) -> dict[str, Any]:
    words = re.findall(r"\w+", each.path)
    operation: dict[str, Any] = {
        "operationId": "_".join((each.method.lower(), *words)),
        "summary": each.summary,
        "tags": [_tag(each)],
        "security": [] if each.role == "public" else [{"token": []}],
        "x-role": each.role,
        "parameters": [*map(_in_path, each.parameters), *_in_query(each, known)],
        "responses": _responses(each, known),
    }
    if each.has_body:
        schema = {} if each.body is None else each.body.schema(known)
        operation["requestBody"] = {"required": True, "content": {_bare(each.takes): {"schema": schema}}}
    return operation


def _tag(each: Description) -> str:
    """Under which heading it stands: "gateway", "asking", "me", "admin people"."""
    first, *words = each.path.strip("/").replace(".", "/").split("/")
    if first != "api":
        return "gateway"
    return {"me": "me", "admin": " ".join(words[:2])}.get(words[0], "asking")


def _in_path(name: str) -> Schema:
    schema = {"type": "string", "minLength": 1, "maxLength": 200}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(each: Description, known: Known) -> list[Schema]:
    return [
        {"name": name, "in": "query", "required": name in each.needs, "schema": it.schema(known)}
        for name, it in (*each.needs.items(), *each.query.items())
    ]


def _responses(each: Description, known: Known) -> dict[str, Any]:
    answers: dict[str, Any] = {str(each.status): _answer(each, "Done.", known)}
    if each.unready:
        answers["503"] = _answer(each, "Not now; the answer says why.", known)
    error = {"content": {JSON: {"schema": ERROR.schema(known)}}}
    refused = {str(status): {"description": REFUSALS[status], **error} for status in sorted(each.refusals)}
    return {**refused, **answers}


def _answer(each: Description, words: str, known: Known) -> dict[str, Any]:
    if each.answer is None:
        return {"description": words}
    shaped = {"schema": each.answer.schema(known)}
    return {"description": words, "content": {_bare(it): shaped if it == JSON else {"schema": {}} for it in each.gives}}


def _bare(media_type: str) -> str:
    return media_type.partition(";")[0]
