"""A start that contradicts its store refuses and says what to do; a change on purpose has a way."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from server.bootstrap.ownership import NOT_ALONE, alone
from server.bootstrap.serve import open_services
from server.cli.main import main
from server.config.settings import Secret, Settings
from server.keys.encryption import KeyEncryption
from server.store import store_for
from server.store.identity import NO_UPSTREAM, OTHER_MASTER, OTHER_PEPPER, ForeignStoreError
from server.store.records import AddedKey
from tests.fakes.upstream import FakeUpstream
from tests.gateways import spec

PEPPER, OTHER = Secret("a-pepper-of-this-store-0123456789abcdef"), Secret("another-pepper-of-it-0123456789abcdef9")
MASTER, NEW = Secret("q8Zr2vLx5Tn9Wc3Ky7Hd1Mf6Bp4Gs0Ja"), Secret("Yw3Nk8Rt1Vb6Qx4Lp9Zc2Hm7Df5Js0Ge")
ADDED = Secret("sk-added-at-run-time")


def settings(folder: Path, fake: FakeUpstream) -> Settings:
    return Settings(
        port=0, store_url=f"sqlite:///{folder}/test.db", upstreams=(spec(fake),), access_log=False, token_pepper=PEPPER
    )


async def start(settings: Settings) -> str:
    """Start and stop a gateway; what it refuses with, or nothing."""
    try:
        async with open_services(settings) as services:
            if not await services.accounts.people():
                await services.accounts.create_person("ada")
                await services.accounts.create_token("ada", "test")
    except ForeignStoreError as error:
        return str(error)
    return ""


async def add_key(settings: Settings, master: Secret) -> None:
    async with store_for(settings.store_url) as store:
        encrypted = KeyEncryption([master]).encrypt(ADDED)
        terms = replace(settings.upstreams[0], name="added", keys=())
        await store.add_key(AddedKey(id=ADDED.fingerprint, spec=terms, hint="time", encrypted=encrypted, added_at=1))


@pytest.mark.gen_test
async def test_another_pepper_is_refused_while_tokens_need_the_old_one(tmp_path: Path) -> None:
    async with FakeUpstream() as fake:
        ours = settings(tmp_path, fake)
        assert await start(ours) == ""
        assert await start(replace(ours, token_pepper=OTHER)) == OTHER_PEPPER
        assert await start(replace(ours, token_pepper=None)) == OTHER_PEPPER
        assert await start(ours) == "", "a refused start has changed nothing"


@pytest.mark.gen_test
async def test_a_deleted_pepper_file_is_noticed(tmp_path: Path) -> None:
    async with FakeUpstream() as fake:
        ours = replace(settings(tmp_path, fake), token_pepper=None)
        assert await start(ours) == ""
        file = tmp_path / "test.db.pepper"
        kept = file.read_bytes()
        file.unlink()
        assert await start(ours) == OTHER_PEPPER
        file.write_bytes(kept)
        assert await start(ours) == ""


@pytest.mark.gen_test
async def test_a_deleted_env_does_not_start_the_demo_over_a_real_store(tmp_path: Path) -> None:
    async with FakeUpstream() as fake:
        ours = settings(tmp_path, fake)
        assert await start(ours) == ""
        assert await start(replace(ours, upstreams=())) == NO_UPSTREAM
        assert await start(replace(ours, upstreams=(), demo="off")) == ""
        assert await start(replace(ours, upstreams=())) == NO_UPSTREAM, "it stays a real one"


@pytest.mark.gen_test
async def test_lost_master_keys_are_asked_for_and_changed_ones_are_welcome(tmp_path: Path) -> None:
    async with FakeUpstream() as fake:
        ours = replace(settings(tmp_path, fake), master_keys=(MASTER,))
        assert await start(ours) == ""
        await add_key(ours, MASTER)
        assert await start(replace(ours, master_keys=())) == OTHER_MASTER
        assert await start(replace(ours, master_keys=(NEW,))) == OTHER_MASTER
        assert await start(replace(ours, master_keys=(NEW, MASTER))) == ""
        assert await start(replace(ours, master_keys=(NEW,))) == OTHER_MASTER, "the keys are not encrypted anew yet"
        async with store_for(ours.store_url) as store:
            await store.remove_key(ADDED.fingerprint)
        assert await start(replace(ours, master_keys=(NEW,))) == ""


@pytest.mark.gen_test
async def test_a_second_gateway_on_one_file_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with FakeUpstream() as fake:
        ours = settings(tmp_path, fake)
        with caplog.at_level(logging.WARNING), alone(ours):
            assert caplog.messages == []
            assert await start(ours) == ""
            assert NOT_ALONE in caplog.messages
        caplog.clear()
        assert await start(ours) == ""
        assert caplog.messages == []


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The command line in an empty folder, with a pepper."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN_PEPPER", PEPPER.reveal())
    monkeypatch.setenv("STORE_URL", f"sqlite:///{tmp_path}/test.db")
    (tmp_path / "test.db").touch()
    return monkeypatch


def test_the_command_line_makes_no_token_that_cannot_work_until_the_store_is_adopted(
    shell: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "adopt"]) == 0
    assert main(["user", "create", "ada"]) == 0
    assert main(["token", "create", "ada"]) == 0
    shell.setenv("TOKEN_PEPPER", OTHER.reveal())
    capsys.readouterr()
    assert main(["token", "create", "ada"]) == 1
    assert capsys.readouterr().err.strip() == OTHER_PEPPER
    assert main(["token", "list"]) == 0, "what makes nothing goes on working"
    assert main(["store", "adopt"]) == 0
    assert "do not work: make new ones" in capsys.readouterr().out
    assert main(["token", "create", "ada"]) == 0


def test_a_new_master_key_is_not_advised_where_it_could_not_decrypt(
    shell: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ["key", "add", "--untested", "--dialect", "openai"]
    shell.setenv("MASTER_KEYS", MASTER.reveal())
    assert main(key, lambda: ADDED.reveal()) == 0
    for lost in ("", NEW.reveal()):
        shell.setenv("MASTER_KEYS", lost)
        capsys.readouterr()
        assert main(key, lambda: "sk-one-more") == 1
        assert capsys.readouterr().err.strip() == OTHER_MASTER


def test_a_start_says_in_one_line_what_does_not_fit(
    shell: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.setenv("OPENAI_KEY", "sk-a@https://llm.example.org/v1")
    assert main(["store", "adopt"]) == 0
    shell.delenv("OPENAI_KEY")
    capsys.readouterr()
    assert main(["--port", "0"]) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1] == NO_UPSTREAM
