"""The specification of an upstream, which every floor above may use.

A `Secret` cannot be shown by accident: `repr`, `str`, f-strings and tracebacks with locals all give `***`. Only
`reveal()` gives the text. A provider's key is opened in two modules, to send it and to encrypt it
(`tests/security/test_secrets.py` holds the list).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from server.config.upstream_kinds import KINDS, UpstreamKind, kind_at
from server.httpclient.proxies import Proxies

# The headers that name an account beside the key: a key that may act for several is one key for each.
ACCOUNT_HEADERS = ("openai-organization", "openai-project")


class Secret:
    """A text that does not show in logs and reprs.

    A provider's key may have headers behind it, a line for each, which are sent with it and hidden with it
    (`carrying`). It is known by its own text and by those headers that name an account.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. The calling code must keep it out of logs and answers."""
        return self._text

    @property
    def fingerprint(self) -> str:
        """The first 8 hex digits of its SHA-256: names a key on pages, in logs and on the ledger."""
        bare, *lines = self._text.split("\n")
        named = [line for line in lines if line.startswith(ACCOUNT_HEADERS)]
        return hashlib.sha256("\n".join([bare, *named]).encode()).hexdigest()[:8]

    @property
    def last4(self) -> str:
        """The end of the key as providers' consoles show it; of a short secret nothing is shown."""
        bare = self._text.partition("\n")[0]
        return bare[-4:] if len(bare) >= 16 else "****"

    def carrying(self, headers: Headers) -> Secret:
        """The same key with headers that are sent with it. The names are in small letters, no value has a line end."""
        bare = self._text.partition("\n")[0]
        return Secret("\n".join([bare, *(f"{name}: {value._text}" for name, value in sorted(headers, key=_name))]))

    def opened(self) -> tuple[str, dict[str, str]]:
        """The key itself and the headers behind it. The calling code must keep both out of logs and answers."""
        bare, *lines = self._text.split("\n")
        return bare, {name: value for name, _, value in (line.partition(": ") for line in lines)}

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


Headers = tuple[tuple[str, Secret], ...]  # names in small letters


def _name(header: tuple[str, Secret]) -> str:
    return header[0]


def _pair(name: str) -> tuple[str, str]:
    ours, _, theirs = name.partition("=")
    return ours, theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSpec:
    """One provider account, or several keys that are treated alike.

    `base_url` is what stands before `/chat/completions` and `/messages`, without a slash at the end:
    `https://api.openai.com/v1`. No `models` means: ask `GET /models` at the start. `slots` is requests in flight per
    key. `responses`: of OpenAI's dialect it has `/v1/responses`, too; None: as its kind. The limits are per minute
    (`rpm` requests; `tpm` tokens, or `itpm` input and `otpm` output tokens) or per day (`rpd` requests); None means
    that the upstream sends its limits. Keys of one `organisation` share limits. Empty `groups` means all people. The
    cap is in micro-USD per calendar month, for all keys together. `proxies` and `ca_file` are its own way out of this
    network; None and "": that of all. `kind` is a row of `upstream_kinds`; "" is the one that the address shows.
    `api_version` is that of Azure's dated API. `names` are models, each as `ours=theirs`. `headers` are sent with all
    of its keys.
    """

    name: str
    dialects: tuple[str, ...]
    base_url: str
    keys: tuple[Secret, ...]
    models: tuple[str, ...] = ()
    slots: int = 8
    responses: bool | None = None
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
    kind: str = ""
    api_version: str = ""
    names: tuple[str, ...] = ()
    headers: Headers = ()

    @property
    def row(self) -> UpstreamKind:
        """What is so at upstreams of its kind."""
        return KINDS[self.kind] if self.kind else kind_at(self.base_url, self.dialects)

    @property
    def theirs(self) -> dict[str, str]:
        """The upstream's names of models, by ours, where they differ."""
        return dict(_pair(each) for each in self.names)

    def ours(self, listed: Iterable[str]) -> tuple[str, ...]:
        """Our names of the models that the upstream lists."""
        names: dict[str, list[str]] = {}
        for ours, theirs in self.theirs.items():
            names.setdefault(theirs, []).append(ours)
        bare = (self.row.listed(each) for each in listed)
        return tuple(sorted({ours for each in bare for ours in names.get(each, [each])}))

    @property
    def spoken(self) -> frozenset[str]:
        """What a request may need that goes to its keys (`Endpoint.spoken`)."""
        responses = self.row.responses if self.responses is None else self.responses
        return frozenset(self.dialects) | ({"responses"} if responses and "openai" in self.dialects else set())

    def bare(self) -> Self:
        """The same without what is never stored or shown: secrets, and what is this machine's."""
        return replace(self, keys=(), proxies=None, ca_file="", headers=())


# What may be changed of a key that was added: how much it is used, by whom, and whose it is; never where it goes.
TERMS = (
    *("models", "slots", "rpm", "tpm", "itpm", "otpm", "rpd"),
    *("organisation", "owner", "groups", "monthly_cap_micro_usd"),
)


def only_terms_differ(one: UpstreamSpec, other: UpstreamSpec) -> bool:
    """Whether two keys go to the same place, and both name their models or neither does."""
    terms = {name: getattr(other, name) for name in TERMS}
    return replace(one, **terms) == other and bool(one.models) == bool(other.models)


UNSTORED = frozenset({"keys", "proxies", "ca_file", "headers"})
