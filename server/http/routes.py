"""The one table of routes, with their roles. A path that is not in it does not exist: `404 unknown_url`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import Application

from server.auth.sessions import Sessions
from server.http.access import Role, Route
from server.http.api import aliases as aliases_api
from server.http.api import bill as bill_api
from server.http.api import closing as closing_api
from server.http.api import contents as contents_api
from server.http.api import me as my_api
from server.http.api import notifications as notifications_api
from server.http.api import operations as admin_api_house
from server.http.api import people as admin_api_people
from server.http.api import policy as admin_api_book
from server.http.api import repricing as repricing_api
from server.http.api.docs import OpenApiJson, api_docs_route
from server.http.api.events import Events
from server.http.api.health import HealthHandler, ReadyHandler
from server.http.api.metrics import MetricsHandler
from server.http.api.models import ModelsHandler
from server.http.api.profile import MeHandler, MyUsageHandler
from server.http.api.requests import ExplainHandler, QueueHandler
from server.http.api.table import Operation, routes_of
from server.http.api.usage import ExportHandler, RefusedHandler, RequestsHandler, UsageHandler
from server.http.chat import ChatHandler
from server.http.compat.azure import azure_models, azure_relayed
from server.http.compat.routes import compat_health, compat_models, compat_relayed, compat_routes, foreign_keys
from server.http.kept import KeptHandler
from server.http.pages.feeds import Badge, Feed, LeaderboardPage
from server.http.pages.invitation import InvitationPage
from server.http.pages.language import LanguageChoice
from server.http.pages.login import Callback, LoginBegin, LoginPage, Logout, UserHandler
from server.http.pages.models import ForBrowsers, ModelsPage
from server.http.pages.public import DocsPage, FrontPage, NoSuchPage, StaticFile, StatusJson, StatusPage
from server.http.pages.routes import page_routes
from server.http.relay import RelayHandler
from server.http.services import (
    ApiServices,
    CompatServices,
    GatewayServices,
    PageServices,
    RelayServices,
    S,
    StatusServices,
)
from server.wire.base_urls import meant
from server.wire.cors import Sharing
from server.wire.endpoints import ENDPOINTS
from server.wire.kept import KEPT_ROUTES
from server.wire.translate.translation import PAIRS

OPERATIONS: tuple[Operation, ...] = (
    *my_api.OPERATIONS,
    *admin_api_people.OPERATIONS,
    *admin_api_book.OPERATIONS,
    *closing_api.OPERATIONS,
    *aliases_api.OPERATIONS,
    *notifications_api.OPERATIONS,
    *repricing_api.OPERATIONS,
    *admin_api_house.OPERATIONS,
    *bill_api.OPERATIONS,
    *contents_api.OPERATIONS,
)
TRANSLATED_KINDS = frozenset(asker for asker, _ in PAIRS)  # asked under either family's prefix
ANYBODY = {"GET": Role.PUBLIC}
CALLERS = {"GET": Role.CALLER}


class Site(Application):
    """The Tornado application, which also finds the routes that a wrong base URL leads past (`wire/base_urls.py`)."""

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """The handler of a request. A path that leads nowhere is tried once more as what it means."""
        found = self.default_router.find_handler(request, **kwargs)
        if found is not None:
            return found
        if (right := meant(request.path)) is not None:
            request.path = right
        return super().find_handler(request, **kwargs)


def application(services: GatewayServices) -> Application:
    """The Tornado application. Its own access log is off: ours is batched."""
    return Site(
        [route.rule() for route in routes(services)],
        default_handler_class=NoSuchPage,
        default_handler_args={"services": services.part(StatusServices)},
        log_function=lambda handler: None,
        sharing=Sharing.of(services.settings.allowed_origins),
    )


def routes(services: GatewayServices) -> list[Route[Any]]:
    """All of them, the busiest first: tornado tries them one after the other."""
    settings, own_keys = services.settings, services.own_keys
    relay, status = services.part(RelayServices), services.part(StatusServices)
    api, pages = services.part(ApiServices), services.part(PageServices)
    return [
        *_of(relay, foreign_keys(settings, own_keys)),
        *_of(relay, _relayed()),
        *_of(relay, _kept()),
        *_of(api, _models()),
        *_of(status, _public(status)),
        *_of(api, _asked()),
        *_of(pages, _doors()),
        *_of(api, routes_of(OPERATIONS)),
        *_of(relay, [_chat(services.sessions)]),
        *_of(pages, page_routes()),
        *_of(services.part(CompatServices), compat_routes()),
        *_of(relay, compat_relayed(settings, own_keys)),
        *_of(relay, azure_relayed()),
        *_of(api, compat_models()),
        *_of(api, azure_models()),
        *_of(status, compat_health()),
    ]


def _of(services: S, rows: Iterable[Route[S]]) -> list[Route[S]]:
    """The rows of a group of handlers, with what that group may use."""
    return [row.of(services) for row in rows]


def _relayed() -> list[Route[RelayServices]]:
    """The routes that are relayed."""
    found = []
    for endpoint in ENDPOINTS.values():
        others = ("/proxy/openai", "/proxy/anthropic") if endpoint.kind in TRANSLATED_KINDS else ()
        for prefix in dict.fromkeys(("", f"/proxy/{endpoint.dialect.name}", *others)):
            path = prefix + endpoint.path.replace(".", r"\.")
            found.append(Route(path, RelayHandler, {"POST": Role.CALLER}, {"endpoint": endpoint}, own_door=True))
    return found


def _chat(sessions: Sessions) -> Route[RelayServices]:
    """The chat of people's own page."""
    kwargs = {"endpoint": ENDPOINTS["/v1/chat/completions"], "sessions": sessions}
    return Route("/me/chat", ChatHandler, {"POST": Role.CALLER}, kwargs, own_door=True)


def _kept() -> list[Route[RelayServices]]:
    """What can be asked of answers that a provider keeps."""
    found = []
    for prefix, route in product(("", "/proxy/openai"), KEPT_ROUTES):
        roles = dict.fromkeys(route.methods, Role.CALLER)
        pattern = prefix + route.pattern
        found.append(Route[RelayServices](pattern, KeptHandler, roles, {"route": route}, own_door=True))
    return found


def _models() -> list[Route[ApiServices]]:
    """The models that can be asked for."""
    found = []
    for prefix in ("", "/proxy/openai", "/proxy/anthropic"):
        found.append(Route(rf"{prefix}/v1/models", ModelsHandler, CALLERS))
        found.append(Route(rf"{prefix}/v1/models/([A-Za-z0-9._:/@+-]+)", ModelsHandler, CALLERS))
    return found


def _public(services: StatusServices) -> list[Route[StatusServices]]:
    """The public routes."""
    figures: list[Route[StatusServices]] = []
    if services.metrics is not None:
        figures = [Route("/metrics", MetricsHandler, ANYBODY, {"metrics": services.metrics})]
    return [
        *figures,
        Route("/", FrontPage, ANYBODY),
        Route("/status", StatusPage, ANYBODY),
        Route("/events", Events, ANYBODY),
        Route("/docs", DocsPage, ANYBODY),
        Route(r"/badge\.svg", Badge, ANYBODY),
        Route(r"/feed\.xml", Feed, ANYBODY),
        Route(r"/status\.json", StatusJson, ANYBODY),
        Route(r"/static/([a-z0-9.-]+)", StaticFile, ANYBODY),
        Route("/healthz", HealthHandler, ANYBODY),
        Route("/readyz", ReadyHandler, ANYBODY),
        Route(r"/openapi\.json", OpenApiJson, ANYBODY),
        api_docs_route(services),
    ]


def _asked() -> list[Route[ApiServices]]:
    """The routes by which callers ask about their own requests and figures."""
    return [
        Route("/api/explain/([A-Za-z0-9_-]{1,64})", ExplainHandler, CALLERS),
        Route("/api/queue", QueueHandler, CALLERS),
        Route("/api/usage", UsageHandler, CALLERS),
        Route("/api/requests", RequestsHandler, CALLERS),
        Route("/api/requests/refused", RefusedHandler, CALLERS),
        Route("/api/requests/export", ExportHandler, CALLERS),
        Route("/api/me", MeHandler, CALLERS),
        Route("/api/me/usage", MyUsageHandler, CALLERS),
    ]


def _doors() -> list[Route[PageServices]]:
    """The routes to log in and out, and the leaderboard, which shows people who have logged in their own place."""
    return [
        Route("/leaderboard", LeaderboardPage, ANYBODY),
        Route(ForBrowsers("/models"), ModelsPage, ANYBODY),
        Route("/login", LoginPage, {"GET": Role.PUBLIC, "POST": Role.PUBLIC}),
        Route("/invitation", InvitationPage, {"GET": Role.PUBLIC, "POST": Role.PUBLIC}),
        Route("/login/oidc", LoginBegin, ANYBODY),
        Route("/callback", Callback, ANYBODY),
        Route("/logout", Logout, ANYBODY),
        Route("/language/([A-Za-z-]{1,16})", LanguageChoice, ANYBODY),
        Route("/user", UserHandler, {"GET": Role.PERSON}, own_door=True),
    ]
