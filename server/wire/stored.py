"""The objects that a request asks the provider to keep, and the kept objects that it uses.

A provider keeps answers, files, containers and prompts for the account behind a key, and here many people share a key.
So an object is a person's only if the gateway has seen who made it, and it can be built upon only with the key that
made it. A body names objects in many places, and providers add new ones: so the names of fields decide, wherever they
stand, and not a list of places. Left out is what is not the provider's to read: a tool's arguments and schema,
metadata; and what an earlier answer merely cited.

The items of a response have ids, too. One that says something itself stands alone; one of which there is only the id is
a reference. A reasoning item with a summary is in between: the id may add the reasoning to it, so it may not be another
person's, and it passes where nothing is known of it.

Encrypted reasoning (`encrypted_content`) is no object: who holds it may use it. But only the organisation that made it
can read it, so it is known by a digest (`seal_of`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from server.wire.errors import InvalidValue

MOST_REFERENCES = 1_000  # of one request: each is looked up
LATEST_SEALS = 4  # of a conversation: the turns of one organisation follow each other
SEAL = 16  # bytes

_ID = re.compile(r"[!-~]{1,256}")
_ONE = frozenset(
    {
        "file_id", "container_id", "vector_store_id", "skill_id", "cached_content", "cachedContent", "preset",
        # Answers to compare a cache with, a tunnel to a private server, and for whom else a request is made.
        "comparison_response_id", "previous_message_id", "tunnel_id", "user_profile_id", "memory_store_id",
    }
)  # fmt: skip
_MANY = frozenset({"file_ids", "vector_store_ids", "collection_ids"})
_OBJECTS = frozenset({"container", "prompt", "audio", "voice"})  # as an object with an `id`
_FREE = frozenset(
    {
        "parameters", "input_schema", "input_examples", "schema", "arguments", "metadata", "logit_bias",
        "annotations", "citations",
    }
)  # fmt: skip
_CITED = ("file_search_call", "code_execution_tool_result")  # ends of types
# A body without any of these names no object. An escape might spell one of them.
_HINT = re.compile(
    rb"file_id|container|vector_store|collection_ids|skill_id|cached_?[cC]ontent|comparison_response|previous_message"
    rb'|tunnel_id|user_profile|memory_store|"(?:preset|prompt|audio|voice)"|\\u00'
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A kept object that a request names. `needed`: the request says nothing there without it."""

    param: str
    id: str = field(repr=False)
    needed: bool = True


def id_in(document: dict[str, Any]) -> str | None:
    """Return the id of an object that can be asked for later, None if it has none."""
    value = document.get("id")
    return value if type(value) is str and _ID.fullmatch(value) else None


def seal_of(encrypted: str) -> bytes:
    """Return a digest of encrypted content, by which it is known again."""
    return blake2b(encrypted.encode(), digest_size=SEAL).digest()


def asks_to_keep(document: dict[str, Any], fields: Iterable[str]) -> str | None:
    """Return the first of these fields which asks the provider to keep something. Raises InvalidValue."""
    asking = [name for name in fields if _asks(name, document.get(name))]
    return asking[0] if asking else None


def references(body: bytes, document: dict[str, Any], following: Iterable[str]) -> tuple[Reference, ...]:
    """Return the kept objects that a request names. Raises InvalidValue.

    `following` are the fields that name what the whole request continues; only an endpoint that has some has items.
    """
    found = [] if (continued := _continued(document, following)) is None else [continued]
    if following:
        found += _items(document.get("input"))
    if _HINT.search(body):
        found += _objects(document)
    unique = dict.fromkeys(found)
    if len(unique) > MOST_REFERENCES:
        raise InvalidValue(found[-1].param)
    return tuple(unique)


def seals(document: dict[str, Any]) -> tuple[bytes, ...]:
    """Return the seals of the latest encrypted items among the input of a response, the last one first."""
    items = document.get("input")
    texts = (each["encrypted_content"] for each in reversed(items if type(items) is list else []) if _is_sealed(each))
    return tuple(seal_of(text) for text, _ in zip(texts, range(LATEST_SEALS), strict=False))


def _is_sealed(item: Any) -> bool:
    return type(item) is dict and type(item.get("encrypted_content")) is str


def _continued(document: dict[str, Any], fields: Iterable[str]) -> Reference | None:
    found: Reference | None = None
    for name in fields:
        value = document.get(name)
        if value is None:
            continue
        if found is not None:  # the provider allows one of them
            raise InvalidValue(name)
        named = id_in(value if type(value) is dict else {"id": value})
        if named is None:
            raise InvalidValue(name)
        found = Reference(name, named)
    return found


def _items(items: Any) -> Iterator[Reference]:
    for item in items if type(items) is list else ():
        if type(item) is dict and item.get("id") is not None:
            kind = item.get("type")
            if kind == "item_reference" or (kind is None and "role" not in item):
                yield _reference("item_reference", item["id"])
            elif kind == "reasoning" and not (item.get("encrypted_content") or item.get("content")):
                yield _reference("input[].id", item["id"], needed=not item.get("summary"))
            elif kind == "image_generation_call" and not item.get("result"):
                yield _reference("input[].id", item["id"])


def _objects(document: dict[str, Any]) -> Iterator[Reference]:
    """Yield what the fields of the body name, at any depth. The body itself has no type, whatever it says."""
    pending: list[tuple[Any, str]] = [(document, "")]
    for node, kind in pending:  # it grows while we walk
        if type(node) is list:
            pending += [(child, _kind(child)) for child in node if type(child) is dict or type(child) is list]
        elif not kind.endswith(_CITED):
            for name, value in node.items():
                if (type(value) is dict or type(value) is list) and not _is_free(name, kind):
                    pending.append((value, _kind(value)))
                if name in _ONE or name in _MANY or name in _OBJECTS:
                    yield from _named(name, value, kind)


def _kind(node: Any) -> str:
    return str(node.get("type")) if type(node) is dict else ""


def _is_free(name: str, kind: str) -> bool:
    """Whether a field holds what only the caller and their tools read."""
    return name in _FREE or (name == "input" and kind.endswith("tool_use"))


def _named(name: str, value: Any, kind: str) -> Iterator[Reference]:
    """Yield what one field names. `kind` is the type of the object in which it stands."""
    if name in _OBJECTS:
        if type(value) is dict:
            value = value.get("id")
        elif name != "container":  # the others are texts, or public names
            return
    if name == "skill_id" and _is_public(value, kind):
        return
    for each in value if name in _MANY and type(value) is list else [value]:
        if each is not None:
            yield _reference(name, each)


def _is_public(skill: Any, kind: str) -> bool:
    """Anthropic says by the type that a skill is its own, OpenAI by the beginning of its name."""
    return kind == "anthropic" or (type(skill) is str and skill.startswith("openai-"))


def _reference(param: str, value: Any, *, needed: bool = True) -> Reference:
    if type(value) is not str:
        raise InvalidValue(param)
    return Reference(param, value, needed)


def _asks(name: str, value: Any) -> bool:
    if name != "conversation" and value is not None and type(value) is not bool:
        raise InvalidValue(name)
    return value is not None and value is not False
