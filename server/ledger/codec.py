"""A settlement as bytes, and the lines of a journal.

A line is a checksum (CRC-32, eight hexadecimal digits), a letter that says what it is, and JSON, in which no line ends:

    1c291ca3O{"row":{...},"charges":[...]}    sent upstream; so it stands on the ledger if nothing more is heard of it
    5ad37f2bS{"row":{...},"charges":[...]}    settled
    90a4a8d1W["req_1","req_2"]                the store has these

`Recovery` reads lines, also those of a process that died while it wrote one: a line whose checksum is wrong never was.
A field that is not known comes from a newer release and is left out; a known one must be what it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar, get_args, get_type_hints
from zlib import crc32

import orjson

from server.ledger.quota import Charge, Settlement
from server.ledger.usage import Outcome, UsageRow
from server.wire.usage import Usage

T = TypeVar("T")

CHECKSUM_BYTES = 8
OPENED: Final = b"O"
SETTLED: Final = b"S"
WRITTEN: Final = b"W"


def settlement_bytes(settlement: Settlement) -> bytes:
    """One line of JSON, without its end. `TypeError` for what JSON cannot say: half a character, more than 64 bits."""
    return orjson.dumps(settlement)


def settlement_of(raw: bytes) -> Settlement:
    """The inverse. `ValueError` if this is no settlement; its text repeats nothing of it."""
    body = _mapping(orjson.loads(raw))
    row, charges = _mapping(body.get("row")), body.get("charges", [])
    if not isinstance(charges, list):
        raise ValueError("charges are a list")
    usage = _record(Usage, _mapping(row.get("usage")))
    found = _record(UsageRow, {**row, "usage": usage, "status": _outcome(row.get("status"))})
    return Settlement(found, tuple(_record(Charge, _mapping(charge)) for charge in charges))


def opened_line(settlement: Settlement) -> bytes:
    """A request is sent upstream now; this is its settlement should we die before it ends."""
    return _line(OPENED, settlement_bytes(settlement))


def settled_line(settlement: Settlement) -> bytes:
    """A request has ended, and this is its settlement."""
    return _line(SETTLED, settlement_bytes(settlement))


def written_line(request_ids: Iterable[str]) -> bytes:
    """The store has the settlements of these requests."""
    return _line(WRITTEN, orjson.dumps(list(request_ids)))


class Recovery:
    """The settlements in the lines of a dead process. Feed all of them, in their order."""

    def __init__(self) -> None:
        self._opened: dict[str, Settlement] = {}
        self._settled: dict[str, Settlement] = {}
        self._written: set[str] = set()
        self.damaged = 0  # lines that could not be read

    def read(self, line: bytes) -> None:
        """One line, with or without its end."""
        try:
            self._read(*_opened_up(line.removesuffix(b"\n")))
        except ValueError:
            self.damaged += 1

    def orphans(self) -> list[Settlement]:
        """The settlements that the store may not have: first the settled, then the sent and never settled, in order."""
        unsettled = (each for request_id, each in self._opened.items() if request_id not in self._settled)
        return [each for each in (*self._settled.values(), *unsettled) if each.row.request_id not in self._written]

    def _read(self, kind: bytes, body: bytes) -> None:
        if kind == WRITTEN:
            self._written.update(_texts(orjson.loads(body)))
        elif kind in (OPENED, SETTLED):
            settlement = settlement_of(body)
            (self._opened if kind == OPENED else self._settled)[settlement.row.request_id] = settlement
        else:
            raise ValueError("a line of an unknown kind")


def _line(kind: bytes, body: bytes) -> bytes:
    return b"%08x%b%b\n" % (crc32(body, crc32(kind)), kind, body)


def _opened_up(line: bytes) -> tuple[bytes, bytes]:
    """Its kind and its body."""
    checked = line[CHECKSUM_BYTES:]
    if line[:CHECKSUM_BYTES] != b"%08x" % crc32(checked):
        raise ValueError("the checksum is wrong")
    return checked[:1], checked[1:]


def _fields(record: type[Any]) -> dict[str, tuple[type[Any], ...]]:
    """By field: the types that its value may have."""
    return {name: get_args(hint) or (hint,) for name, hint in get_type_hints(record).items()}


_FIELDS: dict[type[Any], dict[str, tuple[type[Any], ...]]] = {
    record: _fields(record) for record in (Usage, UsageRow, Charge)
}


def _record(kind: type[T], body: Mapping[str, Any]) -> T:
    """Exact types: JSON's `true` is no number, though Python's is."""
    fields = _FIELDS[kind]
    known = {name: value for name, value in body.items() if name in fields}
    for name, value in known.items():
        if type(value) not in fields[name]:
            raise ValueError(f"{name} has the wrong type")
    try:
        return kind(**known)
    except TypeError:
        raise ValueError("a field is missing") from None


def _outcome(value: object) -> Outcome:
    try:
        return Outcome(str(value))
    except ValueError:
        raise ValueError("status is unknown") from None


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    return value


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError("expected a list of ids")
    return value
