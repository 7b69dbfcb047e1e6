"""Files of other proxies beside the gateway: `application.yaml`, and the sample `.env` with quotes within quotes."""

from __future__ import annotations

import base64
from pathlib import Path

from server.config.settings import load

APPLICATION = """spring:
    jpa:
        database-platform: org.hibernate.community.dialect.SQLiteDialect
        hibernate:
            ddl-auto: validate
    datasource:
        url: jdbc:sqlite:openai-queries.db
server:
    port: 8181
forward:
    url: https://api.openai.com/v1/chat/completions
    token: sk-of-the-application
"""


def test_the_java_projects_file_is_read_and_what_is_not_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "application.yaml"
    file.write_text(APPLICATION)
    found = load(environ={}, dotenv=None, application=file)
    assert (found.port, [spec.base_url for spec in found.upstreams]) == (8181, ["https://api.openai.com/v1"])
    notes = "\n".join(found.notes)
    assert "application.yaml, spring.jpa.hibernate.ddl-auto: not used, STORE_URL" in notes
    assert ("`import java FILE`" in notes, "sk-of" in notes, "validate" in notes) == (True, False, False)
    assert load(environ={"PORT": "9"}, dotenv=None, application=file).port == 9


def test_another_programs_file_is_left_alone_and_a_placeholder_is_not_taken_for_a_key(tmp_path: Path) -> None:
    file = tmp_path / "application.yaml"
    for content in ("server:\n  port: 1\n", "- 1\n", ""):
        file.write_text(content)
        assert load(environ={}, dotenv=None, application=file) == load(environ={}, dotenv=None)
    file.write_text("forward: {token: '${TOKEN}'}")
    found = load(environ={}, dotenv=None, application=file)
    assert (found.upstreams, "say FORWARD_TOKEN" in found.notes[-1]) == ((), True)
    file.write_text("forward: [")
    assert load(environ={}, dotenv=None, application=file).notes == (
        "application.yaml: not used, it is no readable YAML",
    )


def test_quotes_within_quotes_stand_in_a_sample_and_are_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        'A=1\nREJECT_PHRASES="phrase one,phrase two,"phrase three, which has a comma",phrase four"\nPORT=81\n'
    )
    found = load(environ={}, dotenv=file)
    assert found.reject_phrases == ("phrase one", "phrase two", "phrase three, which has a comma", "phrase four")
    assert found.port == 81


def test_the_start_says_what_an_own_page_needs(tmp_path: Path) -> None:
    page = base64.b64encode(b"<style>p {}</style><p>{title}</p>").decode()
    (note,) = load(environ={"PAGE_BODY": page}, dotenv=None).notes
    assert ("style-src 'unsafe-inline'" in note, "legacy" in note) == (True, True)
    assert load(environ={"PAGE_BODY": page, "PAGE_CSP": "legacy"}, dotenv=None).notes == ()
