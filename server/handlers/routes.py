"""The one table of routes. What is not in it does not exist: every other path is `404 unknown_url`."""

from __future__ import annotations

from typing import Any

from tornado.web import Application, url

from server.handlers.api import ExplainHandler, QueueHandler
from server.handlers.base import House
from server.handlers.compat_routes import compat_routes, first_routes
from server.handlers.health import HealthHandler, ReadyHandler
from server.handlers.me import MeHandler, MyUsageHandler
from server.handlers.metrics import MetricsHandler
from server.handlers.models import ModelsHandler
from server.handlers.pages import NoSuchPage, StaticFile, StatusJson, StatusPage
from server.handlers.relay import RelayHandler
from server.handlers.usage import ExportHandler, RequestsHandler, UsageHandler
from server.wire.endpoints import ENDPOINTS


def application(house: House) -> Application:
    """The tornado application of a house. Its own access log is off: ours is batched."""
    return Application(
        _routes(house),
        default_handler_class=NoSuchPage,
        default_handler_args={"house": house},
        log_function=lambda handler: None,
    )


def _routes(house: House) -> list[Any]:
    """The busiest first: tornado tries them one after the other."""
    mine = {"house": house}
    routes = first_routes(house, house.own_keys)
    for endpoint in ENDPOINTS.values():
        for prefix in ("", f"/proxy/{endpoint.dialect.name}"):
            routes.append(url(prefix + endpoint.path.replace(".", r"\."), RelayHandler, {**mine, "endpoint": endpoint}))
    for prefix in ("", "/proxy/openai", "/proxy/anthropic"):
        routes.append(url(rf"{prefix}/v1/models", ModelsHandler, mine))
        routes.append(url(rf"{prefix}/v1/models/([A-Za-z0-9._:/@+-]+)", ModelsHandler, mine))
    if house.metrics is not None:
        routes.append(url(r"/metrics", MetricsHandler, {**mine, "metrics": house.metrics}))
    return [
        *routes,
        url(r"/", StatusPage, mine),
        url(r"/status\.json", StatusJson, mine),
        url(r"/static/([a-z0-9.-]+)", StaticFile, mine),
        url(r"/healthz", HealthHandler, mine),
        url(r"/readyz", ReadyHandler, mine),
        url(r"/api/explain/([A-Za-z0-9_-]{1,64})", ExplainHandler, mine),
        url(r"/api/queue", QueueHandler, mine),
        url(r"/api/usage", UsageHandler, mine),
        url(r"/api/requests", RequestsHandler, mine),
        url(r"/api/requests/export", ExportHandler, mine),
        url(r"/api/me", MeHandler, mine),
        url(r"/api/me/usage", MyUsageHandler, mine),
        *compat_routes(house, house.own_keys),
    ]
