"""A provider's key is in one place, and it is opened where it must be: no object of the pool holds one."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType

import aiohttp
import pytest

from keypool.pool import Pool
from server.config.specs import Secret
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat, hear
from tests.gateways import KEYS, gateway, spec

ROOT = Path(__file__).parents[2]
# Each module that opens a `Secret`, and what it opens.
OPENED = {
    "server/upstream.py": "the provider's key that it sends",
    "server/keys/encryption.py": "keys to encrypt, and the master keys",
    "server/auth/oidc/provider.py": "the secret of our client at the identity provider",
    "server/auth/sessions.py": "ADMIN_KEY",
    "server/bootstrap/from_settings.py": "ADMIN_KEY, PROXY_KEY and TOKEN_PEPPER",
    "server/bootstrap/ownership.py": "TOKEN_PEPPER and MASTER_KEYS, for their fingerprints",
    "server/notifications/mail.py": "the password of SMTP_URL, for the mail server",
    "server/notifications/webhook.py": "what signs webhooks",
    "server/cli/people.py": "TOKEN_PEPPER and PROXY_KEY",
    "server/cli/running.py": "ADMIN_KEY, to ask the running gateway with",
}


def reachable(root: object) -> Iterator[object]:
    """All objects that can be reached from this one, but not by way of code: a class or module reaches everything."""
    seen, waiting = {id(root)}, [root]
    while waiting:
        yield (each := waiting.pop())
        found = [each.__closure__, each.__defaults__] if isinstance(each, FunctionType) else gc.get_referents(each)
        for other in found:
            if id(other) not in seen and not isinstance(other, type | ModuleType | BuiltinFunctionType):
                seen.add(id(other))
                waiting.append(other)


def holds(root: object, *texts: str) -> bool:
    return any(
        isinstance(each, Secret)
        or (isinstance(each, str) and any(text in each for text in texts))
        or (isinstance(each, bytes | bytearray) and any(text.encode() in each for text in texts))
        for each in reachable(root)
    )


@pytest.mark.gen_test
async def test_no_object_of_the_pool_holds_a_secret() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        assert (await hear(session, running, chat("hello", stream=False))).status == 200
        pool = running.services.dispatcher.pool
        assert len(pool.keys) == len(KEYS)
        assert isinstance(pool, Pool)
        assert not holds(pool, *KEYS)


@pytest.mark.gen_test
async def test_the_walk_would_find_one() -> None:
    async with FakeUpstream() as fake:
        assert holds([{"deep": (lambda: fake, spec(fake))}], "no such text")
    assert holds({"a": [b"x" + KEYS[0].encode()]}, *KEYS)
    secret = KEYS[0]
    assert holds(lambda: secret, *KEYS)


def test_secrets_are_opened_in_these_modules_alone() -> None:
    opened = set()
    for folder in ("server", "keypool", "web"):
        for path in (ROOT / folder).rglob("*.py"):
            calls = (each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Attribute))
            if any(each.attr == "reveal" for each in calls):
                opened.add(str(path.relative_to(ROOT)))
    assert opened == set(OPENED)
