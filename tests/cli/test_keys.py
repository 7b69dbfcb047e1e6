"""`python -m server key ...`: keys come and go while the gateway runs, and no secret is an argument or an output."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from server.cli.main import main
from server.config.settings import SETTINGS
from server.config.specs import Secret

CONFIGURED, ADDED = "sk-do-not-show-configured", "sk-do-not-show-added"
KEY = Secret(ADDED).fingerprint
ROOT = Path(__file__).parents[2]
MASTER = "a master key for tests of 32 letters"


@pytest.fixture(autouse=True)
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory whose `.env` names one key and a master key, and an environment without settings."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("fairgate.db").touch()  # a store that is there, and empty
    return write_env(f"MASTER_KEYS={MASTER}")


def write_env(*lines: str) -> Path:
    path = Path(".env").absolute()
    named = [f"OPENAI_KEY={CONFIGURED}", "OPENAI_MODELS=m1,m2", "KEY_SLOTS=3"]
    path.write_text("\n".join([*named, *lines]))
    return path


class Typed:
    """What the operator types when asked; counts how often that was."""

    def __init__(self, text: str) -> None:
        self.text, self.asked = text, 0

    def __call__(self) -> str:
        self.asked += 1
        return self.text


def untested(argv: Sequence[str]) -> list[str]:
    """No provider can be asked here."""
    return ["--untested"] if argv[0] == "add" else []


def said(capsys: pytest.CaptureFixture[str], *argv: str, typed: str = ADDED) -> str:
    assert main(["key", *argv, *untested(argv)], Typed(typed)) == 0
    out, err = capsys.readouterr()
    assert ADDED not in out + err
    return out


def refused(capsys: pytest.CaptureFixture[str], *argv: str, typed: str = ADDED) -> str:
    assert main(["key", *argv, *untested(argv)], Typed(typed)) == 1
    out, err = capsys.readouterr()
    assert ADDED not in out + err
    return err


def listed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines below the head."""
    return said(capsys, "list").splitlines()[1:]


def test_a_key_is_added_to_an_upstream_that_is_there_and_listed_beside_its_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        said(capsys, "add", "--upstream", "openai", typed=f"  {ADDED}\n") == f"openai           {KEY}  …dded  added\n"
    )
    configured, added = listed(capsys)
    assert re.fullmatch(r"openai +[0-9a-f]{8}  …ured  m1, m2 +-", configured)
    assert added == f"openai    {KEY}  …dded  m1, m2  added"


def test_the_terms_of_an_added_key_are_changed(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "add", "--upstream", "openai", "--rpm", "60", "--group", "staff")
    said(capsys, "change", KEY, "--slots", "3", "--rpm", "", "--group", "", "--owner", "Ada", "--models", "m1")
    configured, key = json.loads(said(capsys, "list", "--json"))
    assert (key["slots"], key["rpm"], key["groups"], key["owner"], key["models"]) == (3, None, [], "Ada", ["m1"])
    for wrong in ([KEY], [configured["id"], "--slots", "3"], ["ffffffff", "--slots", "3"]):
        assert main(["key", "change", *wrong]) == 1


@pytest.mark.parametrize("verb", ["list", "check"])
def test_where_there_is_no_key_the_next_step_is_said(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("")
    assert main(["key", verb]) == 0
    out, err = capsys.readouterr()
    assert (out, "OPENAI_KEY" in err) == ("", True)


def test_a_key_may_have_an_upstream_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "add", "--dialect", "anthropic")
    said(capsys, "add", "--dialect", "openai", "--base-url", "http://127.0.0.1:9/v1", "--models", "a,b", typed="sk-b")
    _, first, second = listed(capsys)
    assert first == f"anthropic-{KEY}  {KEY}  …dded  all its models  added"
    assert re.search(r"…\*{4}  a, b +added$", second)


def test_a_key_is_paused_resumed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "add", "--upstream", "openai")
    said(capsys, "pause", KEY)
    assert listed(capsys)[1].endswith("m1, m2  added, paused")
    said(capsys, "resume", KEY)
    said(capsys, "recheck", KEY)
    assert listed(capsys)[1].endswith("m1, m2  added")
    said(capsys, "remove", "--yes", KEY)
    assert len(listed(capsys)) == 1


def test_a_key_of_the_configuration_is_paused_too(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "pause", Secret(CONFIGURED).fingerprint)
    assert listed(capsys)[0].endswith("m1, m2  paused")


def test_the_master_key_is_changed_while_keys_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "add", "--upstream", "openai")
    master = said(capsys, "new-master").strip()
    assert len(master) >= 32
    write_env(f"MASTER_KEYS={master}")
    assert f"key {KEY} cannot be decrypted" in refused(capsys, "rotate-master")
    write_env(f"MASTER_KEYS={master},{MASTER}")
    assert said(capsys, "rotate-master").startswith("1 keys are encrypted")
    write_env(f"MASTER_KEYS={master}")
    said(capsys, "rotate-master")


def test_added_keys_are_checked_too_and_one_that_cannot_be_opened_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text(f"MASTER_KEYS={MASTER}")
    said(capsys, "add", "--dialect", "openai", "--base-url", "http://127.0.0.1:1/v1")
    assert main(["key", "check"]) == 1
    assert re.search(rf"{KEY}  …dded  unreachable +no connection", capsys.readouterr().out)
    Path(".env").write_text("")
    assert main(["key", "check"]) == 1
    assert re.search(rf"{KEY}  …dded  unclear +it cannot be decrypted", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("add", "--upstream", "physics"), "there is no such upstream"),
        (("add", "--upstream", "openai", "--base-url", "https://example.org"), "--base-url goes with --dialect"),
        (("add", "--dialect", "openai", "--dialect", "anthropic"), "say which with --base-url"),
        (("remove", "ffffffff"), "there is no such key"),
        (("remove", Secret(CONFIGURED).fingerprint), "take it out there, or pause it"),
        (("pause", "ffffffff"), "there is no such key"),
    ],
)
def test_what_cannot_be_done_is_said(capsys: pytest.CaptureFixture[str], argv: Sequence[str], reason: str) -> None:
    assert reason in refused(capsys, *argv)


def test_the_models_of_an_upstream_that_lists_them_are_not_named_for_one_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path(".env").write_text(f"OPENAI_KEY={CONFIGURED}\nMASTER_KEYS={MASTER}")
    assert "leave --models out" in refused(capsys, "add", "--upstream", "openai", "--models", "m1")


@pytest.mark.parametrize("typed", ["", "\n", "two words", "schlüssel"])
def test_what_is_no_key_is_refused_without_being_repeated(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    reason = "the key: expected a key without spaces, of ASCII characters only\n"
    assert refused(capsys, "add", "--upstream", "openai", typed=typed) == reason


def test_a_key_that_is_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "add", "--upstream", "openai")
    assert "added already" in refused(capsys, "add", "--upstream", "openai")
    assert "in the configuration already" in refused(capsys, "add", "--upstream", "openai", typed=CONFIGURED)


def test_without_a_master_key_nobody_is_asked_for_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    write_env()
    typed = Typed(ADDED)
    assert main(["key", "add", "--upstream", "openai"], typed) == 1
    assert "new-master" in capsys.readouterr().err
    assert typed.asked == 0


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        ((), "one of the arguments --upstream --dialect is required"),
        (("--dialect", "openai", "--base-url", "http://example.org"), "--base-url: expected an address such as"),
        (("--upstream", "openai", "--slots", "0"), "--slots: expected a whole number from 1 to 10000"),
        (("--upstream", "openai", "--monthly-cap-usd", "much"), "--monthly-cap-usd: expected US dollars"),
    ],
)
def test_arguments_that_cannot_be_used_end_with_2(
    capsys: pytest.CaptureFixture[str], argv: Sequence[str], reason: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["key", "add", *argv])
    assert end.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_short_master_key_is_a_mistake_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    write_env(f"MASTER_KEYS={ADDED}")
    assert main(["key", "list"]) == 2
    err = capsys.readouterr().err
    assert (
        "MASTER_KEYS: expected texts of 32 characters or more that are hard to guess, the one to encrypt with first"
        in err
    )
    assert ADDED not in err


@pytest.mark.slow
def test_the_key_is_read_from_the_standard_input(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    gateway = [sys.executable, "-m", "server", "--store", f"sqlite:///{tmp_path}/a.db"]
    done = subprocess.run(
        [*gateway, "key", "add", "--untested", "--dialect", "openai"],
        cwd=ROOT, env={"DEMO": "off", "MASTER_KEYS": MASTER}, input=f"{ADDED}\n", capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"openai-{KEY}  {KEY}  …dded  added\n"), done.stderr
    assert done.stderr == "Running gateways use it within 2 seconds.\n"
