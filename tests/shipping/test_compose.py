"""The gateway with MongoDB under Docker Compose: right by the specification's own schema, and shut in."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import yaml

from server.bootstrap.serve import LAST_WORDS_SECONDS
from server.config.settings import SETTINGS, Settings, load
from tests.fetched import by_pip
from tests.shipping.place import ROOT

FILE, MANY = ROOT / "docker-compose.yml", ROOT / "deploy" / "many" / "compose.yaml"  # test_many_compose.py
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
GATEWAY, MONGO = COMPOSE["services"]["fairgate"], COMPOSE["services"]["mongo"]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_it_is_right_by_the_published_schema() -> None:
    """The package `check-jsonschema` carries the Compose specification's schema."""
    folder = by_pip("check-jsonschema")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE), str(MANY)]
    found = subprocess.run(check, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_its_settings_are_settings_and_understood() -> None:
    environ = {**GATEWAY["environment"], "TOKEN_PEPPER": "a pepper for tests, of 32 letters or more"}
    assert set(environ) <= {row.name for row in SETTINGS}
    assert load(environ=environ, dotenv=None).store_url == "mongodb://mongo:27017/fairgate"


def test_the_gateway_starts_when_the_store_is_there_and_may_drain_before_it_is_killed() -> None:
    assert GATEWAY["depends_on"] == {"mongo": {"condition": "service_healthy"}}
    assert "ping" in MONGO["healthcheck"]["test"][-1]
    grace = int(GATEWAY["stop_grace_period"].removesuffix("s"))
    assert grace > Settings().drain_seconds + LAST_WORDS_SECONDS


def test_the_store_is_reached_through_the_gateway_only() -> None:
    assert "ports" not in MONGO
    assert MONGO["networks"] == ["back"]
    assert COMPOSE["networks"]["back"]["internal"]


def test_the_gateway_may_write_to_its_volume_and_nowhere_else() -> None:
    assert GATEWAY["read_only"]
    assert GATEWAY["volumes"] == ["fairgate:/data"]
    assert GATEWAY["environment"]["JOURNAL"].startswith("/data/")
    assert GATEWAY["cap_drop"] == ["ALL"]
    assert GATEWAY["security_opt"] == ["no-new-privileges:true"]


def test_it_is_not_shown_to_the_world_without_a_certificate() -> None:
    assert all(port.startswith("127.0.0.1:") for port in GATEWAY["ports"])
