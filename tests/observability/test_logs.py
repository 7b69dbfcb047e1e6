"""What the gateway tells its operator: a line for each request, and no secret and no person in any line."""

from __future__ import annotations

import io
import json
import logging
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.auth.accounts import new_token
from server.config.legacy_env import RENAMED, UNUSED, translate
from server.config.settings import Settings
from server.config.settings_rows import LogFormat
from server.ledger.usage import Outcome, UsageRow
from server.observability.access_log import MOST, Access, AccessLog, as_json, as_words
from server.observability.logs import configure, handler
from server.observability.redaction import MASK, redact
from server.wire.usage import Usage
from tests.usage.rows import row

SECRETS = {
    "an OpenAI key": "sk-proj-CANARY0123456789abcdef",
    "an Anthropic key": "sk-ant-api03-CANARY0123456789",
    "a key that a provider starred out": "sk-proj-********************CANA",
    "a Groq key": "gsk_CANARY0123456789",
    "a Google key": "AIzaCANARY0123456789-abcd",
    "an organisation": "org-CANARY0123456789",
    "a gatekeeper token": new_token(),
    "a JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.Q0FOQVJZ",
    "a mail address": "canary.person@students.example.ac.uk",
    "an address": "192.0.2.77",
    "an address of the newer kind": "2001:db8::c:77",
    "a mapped address": "::ffff:192.0.2.77",
}
DRESSED: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in a sentence": "the upstream said '{}', so".format,
    "in an address": "https://llm.example.org/v1?key={}&x=1".format,
    "url-encoded": lambda secret: quote(f"/v1/{secret}", safe=""),
    "url-encoded to the last letter": lambda secret: "".join(f"%{byte:02X}" for byte in secret.encode()),
    "in base64": lambda secret: b64encode(secret.encode()).decode(),
    "in base64 for addresses": lambda secret: f"?q={urlsafe_b64encode(f'key {secret}?'.encode()).decode().rstrip('=')}",
}
ANNOUNCED = (
    "Authorization: Bearer CANARY",
    "authorization: Basic Q0FOQVJZOkNBTkFSWQ==",
    "{'Authorization': 'Bearer CANARY'}",
    "('X-Api-Key', 'CANARY')",
    '{"x-api-key": "CANARY CANARY"}',
    '{\\"api_key\\": \\"CANARY\\"}',
    "Cookie: session=CANARY; other=CANARY",
    "(b'authorization', b'CANARY')",
    "mongodb://ada:CANARY@db.example.org/fairgate",
    "mongodb+srv://ada:p%40CANARY@cluster.example.org/?w=majority",
    "mongodb://ada:p@CANARY@one.example.org:27017,two.example.org/fairgate",
    "postgresql://CANARY@db.example.org",
)
HARMLESS = (
    "upstream openai, key 0a1b2c3d: cooling, 529",
    "2026-11-21 06:50:32 gave back what 3 requests held",
    "the store is out of reach: localhost:27017, 127.0.0.1:27017, [::1]:80: refused",
    "gpt-4.1-mini took 12ms at 0.0.0.0:8080 (tornado 6.6.1)",
    "/opt/fairgate/lib/python3.12/site-packages/server/handlers/relay.py:120 < /opt/fairgate/x.py:9",
    "request req_0123456789abcdef00000001: ValueError at accounts.py:12",
    "the pepper's file is damaged: restore it, or remove it",
)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("dress", DRESSED.values(), ids=DRESSED)
def test_no_secret_and_no_person_is_logged_however_it_is_dressed(secret: str, dress: Callable[[str], str]) -> None:
    line = redact(dress(secret))
    assert MASK in line
    assert secret not in line
    assert dress(secret) not in line


@pytest.mark.parametrize("text", ANNOUNCED)
def test_a_value_that_its_name_announces_is_masked_whatever_it_looks_like(text: str) -> None:
    line = redact(text)
    assert MASK in line
    assert "CANARY" not in line
    assert "Q0FO" not in line


@pytest.mark.parametrize("text", HARMLESS)
def test_what_an_operator_needs_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("name", [*RENAMED, *(name for names in UNUSED.values() for name in names.split())])
@pytest.mark.parametrize("beside", [{}, {"API_URL": "x", "ISSUER": "x"}, {"OPENAI_KEY": "sk-a", "ADMIN_KEY": "x"}])
def test_what_a_start_says_of_a_setting_stays_whole(name: str, beside: dict[str, str]) -> None:
    """`API_KEY: read as OPENAI_KEY` is no key behind its name."""
    for note in translate({name: "x" * 20, **beside}).notes:
        assert redact(note) == note


@pytest.mark.parametrize(
    "text",
    [
        "API_KEY: read as sk-proj-CANARY0123456789",
        "API_KEY: read as OPENAI_KEY CANARY",
        "API_KEY: not used, password: CANARY",
        "API_KEY: not used, since sk-proj-CANARY0123456789",
        "the client's API_KEY: read as CANARY",
        "api_key: read as CANARY",
    ],
)
def test_nothing_hides_behind_such_a_beginning(text: str) -> None:
    assert "CANARY" not in redact(text)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200) | st.text("@.:/%=sk-_ 0aF", max_size=200))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def logged(form: LogFormat, message: str, *args: object, **more: Any) -> str:
    """What the handler writes for a record."""
    stream = io.StringIO()
    logger = logging.Logger("another.library")
    logger.addHandler(handler(form, stream))
    logger.warning(message, *args, **more)
    return stream.getvalue()


def failure() -> Any:
    try:
        raise ValueError("Incorrect API key provided: sk-proj-CANARY0123456789")
    except ValueError:
        return sys.exc_info()


def test_a_line_for_a_person_has_time_level_and_words() -> None:
    head, words = logged("console", "upstream %s rests", "openai").split(" WARNING ")
    assert words == "upstream openai rests\n"
    assert len(head) == len("2026-11-21 09:30:00.123")


def test_a_line_for_a_machine_is_one_object() -> None:
    said = json.loads(logged("json", "upstream %s rests", "openai"))
    assert said.pop("time").endswith("Z")
    assert said == {"level": "warning", "logger": "another.library", "message": "upstream openai rests"}


@pytest.mark.parametrize("form", ["console", "json"])
def test_arguments_and_tracebacks_are_redacted_too(form: LogFormat) -> None:
    line = logged(form, "login of %s failed", "ada@example.org", exc_info=failure(), stack_info=True)
    assert "CANARY" not in line
    assert "ada@" not in line
    assert "ValueError: Incorrect API key provided: ***" in line


def test_a_traceback_stands_in_one_object_with_its_message() -> None:
    said = json.loads(logged("json", "failed", exc_info=failure()))
    assert said["trace"].startswith("Traceback (most recent call last):\n")


def test_a_traceback_is_indented_under_its_line() -> None:
    _, *trace = logged("console", "failed", exc_info=failure()).splitlines()
    assert all(line.startswith("    ") for line in trace)


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("end", ["\n", "\r", "\x1b[2J", "\x85", "\u2028"])
def test_no_caller_can_write_a_line_of_their_own(form: LogFormat, end: str) -> None:
    line = logged(form, "unknown model %s", f"x{end}2026-11-21 ERROR all is lost")
    assert len(line.splitlines()) == 1
    assert end not in line.rstrip("\n")


def test_what_is_configured_elsewhere_is_left_alone() -> None:
    before = list(logging.getLogger().handlers)
    configure(Settings())
    assert logging.getLogger().handlers == before


AT: dict[str, Any] = {"at": 1_795_250_000_000, "endpoint": "/v1/chat/completions", "dialect": "openai"}
USED = Access(request_id="req_1", http=200, duration_ms=678, person_id="usr_ada", model="gpt-5", **AT)
ROW = row(request_id="req_1", usage=Usage(input=100, cached=40, output=20, estimated=True))
REFUSED = Access(request_id="req_2", http=401, error="invalid_api_key", duration_ms=3, **AT)


def test_a_request_is_one_object_with_all_that_its_row_tells() -> None:
    assert json.loads(as_json(USED, ROW)) == {
        "time": "2026-11-21T08:33:20.000Z",
        "level": "info",
        "logger": "fairgate.access",
        "request": "req_1",
        "http": 200,
        "ended": "completed",
        "endpoint": "/v1/chat/completions",
        "dialect": "openai",
        "person": "usr_ada",
        "model": "gpt-5",
        "served": "gpt-5-2025-08-07",
        "group": "physics",
        "upstream": "openai",
        "key": "0a1b2c3d",
        "stream": True,
        "attempts": 1,
        "wait_ms": 12,
        "first_byte_ms": 345,
        "input": 100,
        "cached": 40,
        "output": 20,
        "estimated": True,
        "cost_micro_usd": 1_250_075,
        "duration_ms": 678,
    }


def test_or_one_line_of_words_in_the_same_order() -> None:
    said = as_words(USED, ROW).split(" ")
    assert said[:3] == ["2026-11-21", "08:33:20.000", "req_1"]
    assert [word.partition("=")[0] for word in said[3:]] == list(json.loads(as_json(USED, ROW)))[4:]


def test_a_request_that_was_refused_has_what_is_known_of_it() -> None:
    assert as_words(REFUSED, None) == (
        "2026-11-21 08:33:20.000 req_2 http=401 ended=refused error=invalid_api_key"
        " endpoint=/v1/chat/completions dialect=openai duration_ms=3"
    )


@pytest.mark.parametrize(
    ("known", "found", "ended"),
    [
        ({"left": True}, None, "left"),
        ({}, None, "answered"),
        ({"error": "queue_full"}, None, "refused"),
        ({"error": "upstream_timeout"}, row(status=Outcome.FAILED), "failed"),
        ({"left": True}, row(status=Outcome.CANCELLED), "cancelled"),
    ],
)
def test_how_it_ended_is_the_ledgers_word_where_it_has_one(known: Any, found: UsageRow | None, ended: str) -> None:
    assert Access(request_id="req_1", http=200, duration_ms=1, **AT, **known).fields(found)["ended"] == ended


@pytest.mark.parametrize("form", [as_json, as_words])
@pytest.mark.parametrize("model", ["sk-ant-api03-CANARY0123", "x\n2026 req_9 http=200", "x http=200", "m" * 10_000])
def test_a_model_is_the_callers_text_until_it_is_known_and_forges_nothing(
    form: Callable[[Access, UsageRow | None], str], model: str
) -> None:
    line = form(Access(request_id="req_3", http=404, error="model_not_found", duration_ms=1, model=model, **AT), None)
    assert len(line.splitlines()) == 1
    assert "CANARY" not in line
    assert " http=200" not in line or form is as_json
    assert len(line) < 400


@pytest.mark.gen_test
async def test_lines_are_written_together_and_what_is_too_much_is_counted() -> None:
    written: list[str] = []
    log = AccessLog(written.append, "json")
    for _ in range(MOST + 2):
        log.note(REFUSED)
    assert not written
    log.flush()
    (text,) = written
    *lines, last = map(json.loads, text.splitlines())
    assert len(lines) == MOST
    assert (last["level"], last["more"]) == ("warning", 2)
    log.flush()
    assert len(written) == 1


@pytest.mark.gen_test
async def test_the_line_of_a_request_has_the_figures_of_its_own_row() -> None:
    written: list[str] = []
    log = AccessLog(written.append, "json")
    log.observe(row(request_id="req_9"))
    log.observe(ROW)
    log.note(REFUSED)
    log.note(USED)
    log.flush()
    refused, used = map(json.loads, written[0].splitlines())
    assert "input" not in refused
    assert (used["request"], used["input"], used["estimated"]) == ("req_1", 100, True)


@pytest.mark.gen_test
async def test_rows_that_are_never_read_do_not_pile_up() -> None:
    log = AccessLog(str)
    for number in range(MOST + 5):
        log.observe(replace(ROW, request_id=f"req_{number}"))
    assert len(log._rows) == MOST
