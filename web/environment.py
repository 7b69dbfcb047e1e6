"""The templates and the static files, read once when this module is imported: a missing file fails at the start.

A template is compiled when it is printed for the first time, and kept for the next process (`compiled.py`): to compile
all of them is half of a start. `python -m web.environment` compiles all of them, for an image. Templates escape by
default and refuse undefined names; no page has inline script or style, so that the strict policy below holds for all of
them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined, Template, pass_context
from markupsafe import Markup, escape

from web import charts
from web import formatting as words
from web.compiled import CompiledTemplates
from web.forms import XSRF
from web.languages import NAMES, catalogue, reader, reading
from web.view import Frame
from web.wording import said, written

# `connect-src` is for live.js, which listens to /events and asks this very page for fresh numbers.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_CONTENT_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def printed(name: str, frame: Frame, here: str, **values: object) -> bytes:
    """A page as UTF-8, in its reader's language. `here` is its entry in the navigation, such as "me tokens"."""
    with reading(frame.language or reader()):
        return filled(name, frame=frame, here=here, **values)


def filled(name: str, **values: object) -> bytes:
    """A template as UTF-8."""
    # A lone surrogate in a model's name has no UTF-8 form: it becomes a question mark instead of an error.
    return _TEMPLATES.get_template(name).render(**values).encode("utf-8", "replace")


def template(source: str) -> Template:
    """A text as a template that has our macros and filters."""
    return _TEMPLATES.from_string(source)


def static(name: str) -> tuple[bytes, str, str] | None:
    """(content, content type, quoted ETag) of a file of the page, None if there is none of that name."""
    return _STATIC.get(name)


def _templates() -> Environment:
    sources = {name: content.decode() for name, content in _package_files("templates").items()}
    environment = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=CompiledTemplates(),
        extensions=["jinja2.ext.i18n"],
        finalize=said,
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # the extension's own: messages take values
    environment.filters.update({name: _late(write) for name, write in words.FILTERS.items()})
    environment.globals.update(
        charts=charts, XSRF=XSRF, LANGUAGES=NAMES, language=reader, _=_text, gettext=_markup, ngettext=_counted
    )
    return environment


def _late(write: Callable[..., object]) -> Callable[..., object]:
    """A filter that is asked for each page, also of a constant: what it says depends on the reader."""

    @pass_context
    def filter_(_: object, *arguments: object, **named: object) -> object:
        return write(*arguments, **named)

    return filter_


def _text(message: str, /, **values: object) -> str:
    """`{{ _("Log out") }}`: a text, which is escaped as all others are."""
    translated = catalogue(reader()).message(message)
    if any(hasattr(value, "__html__") for value in values.values()):
        return escape(translated) % _written(values)
    return translated % _written(values) if values else translated


def _markup(message: str, /, **values: object) -> Markup:
    """`{% trans %}`: a text of ours with our markup in it. Its values are escaped."""
    return Markup(catalogue(reader()).message(message)) % _written(values)  # noqa: S704 - the template's own text


def _counted(one: str, many: str, count: int, /, **values: object) -> Markup:
    """`{% trans count=... %}...{% pluralize %}...{% endtrans %}`, likewise."""
    return Markup(catalogue(reader()).counted(one, many, count)) % _written(values)  # noqa: S704


def _written(values: Mapping[str, object]) -> dict[str, object]:
    return {name: written(value) for name, value in values.items()}


def _package_files(folder: str) -> Mapping[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in (files("web") / folder).iterdir() if entry.is_file()}


def _static_files() -> dict[str, tuple[bytes, str, str]]:
    return {
        name: (content, _CONTENT_TYPES[name.rpartition(".")[2]], f'"{hashlib.sha256(content).hexdigest()[:20]}"')
        for name, content in _package_files("static").items()
    }


_TEMPLATES = _templates()
_STATIC = _static_files()

if __name__ == "__main__":
    for name in _TEMPLATES.list_templates():
        _TEMPLATES.get_template(name)
