"""The routes of five older projects, so that their clients go on working. `docs/migration.md` tells them apart."""

from __future__ import annotations

from collections.abc import Mapping

from server.config.settings import Settings
from server.http.access import Role, Route
from server.http.api.health import HealthHandler
from server.http.api.models import ModelsHandler
from server.http.compat.admin import AdminUser, AdminUsers
from server.http.compat.fhswf import CallersAddress, Dashboard
from server.http.compat.flask import CreateApiKey, KeyInPath
from server.http.compat.java import AllPrices, ModelPrices, Queries, UpstreamLimits, UsageSums
from server.http.own_keys import ForeignKey, OwnKeyHandler
from server.http.relay import RelayHandler
from server.http.services import ApiServices, CompatServices, RelayServices, StatusServices
from server.wire.endpoints import ENDPOINTS
from server.wire.own_keys import OwnKeyProvider

MODEL = r"([A-Za-z0-9._:/@+-]{1,200})"
TOKEN = r"([A-Za-z0-9]{1,32}_[A-Za-z0-9_-]{1,100})"  # noqa: S105 - a pattern
CALLERS = {"GET": Role.CALLER}
ANY_METHOD = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), Role.CALLER)
Providers = Mapping[str, OwnKeyProvider]
IN_PATH = ("/v1/chat/completions", "/v1/embeddings")


def foreign_keys(settings: Settings, providers: Providers | None) -> list[Route[RelayServices]]:
    """The routes that must be tried before those of the same paths: for requests with a key that is not ours."""
    if providers is None or not settings.legacy_routes:
        return []
    return [Route(ForeignKey(settings), OwnKeyHandler, ANY_METHOD, {"providers": providers}, own_door=True)]


def compat_routes() -> list[Route[CompatServices]]:
    """The routes that answer in another project's words."""
    return [
        Route(rf"/model/{MODEL}", ModelPrices, {"GET": Role.CALLER, "POST": Role.ADMIN}, own_door=True),
        Route("/models", AllPrices, CALLERS, own_door=True),
        Route("/usage", UsageSums, CALLERS, own_door=True),
        Route("/queries", Queries, CALLERS, own_door=True),
        Route("/ratelimits", UpstreamLimits, CALLERS, own_door=True),
        Route("/create_api_key/([^/]{1,200})", CreateApiKey, {"GET": Role.ADMIN, "POST": Role.ADMIN}, own_door=True),
        Route("/dashboard", Dashboard, {"GET": Role.ADMIN}),
        Route("/ip", CallersAddress, {"GET": Role.PUBLIC}),
        Route("/admin/users", AdminUsers, {"GET": Role.ADMIN, "POST": Role.ADMIN, "PUT": Role.ADMIN}),
        Route(
            "/admin/users/([A-Za-z0-9_-]{1,64})",
            AdminUser,
            {"GET": Role.ADMIN, "PUT": Role.ADMIN, "DELETE": Role.ADMIN},
        ),
    ]


def compat_relayed(settings: Settings, providers: Providers | None) -> list[Route[RelayServices]]:
    """The routes that relay from other paths. `providers` is None unless `BYO_KEYS` is on.

    OAI Reverse Proxy adds a "/v1" that is missing behind `/proxy/openai` and `/proxy/anthropic`.
    """
    found: list[Route[RelayServices]] = []
    for path, endpoint in ENDPOINTS.items():
        short = f"/proxy/{endpoint.dialect.name}{path.removeprefix('/v1')}".replace(".", r"\.")
        found.append(Route(short, RelayHandler, {"POST": Role.CALLER}, {"endpoint": endpoint}, own_door=True))
    if settings.legacy_routes:
        for path in IN_PATH:
            in_path = {"endpoint": ENDPOINTS[path]}
            found.append(Route(rf"/{TOKEN}{path}", KeyInPath, {"POST": Role.CALLER}, in_path, own_door=True))
    if providers is not None:
        found.append(Route("/byo/.*", OwnKeyHandler, ANY_METHOD, {"providers": providers}, own_door=True))
    return found


def compat_models() -> list[Route[ApiServices]]:
    """The lists of models without that "/v1"."""
    found = []
    for dialect in ("openai", "anthropic"):
        found.append(Route(rf"/proxy/{dialect}/models", ModelsHandler, CALLERS))
        found.append(Route(rf"/proxy/{dialect}/models/{MODEL}", ModelsHandler, CALLERS))
    return found


def compat_health() -> list[Route[StatusServices]]:
    """Other names of `/healthz`: OAI Reverse Proxy's, and that by which Claude Code asks whether its API is there."""
    return [Route(path, HealthHandler, {"GET": Role.PUBLIC}) for path in ("/health", "/api/hello")]
