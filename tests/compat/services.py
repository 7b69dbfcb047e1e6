"""A gateway as somebody would set it up who comes from one of the older projects."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from server.config.specs import Secret, UpstreamSpec
from tests.clients.talking import CLAUDE
from tests.compat.commands import ADMIN
from tests.fakes.upstream import FakeUpstream
from tests.gateways import MODELS, Running, spec

OLD_MODELS = ("gpt-4-1106-preview", "gpt-3.5-turbo", "text-davinci-003", CLAUDE, *MODELS)
LOOPBACK = (ip_network("127.0.0.0/8"),)
AUTHORIZED = f'-H "Authorization: Bearer {ADMIN}"'


def old_models(fake: FakeUpstream) -> tuple[UpstreamSpec, ...]:
    """The upstream, by the name that clients with own keys use."""
    return (spec(fake, name="openai", models=OLD_MODELS),)


def settings(**more: Any) -> dict[str, Any]:
    return {"admin_key": Secret(ADMIN), "unpriced_models": "free", **more}


async def settled(running: Running) -> None:
    """Return when the ledger knows of everything."""
    await running.services.pipeline.quiet(5.0)
