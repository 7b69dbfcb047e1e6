"""Which conversation a request belongs to, named so that no one can read it.

A provider caches the beginning of a conversation, so the next turn should find the key that had the turn before. Some
clients name their conversations: by a header, or by `prompt_cache_key`. The others are known by what does not change
from turn to turn: the system prompt and the first message of the user. Of both only the text counts, not how it is
wrapped, since clients rewrap what they send again: a string becomes a list of parts, `cache_control` wanders from
message to message, and pictures are re-encoded.

The name is a digest. It is for affinity only: two conversations that get the same name merely share a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

# The first one that a request has, counts; none of them is forwarded.
SESSION_HEADERS = (
    "X-Fairgate-Session",  # our own, for authors of clients
    "X-Claude-Code-Session-Id",  # Claude Code
    "Session-Id",  # Codex
    "session_id",  # Codex in its earlier versions; many proxies drop names with an underscore
    "X-Session-Id",  # OpenCode and others
)
LONGEST = 64 * 1024  # characters that are read of the system prompt, and as many of the first message
DIGEST = 16  # bytes
PREAMBLE = 16  # messages in which the first of the user must be found

_SESSION_NAMES = tuple(name.lower() for name in SESSION_HEADERS)
_CONVERSING = frozenset({"chat", "completions", "messages", "responses", "compact"})
_TURNS = {"chat": "messages", "messages": "messages", "responses": "input", "compact": "input"}
_SYSTEM = {"messages": "system", "responses": "instructions", "compact": "instructions"}  # where it is no turn


def conversation_of(kind: str, document: dict[str, Any], session: str | None) -> bytes:
    """Return a digest of 16 bytes that names the conversation, empty if there is nothing to go by. Never raises.

    `kind` is `Endpoint.kind`; `session` is what the client said in one of the `SESSION_HEADERS`.
    """
    if kind not in _CONVERSING:
        return b""
    if session:
        return _digest(b"session", session)
    key = document.get("prompt_cache_key")
    if type(key) is str and key:
        return _digest(b"key", key[:LONGEST])
    before, first = _beginning(kind, document)
    return _digest(b"text", before, first) if before or first else b""


def bind(conversation: bytes, person: str, model: str) -> bytes:
    """The digest of this person's conversation with this model: no other person can make the same one."""
    return _digest(conversation, person, model) if conversation else b""


def session_of(headers: Iterable[tuple[str, str]]) -> str | None:
    """Return how the client itself names the session, from all its headers."""
    named = {name: value for each, value in headers if (name := each.lower()) in _SESSION_NAMES and value}
    return next((named[name] for name in _SESSION_NAMES if name in named), None) if named else None


def _digest(what: bytes, *texts: str) -> bytes:
    seal = blake2b(what, digest_size=DIGEST)
    for text in texts:
        seal.update(b"\0" + text.encode())
    return seal.digest()


def _beginning(kind: str, document: dict[str, Any]) -> tuple[str, str]:
    """Return the text before the first message of the user, and the text of that message."""
    if kind not in _TURNS:
        return "", ""
    before = [document.get(_SYSTEM.get(kind, ""))]
    turns = document.get(_TURNS[kind])
    if type(turns) is not list:
        return _text(before), _text([turns])
    for turn in turns[:PREAMBLE]:
        if type(turn) is dict:
            content = turn.get("content")
            if turn.get("role") == "user":
                return _text(before), _text([content])
            before.append(content)
    return _text(before), ""


def _text(contents: Iterable[Any]) -> str:
    """Join the texts of some contents, no more than `LONGEST` characters."""
    pieces, left = [], LONGEST
    for content in contents:
        for text in _texts(content):
            pieces.append(text[:left])
            left -= len(text)
            if left <= 0:
                return "".join(pieces)
    return "".join(pieces)


def _texts(content: Any) -> Iterator[str]:
    if type(content) is str:
        yield content
    elif type(content) is list:
        for part in content:
            text = part.get("text") if type(part) is dict else part
            if type(text) is str:
                yield text
