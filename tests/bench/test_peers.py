"""The configurations of peers and of the gateway, and where peers are kept: bench/peers, bench/gateway.py."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from bench.gateway import LIMITS, PRICES, upstreams
from bench.load import LoadError, Target
from bench.peers import cache, litellm, nginx, portkey
from server.config.settings import load

MOCK = Target(4242, "sk-mock", "bench")
ENDS, FAILS = ["true"], ["sh", "-c", "echo no such package; exit 1"]


def test_the_gateway_reads_the_settings_that_the_bench_writes(tmp_path: Path) -> None:
    (tmp_path / "upstreams.yaml").write_text(upstreams(MOCK, Target(4343, "sk-mock", "bench")))
    (tmp_path / "prices.yaml").write_text(PRICES)
    files = {"UPSTREAMS_FILE": str(tmp_path / "upstreams.yaml"), "PRICES_FILE": str(tmp_path / "prices.yaml")}
    settings = load({"LIMITS": LIMITS, **files}, environ={}, dotenv=None)
    plain, tls = settings.upstreams
    assert (plain.base_url, plain.models) == ("http://127.0.0.1:4242/v1", ("bench",))
    assert (tls.base_url, tls.models) == ("https://127.0.0.1:4343/v1", ("bench-tls",))
    assert len({key.reveal() for each in settings.upstreams for key in each.keys}) == 4
    assert len(settings.limits) == 2


def test_nginx_relays_without_buffers_over_connections_that_it_keeps() -> None:
    written = nginx.CONFIGURATION.format(place="/place", port=1234, upstream=4242)
    assert written.count("{") == written.count("}")
    for line in ("listen 127.0.0.1:1234", "server 127.0.0.1:4242;", "proxy_buffering off;", "keepalive 256;"):
        assert line in written
    assert not re.search(r"\{\w+\}", written)


def test_litellm_knows_the_mock_as_its_model() -> None:
    written = yaml.safe_load(litellm.CONFIGURATION.format(model="bench", upstream=4242, key="sk-mock", master="sk-m"))
    (model,) = written["model_list"]
    assert model["model_name"] == "bench"
    assert model["litellm_params"]["api_base"] == "http://127.0.0.1:4242/v1"
    assert written["general_settings"] == {"master_key": "sk-m"}


def test_portkey_is_installed_with_the_server_that_can_stream_and_asked_by_headers() -> None:
    assert json.loads(portkey.package())["overrides"] == {"@hono/node-server": "1.13.8"}
    request = Target(1, "sk", "bench", portkey.headers(4242)).plain()
    assert b"\r\nx-portkey-custom-host: http://127.0.0.1:4242/v1\r\n" in request


@pytest.mark.gen_test
async def test_what_is_installed_is_installed_once_for_each_version(tmp_path: Path) -> None:
    stamp = tmp_path / "installed"
    await cache.install(stamp, "1", ["touch", "one"])
    await cache.install(stamp, "1", FAILS)  # is not run
    await cache.install(stamp, "2", ["touch", "two"])
    assert {path.name for path in tmp_path.iterdir()} == {"installed", "one", "two"}
    assert stamp.read_text() == "2"


@pytest.mark.parametrize(
    ("command", "complaint"), [(FAILS, "no such package"), (["no-such-program"], "no-such-program cannot be run")]
)
@pytest.mark.gen_test
async def test_what_cannot_be_installed_says_why_and_is_tried_again(
    tmp_path: Path, command: list[str], complaint: str
) -> None:
    with pytest.raises(LoadError, match=complaint):
        await cache.install(tmp_path / "installed", "1", command)
    await cache.install(tmp_path / "installed", "1", ENDS)
