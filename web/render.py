"""A snapshot goes in, bytes come out: the status page, its JSON twin, error pages and static files.

Everything is loaded from the package when this module is imported, so that a missing file fails at the start and not
at a visitor. Templates escape by default and refuse undefined names; no page has inline script or style, so that the
strict policy below holds for all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined, Template

from web import words
from web.view import KEY_STATES, ModelView, StatusView

# `connect-src` is for live.js, which asks this very page for fresh numbers.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_CONTENT_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def status_html(view: StatusView) -> bytes:
    """The public page, UTF-8."""
    return _page("status.html", view=view, headline=words.headline(view))


def status_json(view: StatusView) -> bytes:
    """The same facts for programs. Keys are never missing and never renamed; new ones may be added."""
    return json.dumps(_as_dict(view), indent=2).encode()


def error_page(status: int, message: str) -> bytes:
    """A page that says what went wrong; `message` is a sentence of ours, never what a caller sent."""
    return _page("error.html", status=status, phrase=_phrase(status), message=message)


def static(name: str) -> tuple[bytes, str, str] | None:
    """(content, content type, quoted ETag) of a file of the page, None if there is none of that name."""
    return _STATIC.get(name)


def _as_dict(view: StatusView) -> dict[str, Any]:
    return {
        "title": view.title,
        "state": view.state,
        "demo": view.demo,
        "uptime_seconds": int(view.uptime_seconds),
        "now_ms": view.now_ms,
        "base_url": view.base_url,
        "waiting": view.waiting,
        "running": view.running,
        "checking": None if view.checking is None else {"done": view.checking[0], "of": view.checking[1]},
        "models": [_model_as_dict(model) for model in view.models],
        "today": {
            "requests": view.requests_today,
            "tokens_in": view.tokens_in_today,
            "tokens_out": view.tokens_out_today,
        },
    }


def _model_as_dict(model: ModelView) -> dict[str, Any]:
    return {
        "name": model.name,
        "condition": model.condition,
        "waiting": model.waiting,
        "running": model.running,
        "slots": model.slots,
        "keys": {state: model.keys.get(state, 0) for state in KEY_STATES},
        "wait_p50_seconds": _rounded(model.wait_p50_seconds),
        "wait_p99_seconds": _rounded(model.wait_p99_seconds),
        "jain": round(model.jain, 4),
        "gap": round(model.gap, 3),
        "gap_bound": round(model.gap_bound, 3),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _page(name: str, **values: object) -> bytes:
    # A lone surrogate in a model's name has no UTF-8 form: it becomes a question mark instead of an error.
    return _TEMPLATES[name].render(**values).encode("utf-8", "replace")


def _templates() -> dict[str, Template]:
    sources = {name: content.decode() for name, content in _package_files("templates").items()}
    environment = Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(words.FILTERS)
    return {name: environment.get_template(name) for name in sources}


def _package_files(folder: str) -> Mapping[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in (files("web") / folder).iterdir() if entry.is_file()}


def _static_files() -> dict[str, tuple[bytes, str, str]]:
    return {
        name: (content, _CONTENT_TYPES[name.rpartition(".")[2]], f'"{hashlib.sha256(content).hexdigest()[:20]}"')
        for name, content in _package_files("static").items()
    }


_TEMPLATES = _templates()
_STATIC = _static_files()
