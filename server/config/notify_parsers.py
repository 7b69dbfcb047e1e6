"""How the settings of messages are read: the mail server, addresses, the webhook and its secret. Pure.

No sentence of a `ValueError` repeats what stands there: it may be a password.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from server.config import parsers
from server.config.specs import Secret

Security = Literal["tls", "starttls", "plain"]
PORTS = {"smtps": 465, "smtp": 587}
WHSEC = "whsec_"
LEAST_SECRET, LONGEST_SECRET = 24, 64  # bytes, as the Standard Webhooks say
_ADDRESS = re.compile(r"(?P<name>[^<>\r\n]{0,100})<(?P<inside>[^<>]+)>|(?P<plain>[^<>]+)")
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,189}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A server that takes mails. `tls` from the first byte, `starttls` or nothing is sent, `plain` on this machine."""

    host: str
    port: int
    security: Security
    user: str = ""
    password: Secret | None = None


def smtp_server(value: str) -> SmtpServer | None:
    """`smtps://user:password@host:465` speaks TLS from the beginning, `smtp://host:587` begins it and insists on it.

    Only a server on this machine may do without: nothing that a mail says crosses a network as it is.
    """
    if not value:
        return None
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if url.scheme not in PORTS or not url.hostname or url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError(_EXPECTED)
    security: Security = "tls" if url.scheme == "smtps" else "starttls"
    if security == "starttls" and parsers.is_loopback(url.hostname):
        security = "plain"
    password = Secret(unquote(url.password)) if url.password else None
    if bool(url.username) != (password is not None):
        raise ValueError("expected a user and a password, or none of both")
    return SmtpServer(url.hostname, port or PORTS[url.scheme], security, unquote(url.username or ""), password)


def mail_address(value: str) -> str:
    """An address such as "llm@example.org", or with a name: "LLM gateway <llm@example.org>"."""
    if not value:
        return ""
    found = _ADDRESS.fullmatch(value)
    inside = "" if found is None else (found["inside"] or found["plain"] or "")
    if not _EMAIL.fullmatch(inside) or not value.isprintable():
        raise ValueError('expected an address such as llm@example.org, or "LLM <llm@example.org>"')
    return value


def webhook_url(value: str) -> str:
    """An address, which may hold a secret in its path: it is never shown."""
    if not value:
        return ""
    try:
        url = urlsplit(value)
        _ = url.port  # reading it checks it
    except ValueError:
        raise ValueError(_EXPECTED_URL) from None
    safe = url.scheme == "https" or (url.scheme == "http" and parsers.is_loopback(url.hostname or ""))
    if not safe or not url.hostname or "@" in url.netloc or url.fragment or not re.fullmatch(r"[!-~]+", value):
        raise ValueError(_EXPECTED_URL)
    return value


def webhook_secret(value: str) -> Secret | None:
    """`whsec_` and 24 to 64 bytes in base64, as the Standard Webhooks write it."""
    if not value:
        return None
    try:
        length = len(base64.b64decode(value.removeprefix(WHSEC), validate=True))
    except binascii.Error:
        length = 0
    if not value.startswith(WHSEC) or not LEAST_SECRET <= length <= LONGEST_SECRET:
        raise ValueError("expected whsec_ and 24 to 64 bytes in base64; `notify new-secret` makes one")
    return Secret(value)


_EXPECTED = "expected smtps://user:password@mail.example.org:465, or smtp://... for STARTTLS"
_EXPECTED_URL = "expected an https address without a user (http only on this machine)"
