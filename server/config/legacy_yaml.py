"""`application.yaml` of SSEHUB's openai-api-proxy (Java), read where it lies beside the gateway.

A few of its properties become the names that its environment had (`legacy_env.py` knows those); each other one is named
with what to do. A file of that name without `forward` is another program's, and is left alone. No note holds a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

LARGEST = 1 << 20  # bytes
READ = {
    "forward.token": "FORWARD_TOKEN",
    "forward.url": "FORWARD_URL",
    "server.port": "SERVER_PORT",
    "server.address": "BIND_ADDRESS",
}
# What to do about the others, by how they begin; the first that fits.
INSTEAD = {
    "spring.datasource": "STORE_URL says where things are kept; `import java FILE` brings its users and prices",
    "spring.jpa": "STORE_URL says where things are kept; `import java FILE` brings its users and prices",
    "logging": "LOG_LEVEL and LOG_FORMAT say what is logged",
    "server.ssl": "a proxy in front speaks TLS; docs/deploy has samples",
    "": "docs/settings.md lists the settings that there are",
}


def read_application(path: Path | None) -> tuple[dict[str, str], list[str]]:
    """The names and values of a file that may be missing, and notes for the operator."""
    if path is None or not path.is_file():
        return {}, []
    try:
        if path.stat().st_size > LARGEST:
            return {}, []
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return {}, [f"{path.name}: not used, it is no readable YAML"]
    if not isinstance(document, dict) or not any(str(name).startswith("forward") for name in document):
        return {}, []
    found: dict[str, str] = {}
    notes = []
    for name, value in _flat(document):
        if name not in READ:
            why = next(words for beginning, words in INSTEAD.items() if name.startswith(beginning))
            notes.append(f"{path.name}, {name}: not used, {why}")
        elif "${" in value:
            notes.append(f"{path.name}, {name}: not used, say {READ[name]} in the environment")
        elif value:
            found[READ[name]] = value
    return found, notes


def _flat(document: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each property by its whole name, with points between."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, "" if document is None else str(document)
