"""The settings of messages: what is safe is taken, what is not is refused without being repeated."""

from __future__ import annotations

import base64

import pytest

from server.config.notify_parsers import SmtpServer, mail_address, smtp_server, webhook_secret, webhook_url
from server.config.settings import Secret, SettingsError, load

WORD = "pass/word"  # as it stands in an address: pass%2Fword
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("smtps://mail.example.org", SmtpServer("mail.example.org", 465, "tls")),
        ("smtp://mail.example.org", SmtpServer("mail.example.org", 587, "starttls")),
        ("smtp://localhost:25", SmtpServer("localhost", 25, "plain")),
        ("smtps://me%40example.org:pass%2Fword@mail.example.org:1465/",
         SmtpServer("mail.example.org", 1465, "tls", "me@example.org", Secret(WORD))),
    ],
)  # fmt: skip
def test_a_mail_server_on_another_machine_speaks_tls(text: str, expected: SmtpServer | None) -> None:
    assert smtp_server(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "mail.example.org",
            "http://mail.example.org",
            "smtp://",
            "smtps://h:99999",
            "smtps://h/path",
            "smtps://h?x=y",
        ),
        *("smtps://user@h", "smtps://:word@h"),
    ],
)
def test_what_is_no_mail_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        smtp_server(text)
    assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize("text", ["", "llm@example.org", "LLM gateway <llm@example.org>"])
def test_an_address_may_have_a_name(text: str) -> None:
    assert mail_address(text) == text


@pytest.mark.parametrize("text", ["llm", "a@b\nBcc: c@d", "<llm@example.org", "x <y>", "a b@example.org"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address"):
        mail_address(text)


@pytest.mark.parametrize("text", ["", "https://hooks.example.org/x?y=z", "http://127.0.0.1:9000/hook"])
def test_webhooks_go_out_encrypted(text: str) -> None:
    assert webhook_url(text) == text


@pytest.mark.parametrize(
    "text", ["http://hooks.example.org/", "https://u:p@h/", "https://h/#x", "https://h/ y", "ftp://h", "https://h:x/"]
)
def test_other_addresses_of_webhooks_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an https address"):
        webhook_url(text)


@pytest.mark.parametrize("length", [23, 65])
def test_a_secret_that_signs_has_24_to_64_bytes(length: int) -> None:
    assert webhook_secret(SECRET) == Secret(SECRET)
    assert webhook_secret("") is None
    for wrong in ("whsec_" + base64.b64encode(b"k" * length).decode(), SECRET[6:], "whsec_*"):
        with pytest.raises(ValueError, match="expected whsec_"):
            webhook_secret(wrong)


@pytest.mark.parametrize(
    ("environ", "mistake"),
    [
        ({"SMTP_URL": "smtp://localhost"}, "MAIL_FROM: expected"),
        ({"OPERATOR_MAIL": "a@example.org"}, "SMTP_URL: expected"),
        ({"NOTIFY_WEBHOOK_URL": "https://h/"}, "NOTIFY_WEBHOOK_SECRET: expected"),
    ],
)
def test_what_belongs_together_is_asked_for_together(environ: dict[str, str], mistake: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ=environ, dotenv=None)
    assert [each for each in caught.value.mistakes if each.startswith(mistake)]


def test_no_secret_of_them_shows() -> None:
    environ = {
        "SMTP_URL": "smtps://user:topsecret@mail.example.org",
        "MAIL_FROM": "llm@example.org",
        "NOTIFY_WEBHOOK_URL": "https://hooks.example.org/topsecret",
        "NOTIFY_WEBHOOK_SECRET": SECRET,
        "NOTIFY_THRESHOLDS": "90",
    }
    settings = load(environ=environ, dotenv=None)
    assert settings.notify_thresholds == (90,)
    assert "topsecret" not in repr(settings) + repr(settings.smtp_url)
    assert SECRET not in repr(settings)
