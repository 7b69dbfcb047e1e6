"""A misspelt setting is named at the start, with the one that is meant."""

from __future__ import annotations

import pytest

from server.config.misspelt import misspelt
from server.config.settings import SETTINGS, load

NAMES = [setting.name for setting in SETTINGS]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OPENAI_KEYS", "OPENAI_KEY"),
        ("ADMIN_KEYY", "ADMIN_KEY"),
        ("ADMINKEY", "ADMIN_KEY"),
        ("ANTHROPIC_KEYS", "ANTHROPIC_KEY"),
        ("openai_key", "OPENAI_KEY"),
        ("STORE_URI", "STORE_URL"),
        ("UPSTREAM_FILE", "UPSTREAMS_FILE"),
        ("PUBLICURL", "PUBLIC_URL"),
        ("OPENAI_KEY_2", ""),
        ("HOSTNAME", ""),
        ("LOGNAME", ""),
        ("PATH", ""),
        ("OPENAI_BASE_URL", ""),
    ],
)
def test_what_is_almost_a_setting_is_said_with_the_nearest(name: str, meant: str) -> None:
    said = list(misspelt([name], NAMES, ()))
    assert len(said) == bool(meant)
    assert not meant or f"If {meant} is meant" in said[0]


def test_no_setting_is_a_slip_of_another() -> None:
    assert list(misspelt(NAMES, NAMES, ())) == []


def test_the_start_says_it_without_the_value() -> None:
    settings = load(environ={"ADMIN_KEYY": "a secret of the operator"}, dotenv=None)
    (note,) = settings.slips
    assert note.startswith("ADMIN_KEYY: no setting has this name")
    assert "secret" not in note


def test_a_name_of_another_project_is_no_slip() -> None:
    assert list(misspelt(["OPENAI_API_KEYS"], NAMES, ["OPENAI_API_KEYS"])) == []
