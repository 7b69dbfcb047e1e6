"""The data of `/admin/notifications`: which ways there are, and the latest messages."""

from __future__ import annotations

from dataclasses import dataclass

from web.view import Frame


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message. `percent`: of a budget, 0 of all else; `failure`: why its last try failed, "" if none did."""

    at_ms: int
    what: str
    percent: int
    channel: str
    receiver: str
    state: str
    tries: int
    failure: str


@dataclass(frozen=True, slots=True)
class MessagesView:
    """`server`, `sender`, `operator`: of mails; `webhook`: its host. "" where there is none."""

    frame: Frame
    server: str = ""
    sender: str = ""
    operator: str = ""
    webhook: str = ""
    thresholds: tuple[int, ...] = ()
    rows: tuple[MessageRow, ...] = ()
