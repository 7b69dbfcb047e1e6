"""A mail server that does what a test says: aiosmtpd's, in the test's own loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class MailServer:
    """What it got: the mails and to whom. `refuse`: its answer to addresses, instead of taking them."""

    port: int = 0
    refuse: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    receivers: list[str] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, _: SMTP, session: Session, envelope: Envelope, address: str, __: Any) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        self.receivers += envelope.rcpt_tos
        self.secure.append(session.ssl is not None)
        return "250 OK"


def _is_known(*arguments: Any) -> AuthResult:
    data = arguments[-1]
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"user", b"word")
    return AuthResult(success=known, handled=False)


@asynccontextmanager
async def mail_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[MailServer]:
    """With `tls` it wants STARTTLS and then the user "user" with the password "word"."""
    seen = MailServer()
    secure: dict[str, Any] = {"tls_context": tls, "require_starttls": True, "auth_required": True} if tls else {}
    protocols: list[SMTP] = []

    def connected() -> SMTP:
        protocols.append(SMTP(seen, authenticator=_is_known, enable_SMTPUTF8=True, **secure))
        return protocols[-1]

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for protocol in protocols:
            if protocol.transport is not None:
                protocol.transport.abort()
        await asyncio.sleep(0.01)  # the loop closes the sockets
