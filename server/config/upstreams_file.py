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

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from server.config import parsers
from server.config.specs import Secret, UpstreamSpec
from server.httpclient.proxies import Proxies

DIALECTS = ("openai", "anthropic")


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
    keys: set[Secret] = set()
    for upstream in upstreams:
        if upstream.name in names:
            yield f"upstream {upstream.name}: the name is used twice"
        names.add(upstream.name)
        for key in upstream.keys:
            if key in keys:
                yield f"upstream {upstream.name}: the key {key.fingerprint} is named twice"
            keys.add(key)


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
            self.spec = UpstreamSpec(**values)

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
}
