"""A key that stands in a path is not in what we write down."""

from __future__ import annotations

import json
import logging

import pytest

from tests.compat.commands import curl
from tests.compat.services import old_models, settings, settled
from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway


@pytest.mark.gen_test
async def test_no_log_line_has_the_key_of_a_path(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello"}]})
    async with FakeUpstream() as fake:
        old = settings(legacy_routes=True, access_log=True)
        async with gateway(fake, *old_models(fake), **old) as running:
            for key in (running.token, running.token + "wrong"):
                url = f"{running.url}/{key}/v1/chat/completions"
                await curl(f"curl {url} -H 'content-type: application/json' -d '{body}'")
            await settled(running)
            secret = running.token
    printed = capsys.readouterr()
    written = printed.out + printed.err + caplog.text
    assert "/v1/chat/completions" in written
    assert secret not in written
