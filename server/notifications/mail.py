"""Mails, by SMTP. aiosmtplib and not smtplib in a thread: a thread cannot be ended, and a gateway that stops would wait
for a mail server that does not answer.

A mail has a plain part and a simple HTML part that says the same. Its Message-ID is made of the delivery's id, so that
a repetition can be recognised as one. Nothing goes to a server on another machine before TLS has begun, and its
certificate is checked.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

import aiosmtplib

from server.config.notify_parsers import SmtpServer
from server.policy.notifications import Cause, Delivery, Failure
from web.mails import MailText

SECONDS = 20.0  # for one step of the conversation
FOR_GOOD = 500  # and above: the same again would be refused again


@dataclass(frozen=True, slots=True)
class MailSender:
    """`sender` stands in From. `ca_file`: authorities that are believed beside the system's."""

    server: SmtpServer
    sender: str
    ca_file: str = ""

    async def send(self, delivery: Delivery, address: str, text: MailText) -> Failure | None:
        """None if the mail server has it."""
        try:
            message = mail_of(delivery, self.sender, address, text)
        except (ValueError, IndexError, HeaderParseError):
            return Failure(Cause.UNUSABLE, final=True)
        try:
            await self._sent(message)
        except aiosmtplib.SMTPAuthenticationError as error:
            return Failure(Cause.CREDENTIALS, error.code)
        except aiosmtplib.SMTPRecipientsRefused as error:
            code = max(each.code for each in error.recipients)
            return Failure(Cause.ADDRESS_REFUSED, code, final=code >= FOR_GOOD)
        except aiosmtplib.SMTPResponseException as error:
            return Failure(Cause.STATUS, error.code, final=error.code >= FOR_GOOD)
        except (aiosmtplib.SMTPException, OSError, ValueError):
            return Failure(Cause.UNREACHED)
        return None

    async def _sent(self, message: EmailMessage) -> None:
        server = self.server
        await aiosmtplib.send(
            message,
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password.reveal() if server.password else None,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=None if server.security == "plain" else _tls(self.ca_file),
            timeout=SECONDS,
        )


def mail_of(delivery: Delivery, sender: str, address: str, text: MailText) -> EmailMessage:
    """The message as it goes out (RFC 5322), with what RFC 3834 asks of programs that write mails.

    Raises ValueError, IndexError or HeaderParseError if `address` is not one address and nothing else.
    """
    message = EmailMessage(policy=SMTP)
    own = _address(sender)
    message["From"], message["To"] = own, _address(address)
    message["Subject"] = text.subject
    message["Date"] = formatdate(delivery.at / 1000, usegmt=True)
    message["Message-ID"] = f"<{delivery.id}@{own.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.plain)
    message.add_alternative(text.html, subtype="html")
    return message


def _address(text: str) -> Address:
    """Of "a@example.org", or of "Name <a@example.org>"."""
    name, found, inside = text.partition("<")
    return Address(name.strip(), addr_spec=inside.removesuffix(">")) if found else Address(addr_spec=text)


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context
