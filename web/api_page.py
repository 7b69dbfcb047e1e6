"""The API's OpenAPI document as a page: what each operation takes and gives, in one long list to search in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from web import environment as press
from web.view import Frame

Json = Mapping[str, Any]

ROLES = {
    "public": "Without a token.",
    "caller": "With a token.",
    "person": "With a token of one's own, for what is one's own.",
    "admin": "With an administrator's token.",
}


@dataclass(frozen=True, slots=True)
class SchemaMember:
    """A parameter, or a member of a body or an answer."""

    name: str
    kind: str
    where: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class OperationEntry:
    """One operation."""

    method: str
    path: str
    slug: str
    summary: str
    role: str
    parameters: tuple[SchemaMember, ...]
    body: tuple[SchemaMember, ...]
    answers: tuple[tuple[str, str], ...]  # status, words


def html(frame: Frame, document: Json) -> bytes:
    """The page, UTF-8."""
    tags: dict[str, list[OperationEntry]] = {}
    for entry, tag in _entries(document):
        tags.setdefault(tag, []).append(entry)
    schemas = {name: tuple(_members(document, schema)) for name, schema in document["components"]["schemas"].items()}
    return press.printed("api.html", frame, "docs", tags=tags, schemas=schemas)


def _entries(document: Json) -> Iterator[tuple[OperationEntry, str]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield _entry(document, path, method, operation), operation["tags"][0]


def _entry(document: Json, path: str, method: str, operation: Json) -> OperationEntry:
    content = operation.get("requestBody", {}).get("content", {})
    bodies = [_body(document, media, each["schema"]) for media, each in content.items()]
    return OperationEntry(
        method=method.upper(),
        path=path,
        slug=operation["operationId"],
        summary=operation["summary"],
        role=ROLES[operation["x-role"]],
        parameters=tuple(
            SchemaMember(each["name"], kind(each["schema"]), each["in"], each["required"])
            for each in operation["parameters"]
        ),
        body=bodies[0] if bodies else (),
        answers=tuple((status, _said(answer)) for status, answer in operation["responses"].items()),
    )


def _body(document: Json, media: str, schema: Json) -> tuple[SchemaMember, ...]:
    members = tuple(_members(document, schema))
    return members or (SchemaMember("the body", f"{media}, {kind(schema)}", "", required=True),)


def _members(document: Json, schema: Json) -> Iterator[SchemaMember]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][_name(schema)]
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        yield SchemaMember(name, kind(each), "", name in required)


def _said(answer: Json) -> str:
    kinds = [f"{kind(each['schema'])}" for each in answer.get("content", {}).values()]
    return " ".join((answer["description"], *(f"({each})" for each in kinds if each != "Error")))


def kind(schema: Json) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return _name(schema)
    if "anyOf" in schema:
        return " or ".join(map(kind, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"“{word}”" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}"
    if schema.get("format") == "date-time":
        return "time with a zone"
    if schema.get("type") == "object" and schema.get("properties"):
        return "object of " + ", ".join(schema["properties"])
    return {"integer": "whole number", "boolean": "true or false", "string": "text"}.get(
        schema.get("type", "anything"), str(schema.get("type", "anything"))
    )


def _name(schema: Json) -> str:
    return str(schema["$ref"]).rpartition("/")[2]
