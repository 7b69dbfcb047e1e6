"""Behind nginx and behind Caddy, as their files here set them up, a stream is a stream and a caller is a caller."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from getpass import getuser
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.config.parsers import size
from server.config.settings import SETTINGS, Settings
from tests.fakes.fates import held
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway
from tests.shipping.place import ROOT, unused_port

NGINX, CADDY = ROOT / "deploy" / "nginx.conf", ROOT / "deploy" / "Caddyfile"
NAME = "llm.example.org"
STREAM: Any = {"model": "gpt-5", "stream": True, "messages": [{"role": "user", "content": "one two three four"}]}
# In CI they are installed, and nothing is passed over there.
needs = {
    name: pytest.mark.skipif(shutil.which(name) is None and "CI" not in os.environ, reason=f"{name} is not installed")
    for name in ("nginx", "caddy")
}
PROXIES = [pytest.param(name, marks=[needs[name], pytest.mark.slow]) for name in needs]


def certify(folder: Path) -> Path:
    """A certificate of our own for the name in the files, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "privkey.pem").write_bytes(key.private_bytes(*form))
    return folder / "fullchain.pem"


def nginx(folder: Path, port: int, upstream: str) -> list[str]:
    """The command of an nginx with our file, whose port and paths are this test's."""
    site = NGINX.read_text().replace("127.0.0.1:8080", upstream).replace("listen 443", f"listen 127.0.0.1:{port}")
    site = site.replace("/etc/letsencrypt/live/llm.example.org", str(folder))
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off; user {getuser()}; pid {folder}/pid; error_log stderr;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{head}http {{ access_log off; {places}\n{site}\n}}\n")
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, upstream: str) -> list[str]:
    """The same for Caddy, which would get itself a certificate elsewhere."""
    site = CADDY.read_text().replace("127.0.0.1:8080", upstream)
    own = f"\nhttps://{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {folder}/fullchain.pem {folder}/privkey.pem\n"
    site = site.replace(f"\n{NAME} {{\n", own)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{site}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@asynccontextmanager
async def proxied(name: str, running: Running, folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that reaches the gateway through a proxy only."""
    port, upstream = unused_port(), running.url.removeprefix("http://")
    trusted = ssl.create_default_context(cafile=certify(folder))
    command = {"nginx": nginx, "caddy": caddy}[name](folder, port, upstream)
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(*command, env=environ, stdout=log, stderr=log)
    connector = aiohttp.TCPConnector(ssl=trusted, resolver=Here(port))
    try:
        async with aiohttp.ClientSession(f"https://{NAME}:{port}", connector=connector) as session:
            assert await answers(session, child), (folder / "log").read_text()
            yield session
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


class Here(aiohttp.abc.AbstractResolver):
    """Every name is this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Nothing is open."""


async def answers(session: aiohttp.ClientSession, child: asyncio.subprocess.Process) -> bool:
    """Wait until a proxy that has just been started answers; False if it ended instead."""
    while child.returncode is None:
        try:
            async with session.get("/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.1)  # another process is watched: there is nothing to wait on but its doings
    return False


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("name", PROXIES)
async def test_events_arrive_one_by_one_and_a_client_that_leaves_stops_the_upstream(name: str, tmp_path: Path) -> None:
    async with (
        FakeUpstream() as fake,
        gateway(fake, drain_usage_seconds=0) as running,
        proxied(name, running, tmp_path) as session,
    ):
        gate = asyncio.Event()
        fake.script(None, held(gate, after=3), held(asyncio.Event(), after=3))
        async with session.post("/v1/chat/completions", json=STREAM, headers=running.headers) as answer:
            early = b""
            while early.count(b"data: ") < 3:  # the upstream says no more before the gate is open
                early += await asyncio.wait_for(answer.content.readany(), 5)
            assert b"[DONE]" not in early
            gate.set()
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        async with session.post("/v1/chat/completions", json=STREAM, headers=running.headers) as answer:
            await answer.content.readany()
            assert answer.connection is not None and answer.connection.transport is not None
            answer.connection.transport.abort()  # a polite end waits for the proxy, which reads no more
        await fake.wait_for(lambda: fake.records[-1].client_left_at)
        await running.services.pipeline.quiet(5.0)
        running.assert_idle()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("name", PROXIES)
async def test_a_callers_address_is_the_proxys_word_and_not_the_callers(name: str, tmp_path: Path) -> None:
    """Thirty wrong tokens from one address are counted for that address, whatever the caller says of itself."""
    async with (
        FakeUpstream() as fake,
        gateway(fake, trusted_proxy_hops=1) as running,
        proxied(name, running, tmp_path) as session,
    ):
        statuses = []
        for number in range(31):
            headers = {"Authorization": f"Bearer wrong-{number}", "X-Forwarded-For": f"192.0.2.{number}"}
            async with session.get("/v1/models", headers=headers) as answer:
                statuses.append(answer.status)
        assert statuses == [401] * 30 + [429]


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("name", PROXIES)
async def test_the_largest_upload_fits_through(name: str, tmp_path: Path) -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, proxied(name, running, tmp_path) as session:
        form = aiohttp.FormData({"model": "gpt-5"})
        form.add_field("file", BytesIO(bytes((26 << 20) - 1024)), filename="speech.wav", content_type="audio/wav")
        headers = {"Authorization": running.headers["Authorization"]}
        async with session.post("/v1/audio/transcriptions", data=form, headers=headers) as answer:
            assert answer.status == 200


def patience() -> list[str]:
    return [
        *re.findall(r"proxy_read_timeout (\d+)s", NGINX.read_text()),
        *re.findall(r"_timeout (\d+)s", CADDY.read_text()),
    ]


def test_the_proxies_are_more_patient_than_the_gateway() -> None:
    assert len(patience()) == 3
    assert all(int(seconds) > Settings().total_seconds for seconds in patience())


def test_the_proxies_let_larger_bodies_in_than_the_gateway_refuses() -> None:
    (largest,) = (row.default for row in SETTINGS if row.name == "MAX_AUDIO_BYTES")
    (through,) = re.findall(r"client_max_body_size (\d+)m;", NGINX.read_text())
    (past,) = re.findall(r"max_size (\d+)MB", CADDY.read_text())
    assert min(int(through) << 20, int(past) * 1_000_000) > size(largest)
