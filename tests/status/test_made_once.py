"""What is expensive and public is made once for all who look, by whatever name they call us."""

from __future__ import annotations

import aiohttp
import pytest

from server.status.snapshot import StatusSnapshot
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway


class Printed:
    """How often a page was made."""

    def __init__(self, running: Running) -> None:
        self.times = 0
        self._printed = running.services.status_service.status._printed
        self._make = self._printed._make
        self._printed._make = self._noted

    async def _noted(self, asked: tuple[str, str]) -> bytes:
        self.times += 1
        return await self._make(asked)


@pytest.mark.gen_test(timeout=30)
async def test_another_host_in_every_request_has_nothing_made_anew() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        printed = Printed(running)
        for number in range(200):
            host = {"Host": f"name-{number}.test:8080", "Accept": "text/html"}
            async with session.get(f"{running.url}/", headers=host) as answer:
                assert f"http://name-{number}.test:8080/v1" in await answer.text()
        assert printed.times <= 20, "once a second at most, however many there are"


@pytest.mark.gen_test(timeout=30)
async def test_what_was_made_for_all_reads_as_if_it_had_been_made_for_one() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        status_service, status = running.services.status_service, running.services.status_service.status
        for address in ("http://127.0.0.1:8080", "https://llm.example.org", "http://name:80"):
            assert await status.page(address, "de") == await status._print(("html", address, "de"))
            assert await status.json(address) == await status._print(("json", address, "en"))
            assert await status_service.docs(address, "de") == await status_service._help((address, "de"))


@pytest.mark.gen_test(timeout=30)
async def test_with_a_public_url_that_is_the_address_whatever_the_host() -> None:
    public = "https://llm.example.org"
    async with FakeUpstream() as fake, gateway(fake, public_url=public) as running:
        status: StatusSnapshot = running.services.status_service.status
        assert f"{public}/v1".encode() in await status.page("http://evil.test", "en")
        assert b"evil.test" not in await status.page("http://evil.test", "en")


@pytest.mark.gen_test(timeout=30)
async def test_the_handbook_of_the_api_is_the_same_bytes_for_all() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        for path in ("/api/docs", "/openapi.json"):
            bodies = set()
            for number in range(3):
                async with session.get(running.url + path, headers={"Host": f"name-{number}.test"}) as answer:
                    bodies.add(await answer.read())
            assert len(bodies) == 1
