"""Public pages are packed for browsers that can unpack them."""

from __future__ import annotations

import gzip
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway


@pytest.mark.parametrize("path", ["/", "/status", "/static/style.css", "/status.json"])
@pytest.mark.gen_test
async def test_a_page_is_packed_for_who_can_unpack_it(path: str, tmp_path: Path) -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession(auto_decompress=False) as client:
        answers = {}
        for accepted in ("gzip, br", "identity", "gzip;q=0"):
            headers = {"Accept-Encoding": accepted, "Accept": "text/html"}
            async with client.get(running.url + path, headers=headers) as answer:
                assert "Accept-Encoding" in answer.headers.getall("Vary")
                answers[accepted] = (answer.headers.get("Content-Encoding"), await answer.read())
        assert answers["identity"][0] is answers["gzip;q=0"][0] is None
        encoding, packed = answers["gzip, br"]
        if encoding is None:
            assert len(packed) <= 1_400, "what is small stays as it is"
        else:
            assert len(packed) < len(gzip.decompress(packed)) / 2
