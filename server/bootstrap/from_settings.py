"""The settings of each part of the gateway, from the settings of the whole."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from keypool.estimates import CostModel
from keypool.keys import Key
from keypool.pool import QueueLimits
from server.address_rate import AddressRate
from server.admin.commands.keys import Trial
from server.auth.accounts import Accounts, pepper_for
from server.auth.oidc.client import Oidc
from server.auth.tokens import Memory
from server.body_budget import BodyBudget, MostHeld
from server.bootstrap.demo import MODEL as DEMO_MODEL
from server.config.settings import ANTHROPIC as ANTHROPIC_HOME
from server.config.settings import OPENAI as OPENAI_HOME
from server.config.settings import Settings
from server.config.specs import UpstreamSpec
from server.connection_budget import ConnectionBudget, connections_for, open_files
from server.httpclient.egress import Egress
from server.httpclient.proxies import Proxies
from server.keys.prober import tried
from server.keys.registry import UpstreamRegistry, pool_key
from server.ledger.prices import Price, Rates
from server.observability.occupancy_metrics import Occupancy
from server.relay.admission import Bounds
from server.relay.content_rules import ContentRules
from server.relay.keepalive import KeepaliveTiming
from server.spool import Spool
from server.store.base import Store
from server.store.breaker import Guarded
from server.upstream import Patience
from server.wire.anthropic import ANTHROPIC
from server.wire.filters import Caps
from server.wire.identity import Identity
from server.wire.openai import OPENAI
from server.wire.own_keys import OwnKeyProvider


def keys(registry: UpstreamRegistry) -> list[Key]:
    return [pool_key(key.id, key.spec) for key in registry.keys.values()]


def costs(registry: UpstreamRegistry) -> CostModel:
    """The worth of a request as such: tokens per minute over requests per minute of all keys, where that is known."""
    specs = [key.spec for key in registry.keys.values()]
    limited = [spec for spec in specs if spec.rpm and (spec.tpm or spec.itpm)]
    requests = sum(spec.rpm or 0 for spec in limited)
    tokens = sum(spec.tpm or spec.itpm or 0 for spec in limited)
    return CostModel.of_limits(requests, tokens) if requests else CostModel()


def accounts(settings: Settings, store: Store, guard: Guarded, oidc: Oidc | None) -> Accounts:
    bearer = oidc.bearer if oidc is not None and settings.oidc_bearer else None
    proxy_key = settings.proxy_key.reveal() if settings.proxy_key else ""
    return Accounts(
        store,
        settings.gatekeeper,
        proxy_key,
        pepper(settings),
        memory=Memory(settings.token_cache_seconds, settings.outage_seconds, settings.affiliation_days),
        admin_key=settings.admin_key.reveal() if settings.admin_key else "",
        guard=guard,
        bearer=bearer,
    )


def pepper(settings: Settings) -> bytes:
    return pepper_for(settings.store_url, settings.token_pepper.reveal() if settings.token_pepper else "")


def own_prices(settings: Settings) -> list[Price]:
    """The price of the demo's model, which is free: it runs here."""
    return [Price("demo", DEMO_MODEL, 0, Rates())] if settings.wants_demo else []


def patience(settings: Settings) -> Patience:
    return Patience(settings.connect_seconds, settings.first_byte_seconds, settings.idle_seconds)


def egress(settings: Settings) -> Egress:
    """The way out of this network, for models, free checks and logins alike."""
    https = settings.upstream_proxy or settings.https_proxy
    http = settings.upstream_proxy or settings.http_proxy
    return Egress(Proxies(https, http, settings.no_proxy), settings.upstream_ca_file)


def trial(settings: Settings) -> Trial:
    """How a key is tested that is not in use yet."""
    return partial(tried, settings.upstreams, egress(settings))


def limits(settings: Settings) -> QueueLimits:
    cap = settings.running_per_person or None
    return QueueLimits(settings.queue_total, settings.queue_per_person, cap, settings.headroom_slots)


def part_of(settings: Settings, workers: int) -> Settings:
    """The settings of one worker of several: connections are divided, and all else is the same.

    Bytes of bodies are not: a part of them might be too little for one large body.
    """
    return replace(settings, max_connections=max(1, settings.max_connections // workers))


def occupancy(settings: Settings) -> Occupancy:
    most = MostHeld(settings.max_held_bytes_per_person, settings.max_held_bytes_per_address, settings.max_held_bytes)
    folder = Path(settings.spool_folder) if settings.spool_folder else None
    open_ = connections_for(settings.max_connections, open_files())
    proxied = settings.trusted_proxy_hops > 0
    connections = ConnectionBudget(open_, settings.max_connections_per_address, proxied=proxied)
    requests = AddressRate(settings.max_requests_per_address, time.monotonic)
    return Occupancy(BodyBudget(most), Spool(folder, settings.spool_bytes), connections, requests)


def providers(specs: Iterable[UpstreamSpec]) -> dict[str, OwnKeyProvider]:
    """Where people may go with a provider's key of their own: the two homes, and the operator's upstreams, by name."""
    homes = [OwnKeyProvider("openai", OPENAI_HOME, OPENAI), OwnKeyProvider("anthropic", ANTHROPIC_HOME, ANTHROPIC)]
    dialects = {"openai": OPENAI, "anthropic": ANTHROPIC}
    named = [OwnKeyProvider(spec.name, spec.base_url, dialects[spec.dialects[0]]) for spec in specs]
    return {provider.name: provider for provider in (*homes, *named)}


def _rules(settings: Settings) -> ContentRules:
    held = {name: cap for name, cap in settings.caps.items() if cap != Caps()}
    return ContentRules(settings.phrases, settings.reject_message, held, settings.allow_service_tier)


def bounds(settings: Settings, timing: KeepaliveTiming) -> Bounds:
    return Bounds(
        settings.queue_seconds,
        settings.total_seconds,
        settings.max_answer_bytes,
        settings.stateful,
        settings.default_max_output,
        settings.drain_usage_seconds,
        timing,
        _rules(settings),
        Identity.of(settings.identity_upstream, pepper(settings)),
        settings.fairness,
        settings.background_seconds,
    )
