"""The parsers of settings: from a text to a value.

Every parser raises `ValueError` whose text says what was expected. It never repeats what was given: that may be a
secret in the wrong place, and the text goes to a terminal and into logs.
"""

from __future__ import annotations

import csv
import ipaddress
import math
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from ipaddress import IPv4Network, IPv6Network
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from server.config.specs import Secret
from server.httpclient.egress import tls_context
from server.httpclient.proxies import Proxy, parse_proxy
from server.ledger import money
from server.wire.filters import Phrases

T = TypeVar("T")
Word = TypeVar("Word", bound=str)
Parser = Callable[[str], T]

Network = IPv4Network | IPv6Network

SHORTEST_MASTER = 32  # characters of a master key
SHORTEST_SECRET = 16  # characters of a secret that strangers may try to guess
GUESSED_SLOWLY, GUESSED_FAST = 48.0, 96.0  # bits
MAKE_ONE = "`openssl rand -hex 32` makes one"
SQLITE = "sqlite:///"

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_SIZE = re.compile(r"(\d{1,15})\s*([a-z]*)", re.ASCII)
_SWITCH = {"on": True, "yes": True, "true": True, "1": True, "off": False, "no": False, "false": False, "0": False}
_KEY = re.compile(r"[!-~]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._\[\]:-]+|\*(?:\.[a-z0-9-]+){2,}(?::\d{1,5})?)")
_STORE_URL = re.compile(r"sqlite:///.*[^/]|mongodb(\+srv)?://[!-~]+")
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_PLACEHOLDER = re.compile(r"change[-_ ]?me|replace[-_ ]?me|your[-_ ]?(secret|key|password)|password", re.IGNORECASE)
_HALF_A_COUNT = re.compile(r"\{\d*$")  # of "x{2,3}" that was taken apart at its comma


@dataclass(frozen=True, slots=True)
class KeyAt:
    """A key and the address of the upstream that it belongs to; None is the provider's own."""

    secret: Secret
    base_url: str | None


def text(value: str) -> str:
    return value


def base64_text(value: str) -> str:
    """A text in UTF-8, written in Base64."""
    try:
        return b64decode("".join(value.split()), validate=True).decode()
    except ValueError:  # of either: UnicodeDecodeError is one
        raise ValueError("expected a text in UTF-8, written in Base64") from None


def whole(low: int, high: int) -> Parser[int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"\d{1,15}", value, re.ASCII) or not low <= int(value) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return int(value)

    return parse


def size(value: str) -> int:
    """Bytes: a whole number, with KiB, MiB or GiB behind it if wanted."""
    match = _SIZE.fullmatch(value.strip().lower())
    if match is None or match[2] not in _UNITS or not 1024 <= (count := int(match[1]) * _UNITS[match[2]]) <= 1 << 40:
        raise ValueError("expected a size of at least 1KiB such as 8MiB")
    return count


def seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number <= 86_400:
        raise ValueError("expected seconds, more than 0 and at most 86400")
    return number


def seconds_or_never(value: str) -> float:
    """Seconds between two times of something; 0 is never again."""
    return 0.0 if value == "0" else seconds(value)


def number_or_auto(low: int, high: int) -> Parser[int | None]:
    """A whole number, or `auto`, which is None."""

    def parse(value: str) -> int | None:
        try:
            return None if value.lower() == "auto" else whole(low, high)(value)
        except ValueError:
            raise ValueError(f"expected auto, or a whole number from {low} to {high}") from None

    return parse


def switch(value: str) -> bool:
    if value.lower() not in _SWITCH:
        raise ValueError("expected on or off")
    return _SWITCH[value.lower()]


def one_of(*words: Word) -> Parser[Word]:
    def parse(value: str) -> Word:
        for word in words:
            if word == value.lower():
                return word
        raise ValueError(f"expected one of {', '.join(words)}")

    return parse


def words(value: str) -> tuple[str, ...]:
    """A comma list; empty places are left out."""
    return tuple(word for word in (part.strip() for part in value.split(",")) if word)


def origins(value: str) -> tuple[str, ...]:
    """A comma list of origins as browsers write them, or a star for all."""
    found = tuple(word.lower().rstrip("/") for word in words(value))
    if not all(word == "*" or _ORIGIN.fullmatch(word) for word in found):
        raise ValueError(
            "expected origins such as https://chat.example.org, https://*.example.org or app://obsidian.md, or *"
        )
    return found


def secret(value: str) -> Secret | None:
    return Secret(value) if value else None


def long_secret(value: str) -> Secret | None:
    """A secret that strangers can try to guess, though slowly."""
    if value and (len(value) < SHORTEST_SECRET or strength(value) < GUESSED_SLOWLY):
        raise ValueError(f"expected {SHORTEST_SECRET} characters or more that are hard to guess; {MAKE_ONE}")
    return secret(value)


def pepper(value: str) -> Secret | None:
    """A secret that a holder of a single guest pass can try to guess, as fast as machines are."""
    if value and strength(value) < GUESSED_FAST:
        raise ValueError(
            f"expected 32 characters or more that are hard to guess: who guesses it makes guest passes; {MAKE_ONE}. "
            "With another one all tokens, sessions and passes have to be made anew"
        )
    return secret(value)


def strength(value: str) -> float:
    """How many bits a secret has at most, by its length and its different characters; repetitions count once."""
    unit = re.fullmatch(r"(.+?)\1*", value, re.DOTALL)
    if unit is None or _PLACEHOLDER.search(value):
        return 0.0
    return len(unit[1]) * math.log2(len(set(value)))


def master_keys(value: str) -> tuple[Secret, ...]:
    """A comma list of texts that are long enough to encrypt with."""
    texts = words(value)
    if any(len(each) < SHORTEST_MASTER or strength(each) < GUESSED_FAST for each in texts):
        raise ValueError(
            f"expected texts of {SHORTEST_MASTER} characters or more that are hard to guess, "
            "the one to encrypt with first; `key new-master` makes one"
        )
    return tuple(map(Secret, texts))


def key(value: str) -> Secret:
    if not _KEY.fullmatch(value):
        raise ValueError("expected a key without spaces, of ASCII characters only")
    return Secret(value)


def keys(value: str) -> tuple[KeyAt, ...]:
    """A comma list of `key` or `key@base_url`."""
    return tuple(_key_at(word) for word in words(value))


def _key_at(word: str) -> KeyAt:
    name, at, url = word.partition("@")
    return KeyAt(key(name), base_url(url) if at else None)


def base_url(value: str) -> str:
    """The address of an upstream without a slash at its end; unencrypted only within this machine."""
    url = _web_address(value)
    if url is None or (url[0] == "http" and not is_loopback(url[1])):
        raise ValueError("expected an address such as https://api.example.com/v1 (http only for this machine)")
    return value.rstrip("/")


def public_url(value: str) -> str:
    """The address under which people reach the gateway; empty if it is where it listens."""
    if value and _web_address(value) is None:
        raise ValueError("expected an address such as https://llm.example.org")
    return value.rstrip("/")


def host_names(value: str) -> tuple[str, ...]:
    """A comma list of names without ports, in small letters."""
    names = tuple(word.lower() for word in words(value))
    if not all(_HOST_NAME.fullmatch(name) for name in names):
        raise ValueError("expected names such as llm.example.org, without a port")
    return names


def _web_address(value: str) -> tuple[str, str] | None:
    """Scheme and host, if this is a plain web address without a user, a query or a fragment."""
    if not _KEY.fullmatch(value):
        return None
    try:
        url = urlsplit(value)
        _ = url.port  # reading it checks it
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc or "?" in value or "#" in value:
        return None
    return url.scheme, url.hostname


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def store_url(value: str) -> str:
    if not _STORE_URL.fullmatch(value):
        raise ValueError("expected sqlite:///file.db, sqlite:////absolute/path/file.db or mongodb://host/database")
    return value


def networks(value: str) -> tuple[Network, ...]:
    """A comma list of networks (10.0.0.0/8) and of single addresses."""
    try:
        return tuple(map(ipaddress.ip_network, words(value)))
    except ValueError:
        raise ValueError("expected networks such as 10.0.0.0/8 (nothing set behind the prefix), or addresses") from None


def proxy(value: str) -> Proxy | None:
    """A proxy, which may hold a password. Empty: none."""
    return parse_proxy(value)


def ca_file(value: str) -> str:
    """A file of certificates in PEM, read once to see whether it can be used. Empty: none."""
    if value:
        try:
            tls_context(value)
        except OSError:  # ssl.SSLError is one
            raise ValueError("expected a readable file of certificates in PEM") from None
    return value


def timezone(value: str) -> tzinfo:
    """A time zone by its name in the IANA database; UTC is known without one."""
    try:
        return UTC if value.upper() == "UTC" else ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("expected a time zone such as Europe/Berlin, or UTC") from None


def phrases(value: str) -> tuple[str, ...]:
    """A comma list of RE2 patterns; one that holds a comma stands in quotes."""
    (patterns,) = csv.reader([value], skipinitialspace=True)
    found = tuple(pattern for pattern in map(str.strip, patterns) if pattern)
    if any(map(_HALF_A_COUNT.search, found)):
        raise ValueError('expected "quotes" around a pattern that holds a comma')
    Phrases.of(found)
    return found


def micro_usd(value: str) -> int:
    """Micro-USD of an amount in US dollars, exactly."""
    try:
        return money.micro_usd(value)
    except ValueError:
        raise ValueError("expected US dollars such as 25 or 2.50") from None
