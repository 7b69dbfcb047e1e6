"""Frozen dataclasses of many fields that are made for each request, as quickly as plain ones.

The `__init__` of a frozen dataclass must go round its own `__setattr__`: it calls `object.__setattr__` for each field,
which takes six times as long as to assign it. A record's `__init__` assigns the fields while the object is of an open
twin of its class, with the same slots, and makes it one of the frozen class at the end.
"""

from __future__ import annotations

from dataclasses import fields
from inspect import Parameter, signature
from typing import Any, TypeVar

Made = TypeVar("Made", bound=type[Any])


def made_quickly(record: Made) -> Made:
    """Give a frozen dataclass with slots its quick `__init__`: same arguments, same object, never changed.

    Raises TypeError where more than assigning is to be done: a default factory, a base, `__post_init__`.
    """
    names = tuple(each.name for each in fields(record) if each.init)
    if record.__slots__ != names or record.__bases__ != (object,) or hasattr(record, "__post_init__"):
        raise TypeError(f"{record.__name__} is no plain record")
    parameters = list(signature(record.__init__).parameters.values())
    defaults = {f"_{each.name}": each.default for each in parameters if each.default is not Parameter.empty}
    if any(type(each).__name__ == "_HAS_DEFAULT_FACTORY_CLASS" for each in defaults.values()):
        raise TypeError(f"{record.__name__} has a default factory")
    twin = type(record.__name__, (), {"__slots__": names})
    known = {"_set": object.__setattr__, "_Open": twin, "_Frozen": record, **defaults}
    exec(_init(parameters, defaults), known)  # noqa: S102 - of names of fields, as dataclasses does it
    quick: Any = known["__init__"]
    quick.__annotations__, quick.__qualname__ = record.__init__.__annotations__, record.__init__.__qualname__
    record.__init__ = quick
    return record


def _init(parameters: list[Parameter], defaults: dict[str, Any]) -> str:
    named = any(each.kind is Parameter.KEYWORD_ONLY for each in parameters)
    taken = ["*"] * named + [
        f"{each.name}=_{each.name}" if f"_{each.name}" in defaults else each.name for each in parameters[1:]
    ]
    assigned = [f"self.{each.name} = {each.name}" for each in parameters[1:]]
    lines = ['_set(self, "__class__", _Open)', *assigned, "self.__class__ = _Frozen"]
    return "\n    ".join([f"def __init__(self, {', '.join(taken)}):", *lines])
