"""`python -m server request ...`: what became of requests, from the store alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from server.cli.main import main
from server.config.settings import SETTINGS
from server.store import store_for
from server.store.base import Person
from tests.ledger.test_refused import ONE
from tests.store.samples import settlement


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a store in which Ada has a refused request."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(tmp_path)
    asyncio.run(fill(tmp_path))


async def fill(folder: Path) -> None:
    async with store_for(f"sqlite:///{folder}/fairgate.db") as store:
        await store.create_person(Person("ada", "Ada", False, 1))
        await store.put_refused([ONE])
        for number, cost in enumerate((5, 900, 70)):
            await store.settle(settlement(f"row_{number}", person_id="ada", cost_micro_usd=cost))


def test_refused_requests_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["request", "list", "--user", "Ada", "--status", "refused", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["request_id"], one["user"], one["code"]) == ("req_1", "Ada", "rate_limit_exceeded")
    assert main(["request", "list", "--sort=-cost", "--json"]) == 0
    assert [each["cost_micro_usd"] for each in json.loads(capsys.readouterr().out)] == [900, 70, 5]
    assert main(["request", "list"]) == 0
    assert "refused rate_limit_exceeded" in capsys.readouterr().out
    assert main(["request", "explain", "req_1"]) == 0
    said = capsys.readouterr().out
    assert "You had used up what you may use in this minute." in said
    assert "60 requests per minute" in said
    assert main(["request", "explain", "req_1", "--json"]) == 0
    assert "Wait a little" in json.loads(capsys.readouterr().out)[0]["advice"]


@pytest.mark.parametrize(
    "words",
    [
        *(["explain", "req_9"], ["list", "--user", "Nemo"], ["list", "--limit", "0"], ["list", "--since", "soon"]),
        ["list", "--status", "refused", "--sort=cost"],
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["request", *words]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
