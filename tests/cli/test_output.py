"""Listings for people and for programs, and a store that no verb makes by mistake."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.cli.completion import complete
from server.cli.context import table
from server.cli.main import _parser, main
from server.cli.output import HEAD, PLAIN, coloured, with_head
from server.config.settings import SETTINGS, Settings
from server.config.shapes import Shape
from server.http.api import schemas
from server.http.api.aliases import ALIAS_SHAPE

LISTS = {"list", "sums", "view", "show", "check"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment without settings."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def children(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for each in parser._actions:
        if isinstance(each, argparse._SubParsersAction):
            yield from each.choices.items()


NOUNS = dict(children(_parser(lambda: "")))
LISTINGS = [(noun, verb) for noun, parser in NOUNS.items() for verb, _ in children(parser) if verb in LISTS]


def test_every_listing_has_json() -> None:
    found = {(noun, verb): each for noun, parser in NOUNS.items() for verb, each in children(parser)}
    assert len(LISTINGS) >= 14
    for each in (found[listing] for listing in LISTINGS):
        assert "--json" in each._option_string_actions
    assert "--json" in NOUNS["audit"]._option_string_actions


SHAPES: dict[str, Shape] = {
    "user": schemas.PERSON_SHAPE,
    "token": schemas.TOKEN_SHAPE,
    "pass": schemas.PASS_SHAPE,
    "group": schemas.GROUP_SHAPE,
    "course": schemas.GROUP_SHAPE,
    "limit": schemas.LIMIT_SHAPE,
    "price": schemas.PRICE_SHAPE,
    "notice": schemas.NOTICE_SHAPE,
    "alias": ALIAS_SHAPE,
    "key": schemas.KEY_SHAPE,
}


def objects(capsys: pytest.CaptureFixture[str], *argv: str) -> list[dict[str, Any]]:
    assert main([*argv, "--json"]) == 0, capsys.readouterr().err
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, list)
    return found


@pytest.mark.slow
def test_a_listing_has_the_fields_of_the_api(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    (place / ".env").write_text("OPENAI_KEY=sk-do-not-show-0123456789\n")
    for command in (
        "store create",
        "user create ada",
        "token create ada",
        "pass issue ada --usd 1",
        "course create nlp --teachers ada --since 2026-10-01 --until 2099-04-01",
        "limit set --everyone 5usd/day",
        "price set m --input 1 --output 2",
        "notice set hello",
        "alias set short m",
    ):
        assert main(command.split()) == 0, capsys.readouterr().err
    capsys.readouterr()
    for noun, shape in SHAPES.items():
        found = objects(capsys, noun, "list")
        assert found, noun
        needed, optional = set(shape.members), set(shape.optional)  # type: ignore[attr-defined]  # all are things
        for each in found:
            assert needed <= set(each) <= needed | optional, noun
    assert {each["action"] for each in objects(capsys, "audit")} >= {"person.create", "token.create"}
    assert set(objects(capsys, "audit")[0]) == set(schemas.CHANGE.members)
    (member,) = objects(capsys, "course", "view", "nlp") or [{"name": "", "left": False, "used": {}}]
    assert set(member) == {"name", "left", "used"}
    assert objects(capsys, "usage", "sums") == []


@pytest.mark.parametrize(
    "argv",
    [
        ["user", "list"],
        ["user", "create", "ada"],
        ["limit", "list", "--json"],
        ["key", "pause", "ffffffff"],
        ["usage", "sums"],
        ["audit"],
        ["store", "adopt"],
        ["backup", "copy.db"],
    ],
)
def test_no_verb_makes_a_store_in_a_wrong_folder(
    capsys: pytest.CaptureFixture[str], place: Path, argv: list[str]
) -> None:
    assert main(argv) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"there is no store at {place}/fairgate.db" in err
    for help_ in ("--store", "STORE_URL", "store create"):
        assert help_ in err
    assert list(place.iterdir()) == []


def test_a_path_from_the_root_is_no_matter_of_the_folder(
    capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path
) -> None:
    (tmp_path / "var").mkdir()
    assert main(["--store", f"sqlite:///{tmp_path}/var/gate.db", "user", "create", "ada"]) == 0
    assert (tmp_path / "var/gate.db").exists()
    assert main(["--store", f"sqlite:///{tmp_path}/misspelt/gate.db", "user", "create", "ada"]) == 1
    assert f"there is no store at {tmp_path}/misspelt/gate.db" in capsys.readouterr().err
    assert list(place.glob("*.db")) == []


def test_the_keys_of_the_settings_are_looked_at_before_there_is_a_store(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    (place / ".env").write_text("OPENAI_KEY=sk-do-not-show-0123456789\n")
    assert main(["key", "list"]) == 0
    out, err = capsys.readouterr()
    assert "…6789" in out
    assert f"There is no store at {place}/fairgate.db" in err
    assert [each.name for each in place.iterdir()] == [".env"]


def test_a_store_is_made_on_purpose_and_only_once(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    assert main(["store", "create"]) == 0
    assert capsys.readouterr().out == f"{place}/fairgate.db\n"
    assert main(["user", "list"]) == 0
    assert main(["store", "create"]) == 1
    assert "there is a store already" in capsys.readouterr().err


def test_a_head_is_in_colour_on_a_terminal_only_and_never_against_no_color() -> None:
    assert coloured(Settings(), terminal=True)
    assert not coloured(Settings(), terminal=False)
    assert not coloured(Settings(no_color=True), terminal=True)
    text = table(("id", "n"), [("a", 1)])
    assert with_head(text, colour=False) == text
    assert with_head(text, colour=True) == f"{HEAD}id  n{PLAIN}\na   1"


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("fairgate ")


def test_a_shell_completes_verbs_and_options_and_nothing_happens_if_none_asks() -> None:
    complete(_parser(lambda: ""))
    argcomplete = pytest.importorskip("argcomplete", reason="it is an extra: pip install '.[completion]'")
    finder = argcomplete.CompletionFinder(_parser(lambda: ""), append_space=False)
    for typed, begun, expected in ((["token"], "re", ["revoke"]), (["user", "list"], "--j", ["--json"])):
        assert [each.strip() for each in finder._get_completions(["fairgate", *typed], begun, "", None)] == expected
