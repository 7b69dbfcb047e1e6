"""Three gateways, three members of MongoDB and a balancer under Docker Compose."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.bootstrap.serve import LAST_WORDS_SECONDS
from server.config.settings import SETTINGS, Settings, load
from tests.shipping.place import ROOT

FOLDER = ROOT / "deploy" / "many"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
GATEWAYS = {name: each for name, each in SERVICES.items() if name.startswith("gateway-")}
MEMBERS = {name: each for name, each in SERVICES.items() if name.startswith("mongo-")}
BALANCER = (FOLDER / "haproxy.cfg").read_text()
FIELDS = {
    "build", "cap_drop", "command", "depends_on", "entrypoint", "env_file", "environment", "healthcheck", "image",
    "networks", "ports", "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip
needs_haproxy = pytest.mark.skipif(
    shutil.which("haproxy") is None and "CI" not in os.environ, reason="haproxy is not installed"
)


def test_there_are_three_of_each_and_nothing_that_compose_does_not_know() -> None:
    assert (len(GATEWAYS), len(MEMBERS)) == (3, 3)
    assert set(SERVICES) == {*GATEWAYS, *MEMBERS, "balancer", "replica-set"}
    assert {field for each in SERVICES.values() for field in each} <= FIELDS


def test_the_settings_are_settings_and_name_every_member() -> None:
    for gateway in GATEWAYS.values():
        environ = {**gateway["environment"], "TOKEN_PEPPER": "a pepper for tests, of 32 letters or more"}
        assert set(environ) <= {row.name for row in SETTINGS}
        url = load(environ=environ, dotenv=None).store_url
        assert url == f"mongodb://{','.join(MEMBERS)}/fairgate?replicaSet=fairgate"
        assert gateway["depends_on"] == {"replica-set": {"condition": "service_completed_successfully"}}
        assert int(gateway["stop_grace_period"].removesuffix("s")) > Settings().drain_seconds + LAST_WORDS_SECONDS


def test_every_gateway_has_a_journal_of_its_own_and_may_write_nowhere_else() -> None:
    volumes = [tuple(each["volumes"]) for each in GATEWAYS.values()]
    assert len(set(volumes)) == 3
    for gateway in GATEWAYS.values():
        assert gateway["read_only"]
        assert gateway["environment"]["JOURNAL"].startswith("/data/")
        assert (gateway["cap_drop"], gateway["security_opt"]) == (["ALL"], ["no-new-privileges:true"])


def test_the_members_belong_together_and_are_reached_through_the_gateways_only() -> None:
    begin = SERVICES["replica-set"]["command"][0]
    for name, member in MEMBERS.items():
        assert f'host: "{name}"' in begin
        assert member["command"][:2] == ["--replSet", "fairgate"]
        assert "ports" not in member
        assert member["networks"] == ["back"]
    assert COMPOSE["networks"]["back"]["internal"]


def test_only_the_balancer_is_reached_from_here_and_it_counts_as_a_proxy() -> None:
    assert [name for name, each in SERVICES.items() if "ports" in each] == ["balancer"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["balancer"]["ports"])
    assert "option forwardfor" in BALANCER
    assert {each["environment"]["TRUSTED_PROXY_HOPS"] for each in GATEWAYS.values()} == {"2"}


def test_the_balancer_knows_every_gateway_asks_whether_it_is_ready_and_repeats_nothing_that_was_sent() -> None:
    for name in GATEWAYS:
        assert f"server {name} {name}:8080" in BALANCER
    assert "option httpchk GET /readyz" in BALANCER
    assert "retry-on conn-failure\n" in BALANCER
    assert "timeout server 3660s" in BALANCER, "longer than TOTAL_SECONDS"
    assert Settings().total_seconds < 3660


@needs_haproxy
def test_haproxy_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    known = BALANCER
    for name in GATEWAYS:
        known = known.replace(f"{name}:8080", "127.0.0.1:8080")  # names that are not known here
    (tmp_path / "haproxy.cfg").write_text(known)
    found = subprocess.run(["haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg")], capture_output=True, check=False)
    assert (found.returncode, b"[WARNING]" in found.stderr, b"[ALERT]" in found.stderr) == (0, False, False)
