"""The specification of an upstream, which every floor above may use.

A `Secret` cannot be shown by accident: `repr`, `str`, f-strings and tracebacks with locals all give `***`. Only
`reveal()` gives the text. A provider's key is opened in two modules, to send it and to encrypt it
(`tests/security/test_secrets.py` holds the list).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from typing import Self

from server.httpclient.proxies import Proxies


class Secret:
    """A text that does not show in logs and reprs."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. The calling code must keep it out of logs and answers."""
        return self._text

    @property
    def fingerprint(self) -> str:
        """The first 8 hex digits of its SHA-256: names a key on pages, in logs and on the ledger."""
        return hashlib.sha256(self._text.encode()).hexdigest()[:8]

    @property
    def last4(self) -> str:
        """The end of the key as providers' consoles show it; of a short secret nothing is shown."""
        return self._text[-4:] if len(self._text) >= 16 else "****"

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSpec:
    """One provider account, or several keys that are treated alike.

    `base_url` is what stands before `/chat/completions` and `/messages`, without a slash at the end:
    `https://api.openai.com/v1`. No `models` means: ask `GET /models` at the start. `slots` is requests in flight per
    key. `responses`: of OpenAI's dialect it has `/v1/responses`, too. The limits are per minute (`rpm` requests; `tpm`
    tokens, or `itpm` input and `otpm` output tokens) or per day (`rpd` requests); None means that the upstream sends
    its limits. Keys of one `organisation` share limits.
    Empty `groups` means all people. The cap is in micro-USD per calendar month, for all keys together. `proxies` and
    `ca_file` are its own way out of this network; None and "": that of all.
    """

    name: str
    dialects: tuple[str, ...]
    base_url: str
    keys: tuple[Secret, ...]
    models: tuple[str, ...] = ()
    slots: int = 8
    responses: bool = True
    rpm: int | None = None
    tpm: int | None = None
    itpm: int | None = None
    otpm: int | None = None
    rpd: int | None = None
    organisation: str | None = None
    owner: str | None = None
    groups: tuple[str, ...] = ()
    monthly_cap_micro_usd: int | None = None
    proxies: Proxies | None = field(default=None, repr=False)
    ca_file: str = ""

    @property
    def spoken(self) -> frozenset[str]:
        """What a request may need that goes to its keys (`Endpoint.spoken`)."""
        apart = {"responses"} if self.responses and "openai" in self.dialects else set()
        return frozenset(self.dialects) | apart

    def bare(self) -> Self:
        """The same without what is never stored or shown: secrets, and what is this machine's."""
        return replace(self, keys=(), proxies=None, ca_file="")


UNSTORED = frozenset({"keys", "proxies", "ca_file"})
