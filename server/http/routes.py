"""The one table of routes, with who may use them. What is not in it does not exist: `404 unknown_url`."""

from __future__ import annotations

from tornado.web import Application

from server.http.access import Role, Route
from server.http.api import closing as closing_api
from server.http.api import me as my_api
from server.http.api import operations as admin_api_house
from server.http.api import people as admin_api_people
from server.http.api import policy as admin_api_book
from server.http.api.docs import OpenApiJson, api_docs_route
from server.http.api.events import Events
from server.http.api.health import HealthHandler, ReadyHandler
from server.http.api.metrics import MetricsHandler
from server.http.api.models import ModelsHandler
from server.http.api.profile import MeHandler, MyUsageHandler
from server.http.api.requests import ExplainHandler, QueueHandler
from server.http.api.table import Operation, routes_of
from server.http.api.usage import ExportHandler, RequestsHandler, UsageHandler
from server.http.base import Services
from server.http.compat.routes import compat_routes, first_routes
from server.http.pages.feeds import Badge, Feed, LeaderboardPage
from server.http.pages.login import Callback, LoginBegin, LoginPage, Logout, UserHandler
from server.http.pages.public import DocsPage, FrontPage, NoSuchPage, StaticFile, StatusJson, StatusPage
from server.http.pages.routes import page_routes
from server.http.relay import RelayHandler
from server.wire.cors import Sharing
from server.wire.endpoints import ENDPOINTS

OPERATIONS: tuple[Operation, ...] = (
    *my_api.OPERATIONS,
    *admin_api_people.OPERATIONS,
    *admin_api_book.OPERATIONS,
    *closing_api.OPERATIONS,
    *admin_api_house.OPERATIONS,
)
ANYBODY = {"GET": Role.PUBLIC}
CALLERS = {"GET": Role.CALLER}


def application(services: Services) -> Application:
    """The Tornado application. Its own access log is off: ours is batched."""
    return Application(
        [route.rule(services) for route in routes(services)],
        default_handler_class=NoSuchPage,
        default_handler_args={"services": services},
        log_function=lambda handler: None,
        sharing=Sharing.of(services.settings.allowed_origins),
    )


def routes(services: Services) -> list[Route]:
    """All of them, the busiest first: tornado tries them one after the other."""
    return [
        *first_routes(services, services.own_keys),
        *_relayed(),
        *_public(services),
        *_asked(),
        *_doors(),
        *routes_of(OPERATIONS),
        *page_routes(),
        *compat_routes(services, services.own_keys),
    ]


def _relayed() -> list[Route]:
    """What is passed on, and the models that can be asked for."""
    found = []
    for endpoint in ENDPOINTS.values():
        for prefix in ("", f"/proxy/{endpoint.dialect.name}"):
            path = prefix + endpoint.path.replace(".", r"\.")
            found.append(Route(path, RelayHandler, {"POST": Role.CALLER}, {"endpoint": endpoint}, own_door=True))
    for prefix in ("", "/proxy/openai", "/proxy/anthropic"):
        found.append(Route(rf"{prefix}/v1/models", ModelsHandler, CALLERS))
        found.append(Route(rf"{prefix}/v1/models/([A-Za-z0-9._:/@+-]+)", ModelsHandler, CALLERS))
    return found


def _public(services: Services) -> list[Route]:
    """What everybody may see."""
    figures = (
        [] if services.metrics is None else [Route("/metrics", MetricsHandler, ANYBODY, {"metrics": services.metrics})]
    )
    return [
        *figures,
        Route("/", FrontPage, ANYBODY),
        Route("/status", StatusPage, ANYBODY),
        Route("/events", Events, ANYBODY),
        Route("/docs", DocsPage, ANYBODY),
        Route("/leaderboard", LeaderboardPage, ANYBODY),
        Route(r"/badge\.svg", Badge, ANYBODY),
        Route(r"/feed\.xml", Feed, ANYBODY),
        Route(r"/status\.json", StatusJson, ANYBODY),
        Route(r"/static/([a-z0-9.-]+)", StaticFile, ANYBODY),
        Route("/healthz", HealthHandler, ANYBODY),
        Route("/readyz", ReadyHandler, ANYBODY),
        Route(r"/openapi\.json", OpenApiJson, ANYBODY),
        api_docs_route(services),
    ]


def _asked() -> list[Route]:
    """What a caller may ask about what is theirs."""
    return [
        Route("/api/explain/([A-Za-z0-9_-]{1,64})", ExplainHandler, CALLERS),
        Route("/api/queue", QueueHandler, CALLERS),
        Route("/api/usage", UsageHandler, CALLERS),
        Route("/api/requests", RequestsHandler, CALLERS),
        Route("/api/requests/export", ExportHandler, CALLERS),
        Route("/api/me", MeHandler, CALLERS),
        Route("/api/me/usage", MyUsageHandler, CALLERS),
    ]


def _doors() -> list[Route]:
    """In and out."""
    return [
        Route("/login", LoginPage, {"GET": Role.PUBLIC, "POST": Role.PUBLIC}),
        Route("/login/oidc", LoginBegin, ANYBODY),
        Route("/callback", Callback, ANYBODY),
        Route("/logout", Logout, ANYBODY),
        Route("/user", UserHandler, {"GET": Role.PERSON}, own_door=True),
    ]
