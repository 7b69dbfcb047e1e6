"""The name of the person that a provider sees: none, or a pseudonym that only this gateway can read.

Clients may name their user to the provider: `user` and `safety_identifier` (OpenAI), `metadata.user_id` (Anthropic).
Providers ask for it so that they can stop one person instead of all who share the key. So what a client wrote
there is replaced by a pseudonym: the same for all requests of a person, and without the key that it was made with it
leads to no person. A request that names no person gets no pseudonym.

Nothing else changes: the values are cut out of the bytes and replaced there. The body has been found to be strict JSON
without duplicate names, so a small scanner that only looks for the ends of values cannot be led astray.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Literal

import orjson

from server.wire import multipart
from server.wire.request import Request

Manner = Literal["pseudonym", "strip", "pass"]

FIELDS = frozenset(("user", "safety_identifier"))
_PURPOSE = b"fairgate: names for providers"

# These are for bodies whose escapes have been blanked: there a string ends at the next quote.
_NAME = re.compile(rb'[\s,]*+("[^"]*+")\s*+:\s*+')
_SCALAR = re.compile(rb'"[^"]*+"|[^\s,\]}]++')
_UP_TO_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"[^"]*+")*+')
_COMMA = re.compile(rb"\s*+,\s*+")


@dataclass(frozen=True, slots=True)
class Identity:
    """How people are named upstream. `key` makes the pseudonyms."""

    manner: Manner = "strip"
    key: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, manner: Manner, pepper: bytes) -> Identity:
        """The key is derived from the pepper, so that the pseudonyms last as long as the tokens do."""
        return cls(manner, hmac.digest(pepper, _PURPOSE, sha256))

    def applied(self, request: Request, person_id: str) -> Request:
        """The request as the provider may see it. One without a person's name is returned as it is."""
        if self.manner == "pass" or not request.names_person:
            return request
        name = self.pseudonym(person_id) if self.manner == "pseudonym" else None
        if request.endpoint.media == "multipart":
            body = multipart.renamed(request.body, request.content_type, FIELDS, name)
        else:
            body = stripped(request.body) if name is None else named(request.body, name)
        return replace(request, body=body)

    def pseudonym(self, person_id: str) -> str:
        """A person's name for providers."""
        return "fg-" + hmac.digest(self.key, person_id.encode(), sha256).hex()[:32]


def named(body: bytes, name: str) -> bytes:
    """The body with this name in each of those fields. A null stays: it is no name."""
    for member in _members_that_name(body):
        if body[member.value : member.end] != b"null":
            body = body[: member.value] + orjson.dumps(name) + body[member.end :]
    return body


def stripped(body: bytes) -> bytes:
    """The body without those fields."""
    for member in _members_that_name(body):
        start, end = _with_comma(body, member)
        body = body[:start] + body[end:]
    return body


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a member of an object stands: its object's brace, its name, its value, and what follows that."""

    brace: int
    start: int
    value: int
    end: int


def _members_that_name(body: bytes) -> list[_Member]:
    """The members to change, the last one first: so each may be changed without moving those before it."""
    blanked = body.replace(b"\\\\", b"__").replace(b'\\"', b"__")  # none is longer or shorter than it was
    found = []
    for name, member in _members(body, blanked, body.index(b"{")):
        if name in FIELDS:
            found.append(member)
        elif name == "metadata" and body[member.value] == ord("{"):
            found += [inner for name, inner in _members(body, blanked, member.value) if name == "user_id"]
    return found[::-1]


def _members(body: bytes, blanked: bytes, brace: int) -> Iterator[tuple[str, _Member]]:
    """The members of the object that begins at `brace`."""
    at = brace + 1
    while (found := _NAME.match(blanked, at)) is not None:
        at = _end_of_value(blanked, found.end())
        start, end = found.span(1)
        yield orjson.loads(body[start:end]), _Member(brace, start, found.end(), at)


def _end_of_value(blanked: bytes, at: int) -> int:
    if blanked[at] not in b"{[":
        scalar = _SCALAR.match(blanked, at)
        assert scalar is not None, "the body is JSON"
        return scalar.end()
    depth = 0
    while True:
        found = _UP_TO_BRACKET.match(blanked, at)
        assert found is not None, "it matches nothing, too"
        at = found.end() + 1
        depth += 1 if blanked[at - 1] in b"{[" else -1
        if not depth:
            return at


def _with_comma(body: bytes, member: _Member) -> tuple[int, int]:
    """The bytes to cut with a member: its own and the comma behind it, or before the last one."""
    if behind := _COMMA.match(body, member.end):
        return member.start, behind.end()
    before = body.rfind(b",", member.brace, member.start)
    return (member.start if before < 0 else before), member.end
