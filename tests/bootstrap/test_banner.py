"""What a newcomer sees can be pasted and works."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
from pathlib import Path

import pytest

from server.auth.accounts import Accounts, looks_like_token
from server.bootstrap.banner import banner, first_token, python_of_the_shell
from server.bootstrap.example import Example
from server.config.settings import Secret, Settings, UpstreamSpec
from server.store import store_for

URL = "http://127.0.0.1:8080"
UPSTREAM = UpstreamSpec(name="a", dialects=("openai",), base_url="https://a.example/v1", keys=(Secret("k"),))


def curl_of(text: str) -> list[str]:
    return shlex.split(next(line for line in text.splitlines() if line.startswith("curl ")))


def python_of(text: str) -> str:
    return text[text.index("from openai import") :]


def test_it_names_the_page_the_token_and_the_model() -> None:
    text = banner(Settings(), URL, "fg_token", Example("smollm2"))
    assert text.startswith("fairgate is ready: http://127.0.0.1:8080/\n")
    assert "Your token, shown only now: fg_token\n" in text
    assert '"smollm2"' in text


def test_the_curl_line_is_one_command_of_a_shell() -> None:
    command = curl_of(banner(Settings(), URL, "fg_token", Example('it\'s a "model"')))
    assert command[:2] == ["curl", f"{URL}/v1/chat/completions"]
    assert "Authorization: Bearer fg_token" in command
    body = json.loads(command[command.index("-d") + 1])
    assert body == {"model": 'it\'s a "model"', "messages": [{"role": "user", "content": "Hello"}]}


def test_the_example_in_python_is_three_lines_of_python() -> None:
    program = ast.parse(python_of(banner(Settings(), URL, "fg_token", Example('it\'s a "model"'))))
    assert len(program.body) == 3


def test_the_public_address_is_shown_where_there_is_one() -> None:
    text = banner(Settings(public_url="https://llm.example.org"), URL, None, Example("m"))
    assert URL not in text
    assert curl_of(text)[1] == "https://llm.example.org/v1/chat/completions"


def test_the_demo_is_explained_only_where_it_answers() -> None:
    assert "Demo: " in banner(Settings(), URL, None, Example("m"))
    assert "Demo: " not in banner(Settings(upstreams=(UPSTREAM,)), URL, None, Example("m"))


def test_a_model_of_the_other_dialect_is_asked_on_its_own_route() -> None:
    text = banner(Settings(), URL, "fg_token", Example("claude-haiku-4-5", "anthropic"))
    command = curl_of(text)
    assert command[1] == f"{URL}/v1/messages"
    assert json.loads(command[command.index("-d") + 1])["max_tokens"] == 256
    assert "chat/completions" not in text
    assert len(ast.parse(text[text.index("from anthropic import") :]).body) == 3
    assert f'base_url="{URL}"' in text


def test_without_a_model_that_answers_no_command_is_shown_that_must_fail() -> None:
    text = banner(Settings(), URL, "fg_token", None)
    assert "curl" not in text
    assert "MODEL" not in text
    assert "python -m server key check" in text
    assert "Your token, shown only now: fg_token\n" in text


def test_the_first_start_says_how_its_reader_comes_to_the_pages_of_administrators() -> None:
    text = banner(Settings(), URL, "fg_token", Example("m"))
    assert f"{URL}/login" in text and "python -m server user change me --admin --yes" in text
    text = banner(Settings(admin_key=Secret("0123456789abcdef")), URL, "fg_token", Example("m"))
    assert "log in with ADMIN_KEY" in text and "0123" not in text and "--admin" not in text
    assert "/login" not in banner(Settings(), URL, None, Example("m"))


def test_a_first_start_without_a_token_says_why_and_how_to_make_one() -> None:
    text = banner(
        Settings(), URL, None, Example("m"), trouble="the database failed: disk full", python=".venv/bin/python"
    )
    assert "The store is in trouble: the database failed: disk full.\n" in text
    assert ".venv/bin/python -m server user create me\n.venv/bin/python -m server token create me\n" in text
    assert "The store" not in banner(Settings(), URL, None, Example("m"))


def test_what_it_says_to_type_starts_this_interpreter() -> None:
    command = shlex.split(python_of_the_shell())
    assert subprocess.run([*command, "-c", "import server"], check=False).returncode == 0


def test_a_common_key_is_never_shown() -> None:
    settings = Settings(gatekeeper="shared", proxy_key=Secret("do-not-show-this"))
    text = banner(settings, URL, None, Example("m"))
    assert "do-not-show-this" not in text
    assert "Bearer PROXY_KEY" in text


def test_without_a_new_token_the_examples_say_where_yours_goes() -> None:
    text = banner(Settings(), URL, None, Example("m"))
    assert "Your token" not in text
    assert "Bearer YOUR_TOKEN" in text


@pytest.mark.gen_test
async def test_the_first_person_gets_a_token_and_nobody_after(tmp_path: Path) -> None:
    async with store_for(f"sqlite:///{tmp_path}/a.db") as store:
        accounts = Accounts(store, "user_token", "", b"pepper" * 6)
        token = await first_token(accounts)
        assert token is not None
        assert looks_like_token(token)
        assert (await accounts.authenticate(f"Bearer {token}", None, "127.0.0.1")).person_name == "me"
        assert await first_token(accounts) is None


@pytest.mark.gen_test
async def test_the_first_start_shows_a_token_where_an_operator_has_a_key_too(tmp_path: Path) -> None:
    """The guides for Render, Spaces and Docker set ADMIN_KEY and promise a token in the log."""
    async with store_for(f"sqlite:///{tmp_path}/a.db") as store:
        accounts = Accounts(store, "user_token", "", b"pepper" * 6, admin_key="0123456789abcdef")
        await accounts.prepare()
        token = await first_token(accounts)
        assert token is not None
        assert await first_token(accounts) is None
