"""Small readers of a caller's JSON. What is not of its type is an `InvalidValue` that names its place."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from server.wire.errors import InvalidValue
from server.wire.translate.fields import Notes
from server.wire.translate.terms import Document, File, Image, Part, Text

PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF = "application/pdf"
PLAIN = "text/plain"
NO_ARGUMENTS: Document = {"type": "object", "properties": {}}
FREE_TEXT: Document = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def text_of(value: Any, where: str) -> str:
    if type(value) is not str:
        raise InvalidValue(where)
    return value


def list_of(value: Any, where: str) -> list[Any]:
    if type(value) is not list:
        raise InvalidValue(where)
    return value


def parts_in(content: Any, where: str, read: Callable[[Any, str], Iterable[Part]]) -> Iterator[Part]:
    """The parts of what a message says: one text, or a list whose entries `read` understands by their places."""
    if type(content) is str:
        yield Text(content)
        return
    for index, part in enumerate(list_of(content, where)):
        yield from read(part, f"{where}[{index}]")


def flag_of(value: Any, where: str) -> bool | None:
    if value is not None and type(value) is not bool:
        raise InvalidValue(where)
    return value


def number_of(value: Any, where: str) -> float | None:
    if value is not None and type(value) not in (int, float):
        raise InvalidValue(where)
    return None if value is None else value


def whole_of(value: Any, where: str) -> int | None:
    if value is not None and type(value) is not int:
        raise InvalidValue(where)
    return value


def object_of(value: Any, where: str) -> Document:
    if type(value) is not dict:
        raise InvalidValue(where)
    return value


def text_in(document: Document, name: str) -> str:
    """A text of an upstream's; empty if it is none."""
    value = document.get(name)
    return value if type(value) is str else ""


def objects_in(values: Any) -> list[Document]:
    """The objects of an upstream's list; none if it is none."""
    return [value for value in values if type(value) is dict] if type(values) is list else []


def texts_of(value: Any, where: str) -> tuple[str, ...]:
    """A text, or a list of them."""
    values = [value] if type(value) is str else list_of(value, where)
    return tuple(text_of(each, where) for each in values)


def picture_of(url: Any, where: str) -> Image:
    """A picture by its address, which may hold the picture itself (RFC 2397)."""
    media_type, data = _data_of(text_of(url, where), where)
    if data and media_type not in PICTURES:
        raise InvalidValue(where)
    return Image(media_type, data, "" if data else url, where)


def file_of(data: Any, name: str, where: str) -> File | Text:
    """A file by its bytes: a PDF, or text."""
    media_type, content = _data_of(text_of(data, where), where)
    if media_type in ("", PDF):
        return File(PDF, content or data, name=name, where=where)
    if media_type.startswith("text/"):
        return Text(_decoded(content, where))
    raise InvalidValue(where)


def described(description: str, form: Any, where: str) -> str:
    """What a tool that takes free text says of itself, where it has to be a function."""
    lines = [description, "The input is free text."]
    if type(form) is dict and form.get("definition"):
        syntax, definition = (text_of(form.get(name), f"{where}.format.{name}") for name in ("syntax", "definition"))
        lines.append(f"It follows this {syntax} grammar:\n{definition}")
    return "\n\n".join(line for line in lines if line)


def arguments_of(text: str, notes: Notes) -> Document:
    """The arguments of a call as an object. What a model has written need not be one."""
    try:
        value = orjson.loads(text or b"{}")
    except orjson.JSONDecodeError:
        value = None
    if type(value) is dict:
        return value
    notes.add("arguments", "they are no JSON object, and stand in one there")
    return {"arguments": text}


def _data_of(url: str, where: str) -> tuple[str, str]:
    """The type and the base64 of a `data:` address; empty if it is another one."""
    if not url.startswith("data:"):
        return "", ""
    head, comma, data = url[5:].partition(",")
    media_type, *parameters = head.split(";")
    if not comma or not data or "base64" not in parameters:
        raise InvalidValue(where)
    return media_type.lower(), data


def _decoded(data: str, where: str) -> str:
    try:
        return b64decode(data, validate=True).decode()
    except ValueError:
        raise InvalidValue(where) from None
