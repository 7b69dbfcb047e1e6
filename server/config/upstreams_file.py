"""The YAML file of upstreams.

    upstreams:
      - name: university
        dialect: openai                 # or anthropic, or [openai, anthropic]
        base_url: https://api.openai.com/v1
        key_env: UNIVERSITY_KEY         # the name of a variable; or keys: [sk-..., sk-...]
        rpm: 500

It is read strictly: an unknown field, a wrong type or a name used twice is a mistake, and all of them are reported,
each with its place (`upstreams[2].rpm`). No mistake repeats what the file says, because the file holds keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from server.config import parsers
from server.config.specs import Headers, Secret, UpstreamSpec
from server.config.upstream_kinds import KINDS
from server.httpclient.proxies import Proxies

DIALECTS = ("openai", "anthropic")
MOST_HEADERS = 32
# The headers that are ours to send, or of one connection alone.
_OURS = frozenset(
    {
        *("authorization", "api-key", "x-api-key", "x-goog-api-key", "proxy-authorization", "cookie", "host"),
        *("content-type", "content-length", "content-encoding", "transfer-encoding", "accept", "accept-encoding"),
        *("connection", "proxy-connection", "keep-alive", "te", "trailer", "upgrade", "expect"),
    }
)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE = re.compile(r"[!-~](?:[ -~]{0,4094}[!-~])?")
_VERSION = re.compile(r"[A-Za-z0-9.-]{1,32}")
_MODEL = re.compile(r"[!-<>-~]{1,256}")


class _Loader(yaml.SafeLoader):
    """YAML lets the last of two equal fields win in silence; here they are a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        if len(names) != len(set(names)):
            raise yaml.constructor.ConstructorError(None, None, "a field stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_upstreams(path: Path, environ: Mapping[str, str], slots: int) -> tuple[list[UpstreamSpec], list[str]]:
    """The upstreams of the file that can be used, and the mistakes. `slots` counts where the file says nothing."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader with one more rule
    except (OSError, UnicodeDecodeError):
        return [], ["UPSTREAMS_FILE: expected a readable text file in UTF-8"]
    except yaml.YAMLError as error:
        return [], [f"UPSTREAMS_FILE{_line(error)}: expected YAML, and no field twice"]
    entries = document.get("upstreams") if isinstance(document, dict) and set(document) == {"upstreams"} else None
    if not isinstance(entries, list):
        return [], ["UPSTREAMS_FILE: expected one field `upstreams` with a list"]
    read = [_Entry(f"upstreams[{number}]", entry, environ, slots) for number, entry in enumerate(entries)]
    return [each.spec for each in read if each.spec], [line for each in read for line in each.mistakes]


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" line {mark.line + 1}" if mark else ""


def duplicates(upstreams: Sequence[UpstreamSpec]) -> Iterator[str]:
    """Names and keys that are used twice. The pool knows a key by its fingerprint and would count its limits twice."""
    names: set[str] = set()
    keys: set[str] = set()
    for upstream in upstreams:
        if upstream.name in names:
            yield f"upstream {upstream.name}: the name is used twice"
        names.add(upstream.name)
        for key in upstream.keys:
            known = key.carrying(upstream.headers).fingerprint  # of another account, it is another key
            if known in keys:
                yield f"upstream {upstream.name}: the key {known} is named twice"
            keys.add(known)


def whole(spec: UpstreamSpec) -> UpstreamSpec:
    """The specification with what its kind makes of it. Raises ValueError, which names the field."""
    kind = spec.row
    if not kind.dialects.issuperset(spec.dialects):
        raise ValueError(f"kind: {kind.name} speaks {' and '.join(sorted(kind.dialects))}")
    if spec.api_version and not kind.dated:
        raise ValueError("api_version: expected nothing, only azure has one")
    if kind.dated and urlsplit(spec.base_url).path.partition("/openai/")[2] not in ("", "v1"):
        raise ValueError(f"base_url: expected {kind.example}, the deployments are named by `models` or `names`")
    if spec.kind and not (kind.lists_served or spec.models or spec.names):
        raise ValueError("models: expected, because azure lists what could be deployed; or `names`")
    return spec if kind.lists_served or spec.models else replace(spec, models=tuple(spec.theirs))


class _Entry:
    """One upstream of the file: its spec if it can be used, and its mistakes."""

    def __init__(self, place: str, entry: object, environ: Mapping[str, str], slots: int) -> None:
        self.spec: UpstreamSpec | None = None
        self.mistakes: list[str] = []
        self._place, self._environ = place, environ
        if not isinstance(entry, dict):
            self.mistakes.append(f"{place}: expected fields such as name, dialect, base_url and keys")
            return
        values = {"slots": slots, **self._values(entry)}
        self._require(entry)
        if not self.mistakes:
            try:
                self.spec = whole(UpstreamSpec(**values))
            except ValueError as error:
                self.mistakes.append(f"{place}.{error}")

    def _values(self, entry: dict[object, object]) -> dict[str, Any]:
        values = {}
        for name, value in entry.items():
            if not isinstance(name, str) or name not in FIELDS:
                # Not the name itself: with a slip of the indentation it may be a key.
                self.mistakes.append(f"{self._place}: unknown field; the fields are {', '.join(FIELDS)}")
                continue
            target, check = FIELDS[name]
            try:
                values[target] = check(value, self._environ)
            except ValueError as error:
                self.mistakes.append(f"{self._place}.{name}: {error}")
        return values

    def _require(self, entry: dict[object, object]) -> None:
        for name in ("name", "dialect", "base_url"):
            if name not in entry:
                self.mistakes.append(f"{self._place}.{name}: expected, but missing")
        if ("keys" in entry) == ("key_env" in entry):
            self.mistakes.append(f"{self._place}: expected either keys or key_env")


Check = Callable[[object, Mapping[str, str]], Any]


def _text(value: object, _: Mapping[str, str]) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("expected a text")
    return value.strip()


def _texts(value: object, environ: Mapping[str, str]) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("expected a list of texts")
    return tuple(_text(each, environ) for each in value)


def _dialects(value: object, _: Mapping[str, str]) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if not given or any(each not in DIALECTS for each in given) or len(given) != len(set(given)):
        raise ValueError("expected openai, anthropic or [openai, anthropic]")
    return tuple(given)


def _base_url(value: object, _: Mapping[str, str]) -> str:
    return parsers.base_url(value if isinstance(value, str) else "")


def _keys(value: object, environ: Mapping[str, str]) -> tuple[Secret, ...]:
    keys = tuple(parsers.key(each) for each in _texts(value, environ))
    if not keys:
        raise ValueError("expected at least one key")
    return keys


def _key_env(value: object, environ: Mapping[str, str]) -> tuple[Secret, ...]:
    keys = parsers.words(environ.get(_text(value, environ), ""))
    if not keys:
        raise ValueError("expected the name of a variable that holds a key")
    return tuple(parsers.key(each) for each in keys)


def _whole(high: int) -> Check:
    def check(value: object, _: Mapping[str, str]) -> int:
        return parsers.whole(1, high)("" if isinstance(value, bool) else str(value))

    return check


def _flag(value: object, _: Mapping[str, str]) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected yes or no")
    return value


def _usd(value: object, _: Mapping[str, str]) -> int:
    return parsers.micro_usd("" if isinstance(value, bool) else str(value))


def _proxies(value: object, environ: Mapping[str, str]) -> Proxies:
    """`none` goes directly, whatever the others do."""
    found = None if value == "none" else parsers.proxy(_text(value, environ))
    return Proxies(found, found)


def _kind(value: object, _: Mapping[str, str]) -> str:
    if not isinstance(value, str) or value not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}")
    return value


def _api_version(value: object, _: Mapping[str, str]) -> str:
    # YAML reads 2024-10-21 as a day.
    text = str(value) if isinstance(value, str | date) else ""
    if not _VERSION.fullmatch(text):
        raise ValueError("expected a version such as 2024-10-21 or preview")
    return text


def _names(value: object, _: Mapping[str, str]) -> tuple[str, ...]:
    """Pairs of a mapping, or texts of the form `ours=theirs`, as other front ends write them."""
    pairs = value.items() if isinstance(value, dict) else map(_split, value) if isinstance(value, list) else []
    found = [(ours, theirs) for ours, theirs in pairs if isinstance(ours, str) and isinstance(theirs, str)]
    good = all(_MODEL.fullmatch(ours) and _MODEL.fullmatch(theirs.replace("=", "-")) for ours, theirs in found)
    if not isinstance(value, dict | list) or len(found) != len(value) or not good or len(dict(found)) != len(found):
        raise ValueError("expected names of models, each with the upstream's own: gpt-5: my-deployment")
    return tuple(f"{ours}={theirs}" for ours, theirs in found)


def _split(pair: object) -> tuple[str, str]:
    ours, _, theirs = pair.partition("=") if isinstance(pair, str) else ("", "", "")
    return ours, theirs


def _headers(value: object, environ: Mapping[str, str]) -> Headers:
    """Headers by name, or as texts of the form `Name: value`. A value may be the name of a variable: {env: NAME}.

    No mistake repeats a value.
    """
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = {name: text for name, _, text in (each.partition(": ") for each in value)}
    if not isinstance(value, dict) or len(value) > MOST_HEADERS:
        raise ValueError(f"expected at most {MOST_HEADERS} headers, each with its value")
    found: dict[str, Secret] = {}
    for name, said in value.items():
        if not isinstance(name, str) or not _HEADER.fullmatch(name) or name.lower() in _OURS:
            raise ValueError("expected names of headers, none that names a key, a body or a connection")
        text = environ.get(str(said["env"]), "") if isinstance(said, dict) and set(said) == {"env"} else said
        if not isinstance(text, str) or not _VALUE.fullmatch(text) or name.lower() in found:
            raise ValueError("expected each header once, with a value in ASCII or {env: NAME}")
        found[name.lower()] = Secret(text)
    return tuple(sorted(found.items(), key=lambda header: header[0]))


def _ca_file(value: object, environ: Mapping[str, str]) -> str:
    return parsers.ca_file(_text(value, environ))


# The name of a field in the file: its name in UpstreamSpec, and what it must be.
FIELDS: dict[str, tuple[str, Check]] = {
    "name": ("name", _text),
    "dialect": ("dialects", _dialects),
    "base_url": ("base_url", _base_url),
    "keys": ("keys", _keys),
    "key_env": ("keys", _key_env),
    "models": ("models", _texts),
    "slots": ("slots", _whole(10_000)),
    "responses": ("responses", _flag),
    "rpm": ("rpm", _whole(10**12)),
    "tpm": ("tpm", _whole(10**12)),
    "itpm": ("itpm", _whole(10**12)),
    "otpm": ("otpm", _whole(10**12)),
    "rpd": ("rpd", _whole(10**12)),
    "organisation": ("organisation", _text),
    "owner": ("owner", _text),
    "groups": ("groups", _texts),
    "monthly_cap_usd": ("monthly_cap_micro_usd", _usd),
    "proxy": ("proxies", _proxies),
    "ca_file": ("ca_file", _ca_file),
    "kind": ("kind", _kind),
    "api_version": ("api_version", _api_version),
    "names": ("names", _names),
    "headers": ("headers", _headers),
}
