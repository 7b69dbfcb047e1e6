"""The routes of five older projects, so that their clients go on working. `docs/migration.md` tells them apart."""

from __future__ import annotations

from typing import Any

from tornado.routing import Rule
from tornado.web import url

from server.byo import OwnKeys
from server.handlers.base import House
from server.handlers.byo import ForeignKey, OwnKeyHandler
from server.handlers.compat_admin import AdminUser, AdminUsers
from server.handlers.compat_fhswf import CallersAddress, Dashboard
from server.handlers.compat_flask import CreateApiKey, KeyInPath
from server.handlers.compat_java import AllPrices, ModelPrices, Queries, UpstreamLimits, UsageSums
from server.handlers.health import HealthHandler
from server.handlers.models import ModelsHandler
from server.handlers.pages import StatusJson
from server.handlers.relay import RelayHandler
from server.wire.endpoints import ENDPOINTS

MODEL = r"([A-Za-z0-9._:/@+-]{1,200})"
TOKEN = r"([A-Za-z0-9]{1,32}_[A-Za-z0-9_-]{1,100})"  # noqa: S105 - a pattern
IN_PATH = ("/v1/chat/completions", "/v1/embeddings")


def first_routes(house: House, own_keys: OwnKeys | None) -> list[Any]:
    """What must be tried before the routes of the same paths: a key that is not ours."""
    if own_keys is None or not house.settings.legacy_routes:
        return []
    return [Rule(ForeignKey(house.settings), OwnKeyHandler, {"house": house, "own_keys": own_keys})]


def compat_routes(house: House, own_keys: OwnKeys | None) -> list[Any]:
    """The others. `own_keys` is None unless `BYO_KEYS` is on."""
    mine = {"house": house}
    routes = [
        url(rf"/model/{MODEL}", ModelPrices, mine),
        url(r"/models", AllPrices, mine),
        url(r"/usage", UsageSums, mine),
        url(r"/queries", Queries, mine),
        url(r"/ratelimits", UpstreamLimits, mine),
        url(r"/create_api_key/([^/]{1,200})", CreateApiKey, mine),
        url(r"/dashboard", Dashboard, mine),
        url(r"/ip", CallersAddress, mine),
        url(r"/health", HealthHandler, mine),
        url(r"/status", StatusJson, mine),
        url(r"/admin/users", AdminUsers, mine),
        url(r"/admin/users/([A-Za-z0-9_-]{1,64})", AdminUser, mine),
        *_without_version(house),
    ]
    if house.settings.legacy_routes:
        routes += [url(rf"/{TOKEN}{path}", KeyInPath, {**mine, "endpoint": ENDPOINTS[path]}) for path in IN_PATH]
    if own_keys is not None:
        routes.append(url(r"/byo/.*", OwnKeyHandler, {**mine, "own_keys": own_keys}))
    return routes


def _without_version(house: House) -> list[Any]:
    """OAI Reverse Proxy adds a "/v1" that is missing behind `/proxy/openai` and `/proxy/anthropic`."""
    mine = {"house": house}
    routes = []
    for path, endpoint in ENDPOINTS.items():
        short = f"/proxy/{endpoint.dialect.name}{path.removeprefix('/v1')}"
        routes.append(url(short.replace(".", r"\."), RelayHandler, {**mine, "endpoint": endpoint}))
    for dialect in ("openai", "anthropic"):
        routes.append(url(rf"/proxy/{dialect}/models", ModelsHandler, mine))
        routes.append(url(rf"/proxy/{dialect}/models/{MODEL}", ModelsHandler, mine))
    return routes
