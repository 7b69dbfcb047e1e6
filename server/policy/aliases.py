"""Aliases: stable names for models, and retired models with their successors.

An alias stands for one model. A request for it is served by that model, with its rights, its price and its limits, and
the answer names it in `X-Served-Model`. A retired model is an alias that no list shows. An alias may stand for another
one, as when a successor is retired in its turn; a circle ends where it began.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from web.wording import Wording

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9._:/@+-]{1,64}")
_MODEL = re.compile(r"(?!.*\.\.)[A-Za-z0-9._:/@+\[\]()~,#*!-]{1,256}")
_FIELDS = {"model", "listed"}


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a model. `listed`: lists of models show it to those who may use the model."""

    name: str
    model: str
    listed: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(Wording("name: expected 1 to 64 letters, digits and . _ : / @ + -"))
        if not _MODEL.fullmatch(self.model):
            raise ValueError(Wording("model: expected the name of a model"))
        if self.name == self.model:
            raise ValueError(Wording("model: expected another name than the alias has"))


def alias_body(alias: Alias) -> dict[str, Any]:
    """The body of a record of kind "alias"."""
    return {"model": alias.model, "listed": alias.listed}


def alias_of(name: str, body: Mapping[str, Any]) -> Alias:
    """A record's alias. `ValueError` names the field that is wrong, never what was written there."""
    if not set(body) <= _FIELDS:
        raise ValueError(Wording("expected no other fields than listed, model"))
    model, listed = body.get("model"), body.get("listed", True)
    if not isinstance(model, str):
        raise ValueError(Wording("model: expected the name of a model"))
    if type(listed) is not bool:
        raise ValueError(Wording("listed: expected true or false"))
    return Alias(name, model, listed)


class Aliases:
    """All aliases by their names; of two of one name, the later one counts."""

    def __init__(self, known: Iterable[Alias] = ()) -> None:
        self._known = {alias.name: alias for alias in known}

    def model(self, name: str) -> str:
        """The model that a name stands for: itself, if it is no alias."""
        seen = {name}
        while (alias := self._known.get(name)) is not None and alias.model not in seen:
            name = alias.model
            seen.add(name)
        return name

    def shown(self, models: Collection[str]) -> set[str]:
        """The names that a list of these models shows: the models, without retired names, and the aliases of them."""
        bare = {model for model in models if model not in self._known}
        return bare | {name for name, alias in self._known.items() if alias.listed and self.model(name) in bare}


def parse_aliases(text: str) -> tuple[Alias, ...]:
    """A comma list of `name=model`; `-name=model` is one that no list shows. Raises ValueError."""
    found = [_parsed(word.strip()) for word in text.split(",") if word.strip()]
    if len({each.name for each in found}) < len(found):
        raise ValueError(Wording("expected each name once"))
    return tuple(found)


def _parsed(word: str) -> Alias:
    name, _, model = word.partition("=")
    try:
        return Alias(name.removeprefix("-"), model, listed=not name.startswith("-"))
    except ValueError:
        raise ValueError(Wording("expected names with their models, such as main=gpt-5,-gpt-4=gpt-5")) from None
