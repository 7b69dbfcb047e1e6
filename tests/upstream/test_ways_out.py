"""The ways out of a network: TLS with an authority of one's own, and proxies that want credentials."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.httpclient.egress import Egress
from server.httpclient.errors import CannotConnect, ProxyRefused
from server.httpclient.proxies import Proxies, parse_exemptions, parse_proxy
from tests.upstream.conftest import Run
from tests.upstream.servers import Served, Talk, always, authority, body_of, client, proxy, serving

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
LARGE = b"x" * (3 << 20)


def out_by(served: Served, credentials: str, ca_file: str = "", exempt: str = "") -> Egress:
    found = parse_proxy(f"http://{credentials}127.0.0.1:{served.port}")
    return Egress(Proxies(found, found, parse_exemptions(exempt)), ca_file)


def test_a_certificate_of_an_authority_that_was_named_is_believed_and_no_other(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        own = authority(tmp_path, "127.0.0.1")
        async with serving(always(ANSWER), own.server) as served, client() as asked:
            with pytest.raises(CannotConnect):
                await body_of(asked, served.url())
            for _ in range(2):
                assert await body_of(asked, served.url(), body=LARGE, egress=Egress(ca_file=own.file)) == (200, b"hi")
            with pytest.raises(CannotConnect):  # the certificate is of another name
                await body_of(asked, served.url("localhost"), egress=Egress(ca_file=own.file))
            assert len(served.heads) == 2

    run(test())
    assert len(caplog.messages) == 2
    assert all("its certificate is not believed" in line and "UPSTREAM_CA_FILE" in line for line in caplog.messages)


def test_a_connection_is_not_shared_by_those_who_believe_different_authorities(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        own = authority(tmp_path, "127.0.0.1")
        async with serving(always(ANSWER), own.server) as served, client() as asked:
            await body_of(asked, served.url(), egress=Egress(ca_file=own.file))
            with pytest.raises(CannotConnect):
                await body_of(asked, served.url())

    run(test())


def test_a_request_by_tls_that_is_given_up_closes_its_socket_at_once(run: Run, tmp_path: Path) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.gone()

    async def test() -> None:
        own = authority(tmp_path, "127.0.0.1")
        async with serving(script, own.server) as served, client() as asked:
            task = asyncio.create_task(body_of(asked, served.url(), egress=Egress(ca_file=own.file)))
            while not served.bodies:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await served.left.wait()

    run(test())


def test_tls_goes_through_a_proxy_from_end_to_end_and_the_proxy_hears_the_name_alone(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        own = authority(tmp_path, "api.example.test")
        async with (
            serving(always(ANSWER), own.server) as served,
            proxy("ann", "p@ss:") as (way, seen),
            client() as asked,
        ):
            egress = out_by(way, "ann:p%40ss%3A@", own.file)
            for _ in range(2):
                found = await body_of(asked, served.url("api.example.test"), body=LARGE, egress=egress)
                assert found == (200, b"hi")
            assert seen.lines == [f"CONNECT api.example.test:{served.port} HTTP/1.1"]
            assert b"Proxy-Authorization" not in served.heads[0]
            assert served.connections == 1

    run(test())


def test_the_server_behind_a_proxy_must_have_a_certificate_that_is_believed(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        own = authority(tmp_path, "api.example.test")
        async with serving(always(ANSWER), own.server) as served, proxy("ann", "pass") as (way, _), client() as asked:
            for egress in (out_by(way, "ann:pass@"), out_by(way, "ann:pass@", own.file)):
                with pytest.raises(CannotConnect):
                    await body_of(asked, served.url("other.example.test"), egress=egress)
            assert served.heads == []

    run(test())


def test_a_plain_request_goes_through_a_proxy_whole(run: Run) -> None:
    async def test() -> None:
        async with serving(always(ANSWER)) as served, proxy("ann", "pass") as (way, seen), client() as asked:
            for _ in range(2):
                found = await body_of(asked, served.url("api.example.test"), egress=out_by(way, "ann:pass@"))
                assert found == (200, b"hi")
            assert seen.lines == [f"POST http://api.example.test:{served.port}/v1/x HTTP/1.1"]

    run(test())


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("credentials", ["", "ann:wrong@"])
def test_a_proxy_that_refuses_is_named_as_what_it_is(
    run: Run, scheme: str, credentials: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with proxy("ann", "pass") as (way, seen), client() as asked:
            with pytest.raises(ProxyRefused) as refused:
                await body_of(asked, f"{scheme}://api.example.test/v1", egress=out_by(way, credentials))
            assert (refused.value.status, seen.refused) == (407, 1)

    run(test())
    assert caplog.messages == ["the proxy refuses (407)"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_proxy_that_does_not_connect_us(run: Run, answer: bytes) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.say(answer)

    async def test() -> None:
        async with serving(script) as way, client() as asked:
            with pytest.raises(ProxyRefused):
                await body_of(asked, "https://api.example.test/v1", egress=out_by(way, ""))

    run(test())


def test_a_proxy_that_never_answers_is_waited_for_as_long_as_for_a_connection(run: Run) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.gone()

    async def test() -> None:
        async with serving(script) as way, client(connect=0.05) as asked:
            with pytest.raises(CannotConnect):
                await body_of(asked, "https://api.example.test/v1", egress=out_by(way, ""))
            await way.left.wait()

    run(test())


def test_this_machine_and_what_is_exempt_are_reached_directly(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(always(ANSWER)) as served, proxy("ann", "pass") as (way, seen), client() as asked:
            for host in ("127.0.0.1", "localhost"):
                assert await body_of(asked, served.url(host), egress=out_by(way, "ann:pass@")) == (200, b"hi")
            assert seen.lines == []

    run(test())
