"""Mails arrive whole at a real mail server, encrypted, and failures say what kind they are."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from server.config.notify_parsers import SmtpServer
from server.config.specs import Secret
from server.notifications.mail import MailSender, mail_of
from server.notifications.mailbox import Letterhead, Mailbox
from server.policy.notifications import Cause, Channel, Delivery, EventKind, Failure
from server.store.base import Person
from tests.notifications.mail_server import mail_server
from tests.notifications.stores import MemoryStore
from tests.notifications.test_texts import BUDGET
from tests.upstream.servers import authority
from web.mails import MailText

NOW = 1_795_262_400_000  # 2026-11-21T12:00Z
SENDER = "LLM gateway <llm@example.org>"
TEXT = MailText("Grüße · LLM", "Zeile eins\n", "<p>Zeile eins</p>\n")
MESSAGE = Delivery("msg_1", EventKind.TEST, NOW, Channel.MAIL, "operator", {}, NOW, None)


@pytest.mark.gen_test
async def test_a_mail_arrives_with_both_parts_and_says_that_a_program_wrote_it() -> None:
    async with mail_server() as server:
        sender = MailSender(SmtpServer("127.0.0.1", server.port, "plain"), SENDER)
        assert await sender.send(MESSAGE, "ada@example.org", TEXT) is None
    (mail,) = server.mails
    assert server.receivers == ["ada@example.org"]
    heads = {name: str(mail[name]) for name in ("From", "To", "Subject", "Message-ID", "Auto-Submitted", "Date")}
    assert heads == {
        "From": SENDER,
        "To": "ada@example.org",
        "Subject": TEXT.subject,
        "Message-ID": "<msg_1@example.org>",
        "Auto-Submitted": "auto-generated",
        "Date": "Sat, 21 Nov 2026 12:00:00 +0000",
    }
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().split() == TEXT.plain.split()
    assert html.get_content().split() == TEXT.html.split()


@pytest.mark.gen_test
async def test_it_insists_on_tls_and_on_a_certificate_that_is_believed(tmp_path: Path) -> None:
    ca = authority(tmp_path, "localhost")
    async with mail_server(ca.server) as server, mail_server() as bare:
        known = SmtpServer("localhost", server.port, "starttls", "user", Secret("word"))
        wrong = SmtpServer("localhost", server.port, "starttls", "user", Secret("other"))
        naked = SmtpServer("localhost", bare.port, "starttls")
        answers = [
            await MailSender(server_, SENDER, file).send(MESSAGE, "ada@example.org", TEXT)
            for server_, file in ((known, ca.file), (known, ""), (wrong, ca.file), (naked, ca.file))
        ]
    assert answers == [None, Failure(Cause.UNREACHED), Failure(Cause.CREDENTIALS, 535), Failure(Cause.UNREACHED)]
    assert server.secure == [True]
    assert bare.mails == []


@pytest.mark.gen_test
@pytest.mark.parametrize(("refusal", "final"), [("550 no such user", True), ("451 later", False)])
async def test_an_address_may_be_refused_for_now_or_for_good(refusal: str, final: bool) -> None:
    async with mail_server() as server:
        server.refuse = refusal
        sender = MailSender(SmtpServer("127.0.0.1", server.port, "plain"), SENDER)
        found = await sender.send(MESSAGE, "ada@example.org", TEXT)
    assert found == Failure(Cause.ADDRESS_REFUSED, int(refusal[:3]), final=final)
    assert await sender.send(MESSAGE, "ada@example.org", TEXT) == Failure(Cause.UNREACHED)


@pytest.mark.gen_test
@pytest.mark.parametrize("address", ["a@b, c@d", "a@b\nBcc: c@d", "x", "", "a@b>", "ada@example.org c@d"])
async def test_what_is_not_one_address_gets_nothing(address: str) -> None:
    sender = MailSender(SmtpServer("127.0.0.1", 1, "plain"), SENDER)
    assert await sender.send(MESSAGE, address, TEXT) == Failure(Cause.UNUSABLE, final=True)


def test_an_address_with_a_name_is_that_address() -> None:
    assert str(mail_of(MESSAGE, SENDER, "Ops <ops@example.org>", TEXT)["To"]) == "Ops <ops@example.org>"


ADA = Person("usr_ada", "Ada", False, 0, email="ada@example.org")


@pytest.mark.gen_test
@pytest.mark.parametrize(("language", "word"), [("", "used"), ("en", "used"), ("de", "verbraucht")])
async def test_a_person_reads_mails_in_the_language_that_they_chose(language: str, word: str) -> None:
    person = Person("usr_ada", "Ada", False, 0, email="ada@example.org", language=language)
    own = Delivery("msg_1", EventKind.BUDGET, NOW, Channel.MAIL, "usr_ada", BUDGET, NOW, None)
    async with mail_server() as server:
        sender = MailSender(SmtpServer("127.0.0.1", server.port, "plain"), SENDER)
        head = Letterhead("LLM", "https://llm.example.org", UTC, "en")
        assert await Mailbox(sender, MemoryStore(person), "", head).send(own, NOW) is None
    (mail,) = server.mails
    body = mail.get_body(("plain",))
    assert body is not None
    assert word in body.get_content()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("person", "cause"),
    [
        (None, Cause.NO_ADDRESS),
        (Person("usr_ada", "Ada", False, 0), Cause.NO_ADDRESS),
        (Person("usr_ada", "Ada", True, 0, email="ada@example.org"), Cause.NO_ADDRESS),
        (Person("usr_ada", "Ada", False, 0, email="ada@example.org", mails=False), Cause.SWITCHED_OFF),
    ],
)
async def test_who_has_no_address_or_wants_no_mails_gets_none(person: Person | None, cause: Cause) -> None:
    store = MemoryStore(*([person] if person else []))
    head = Letterhead("LLM", "https://llm.example.org", UTC, "en")
    sender = MailSender(SmtpServer("127.0.0.1", 1, "plain"), SENDER)
    mailbox = Mailbox(sender, store, "", head)
    own = Delivery("msg_1", EventKind.BUDGET, NOW, Channel.MAIL, "usr_ada", {}, NOW, None)
    assert await mailbox.send(own, NOW) == Failure(cause)
    assert await mailbox.send(MESSAGE, NOW) == Failure(Cause.NO_ADDRESS)
