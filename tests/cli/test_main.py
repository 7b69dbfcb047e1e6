"""The command line: one thing per verb, words for people, exit codes for scripts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tornado.testing

from server.auth.guest_passes import looks_like_pass
from server.auth.token_format import looks_like_token
from server.cli.main import main
from server.config.settings import SETTINGS

SECRET = "sk-do-not-show-this-0123456789"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without `.env` and an environment without settings."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("fairgate.db").touch()  # a store that is there, and empty
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 0
    return capsys.readouterr().out


def objects(capsys: pytest.CaptureFixture[str], *argv: str) -> list[dict[str, Any]]:
    found = json.loads(said(capsys, *argv, "--json"))
    assert isinstance(found, list)
    return found


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(argv) == 1
    return capsys.readouterr().err


def test_help_tells_every_verb_and_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0
    for word in ("--port", "--host", "--store", "--demo", "user", "token", "pass", "course", "key", "docs"):
        assert f" {word} " in text
    for setting in SETTINGS:
        assert f"    {setting.name} " in text
    assert max(map(len, text.splitlines())) <= 120


def test_all_wrong_settings_are_told_at_once_and_the_exit_code_is_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_TOTAL", SECRET)
    Path(".env").write_text(f"OPENAI_KEY={SECRET} x\n")
    assert main(["--port", "http", "key", "list"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "fairgate cannot start with these settings:",
        "  PORT: expected a whole number from 0 to 65535",
        "  OPENAI_KEY: expected a key without spaces, of ASCII characters only",
        "  QUEUE_TOTAL: expected a whole number from 1 to 1000000",
    ]


def test_a_user_and_a_token_are_made_and_the_token_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert "token create 'alice'" in said(capsys, "user", "create", "alice")
    token = said(capsys, "token", "create", "alice", "--name", "laptop").strip()
    assert looks_like_token(token)
    listed = said(capsys, "token", "list")
    assert token not in listed
    assert token[-4:] in listed
    assert re.search(r"alice +laptop +valid$", listed.strip())


def test_a_token_may_end_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "alice")
    said(capsys, "token", "create", "alice", "--days", "30")
    assert re.search(r"valid until \d{4}-\d\d-\d\d", said(capsys, "token", "list"))


@pytest.mark.parametrize("days", ["0", "-1", "soon", "36501"])
def test_a_length_of_days_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], days: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["token", "create", "alice", f"--days={days}"])
    assert end.value.code == 2
    assert "--days: expected a whole number from 1 to 36500" in capsys.readouterr().err


def test_a_token_is_revoked_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "alice")
    said(capsys, "token", "create", "alice")
    said(capsys, "token", "revoke", "--yes", objects(capsys, "token", "list")[0]["id"])
    assert re.search(r"revoked \d{4}-\d\d-\d\d", said(capsys, "token", "list"))


def test_a_user_is_disabled_and_enabled_again(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "alice")
    said(capsys, "user", "disable", "--yes", "alice")
    assert "disabled" in said(capsys, "user", "list")
    said(capsys, "user", "enable", "alice")
    assert "may ask" in said(capsys, "user", "list")


def test_a_token_has_terms_and_is_listed_with_them(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "alice")
    terms = (
        "--kind",
        "temporary",
        "--days",
        "3",
        "--models",
        "gpt-4*,o1",
        "--networks",
        "10.0.0.1/8",
        "--addresses",
        "2",
        "--keepalive",
        "chunk",
    )
    said(capsys, "token", "create", "alice", *terms)
    listed = said(capsys, "token", "list")
    assert ", temporary, models gpt-4* o1, from 10.0.0.0/8, from 2 addresses, keepalive chunk" in listed


@pytest.mark.slow
def test_a_token_is_rotated_and_the_old_one_is_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "alice")
    said(capsys, "token", "create", "alice", "--name", "laptop")
    old = objects(capsys, "token", "list")[0]["id"]
    assert looks_like_token(said(capsys, "token", "rotate", old).strip())
    assert re.search(rf"{old} .* laptop +revoked .*\n{old}-2 .* laptop +valid$", said(capsys, "token", "list").strip())
    assert "this token has ended" in refused(capsys, "token", "rotate", old)


def test_a_pass_is_issued_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "alice")
    assert looks_like_pass(said(capsys, "pass", "issue", "alice", "--usd", "2.50", "--days", "7").strip())
    listed = said(capsys, "pass", "list")
    assert re.search(r"alice +- +2\.50 USD +until 20", listed)
    said(capsys, "pass", "revoke", listed.splitlines()[1].split()[0])
    assert "revoked" in said(capsys, "pass", "list")
    assert "no such pass" in refused(capsys, "pass", "revoke", "nothing")


@pytest.mark.slow
def test_a_course_is_made_looked_at_and_closed(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "curie")
    dates = ("--since", "2026-10-01", "--until", "2199-03-31")
    made = ("course", "create", "NLP", "--teachers", "curie", "--pot", "200", "--per-head", "5", *dates)
    assert "needs --since and --until" in refused(capsys, *made[:-2])
    code = said(capsys, *made).strip()
    assert said(capsys, "course", "code", "NLP").strip() != code
    assert re.search(r"NLP +2026-10-01T00:00:00Z +2199-04-01T00:00:00Z +yes", said(capsys, "course", "list"))
    assert "NLP: 0.00 USD used; pot 200.00 USD, per head 5.00 USD" in said(capsys, "course", "view", "NLP")
    said(capsys, "group", "add", "NLP", "curie")
    assert re.search(r"curie +0 +0 +0 +0\.00", said(capsys, "course", "view", "NLP"))
    said(capsys, "course", "close", "NLP")
    assert re.search(r"NLP .* no$", said(capsys, "course", "list").strip())


@pytest.mark.slow
def test_what_is_done_to_people_is_in_the_audit_log_without_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "alice")
    secret = said(capsys, "token", "create", "alice").strip()
    token = objects(capsys, "token", "list")[0]["id"]
    another = said(capsys, "token", "rotate", token).strip()
    said(capsys, "token", "revoke", "--yes", f"{token}-2")
    said(capsys, "user", "disable", "--yes", "alice")
    guest = said(capsys, "pass", "issue", "alice", "--usd", "1").strip()
    log = said(capsys, "audit")
    for action in ("person.create", "token.create", "token.rotate", "token.revoke", "person.disabled", "pass.issue"):
        assert action in log
    assert all(each not in log for each in (secret, another, guest))


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("token", "create", "nobody"), "there is no such person"),
        (("token", "revoke", "tok_1"), "there is no such token"),
        (("user", "disable", "nobody"), "there is no such person"),
        (("user", "create", "shared"), "this name is kept"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_exit_code_is_1(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], reason: str
) -> None:
    assert reason in refused(capsys, *argv)


def test_a_damaged_pepper_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("fairgate.db.pepper").write_text("short")
    assert "the pepper's file is damaged" in refused(capsys, "user", "list")


def test_a_configured_pepper_needs_no_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_PEPPER", "a pepper for tests, of 32 letters or more")
    said(capsys, "user", "list")
    assert not Path("fairgate.db.pepper").exists()


def test_the_store_of_the_command_line_is_used(capsys: pytest.CaptureFixture[str], empty_place: Path) -> None:
    (empty_place / "fairgate.db").unlink()
    assert said(capsys, "--store", "sqlite:///other.db", "store", "create").strip() == str(empty_place / "other.db")
    said(capsys, "--store", "sqlite:///other.db", "user", "create", "alice")
    assert not (empty_place / "fairgate.db").exists()


def test_keys_are_listed_by_fingerprint_and_end_only(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text(f"OPENAI_KEY={SECRET}\nANTHROPIC_KEY=short\nANTHROPIC_MODELS=m1,m2\n")
    head, openai, anthropic = said(capsys, "key", "list").splitlines()
    assert head.split() == ["upstream", "id", "hint", "models", "state"]
    assert re.fullmatch(r"openai +[0-9a-f]{8}  …6789  all its models +-", openai)
    assert re.fullmatch(r"anthropic +[0-9a-f]{8}  …\*{4}  m1, m2 +-", anthropic)


def test_a_key_whose_upstream_is_not_there_fails_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text(f"OPENAI_KEY={SECRET}@http://127.0.0.1:1/v1\n")
    assert main(["key", "check"]) == 1
    out, err = capsys.readouterr()
    _, line = out.splitlines()
    assert re.fullmatch(r"openai +[0-9a-f]{8}  …6789  unreachable +no connection, or not an HTTP answer", line)
    assert err == "not every key is let in\n"


def run(tmp_path: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server", "--store", f"sqlite:///{tmp_path}/a.db", *argv]
    return subprocess.run(
        command, cwd=ROOT, env={"DEMO": "off"}, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.slow
def test_it_is_a_module_that_can_be_run(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    done = run(tmp_path, "user", "list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_port_that_is_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    socket, port = tornado.testing.bind_unused_port()
    done = run(tmp_path, "--host", "127.0.0.1", "--port", str(port))
    socket.close()
    reason = f"fairgate cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", reason)
