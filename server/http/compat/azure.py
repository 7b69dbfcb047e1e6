"""Azure's paths, for clients that were written for it: the model stands in the path, and a date in the query.

`/openai/deployments/{model}/chat/completions?api-version=...` and `/openai/v1/...` are served by any upstream, with the
credential in `api-key` or as a bearer. The deployment's name is the model's. The date is the client's word for Azure's
own API, and goes no further. What Azure has at deployments it has not at `/openai/...`: such a path is a base URL that
lacks its `/v1`, and a 404 names the right one.
"""

from __future__ import annotations

from server.http.access import Role, Route
from server.http.api.models import ModelsHandler
from server.http.relay import RelayHandler
from server.http.services import ApiServices, RelayServices
from server.wire.endpoints import ENDPOINTS
from server.wire.model_name import in_path
from server.wire.openai import OPENAI
from server.wire.request import Request

_AT_DEPLOYMENTS = ("chat", "completions", "embeddings", "images", "edits", "speech", "transcriptions", "translations")


class AzureHandler(RelayHandler):
    """A request by one of Azure's paths, with or without the deployment in it."""

    _deployment: str | None = None

    async def admit(self) -> None:
        if self.path_args:
            self._deployment = self.path_args.pop()
        await super().admit()

    def _understood(self, body: bytes, content_type: str) -> Request:
        if self._deployment is not None:
            body = in_path(self.endpoint, body, content_type, self._deployment)
        return super()._understood(body, content_type)

    def _query(self) -> str:
        return ""


def azure_relayed() -> list[Route[RelayServices]]:
    """The relayed endpoints by Azure's paths."""
    found: list[Route[RelayServices]] = []
    for path, endpoint in ENDPOINTS.items():
        if endpoint.dialect is not OPENAI:
            continue
        bare = path.removeprefix("/v1").replace(".", r"\.")
        dated = "/openai/deployments/(.+)" if endpoint.kind in _AT_DEPLOYMENTS else "/openai"
        places = (f"/openai/v1{bare}", f"{dated}{bare}")
        roles = {"POST": Role.CALLER}
        found += [Route(place, AzureHandler, roles, {"endpoint": endpoint}, own_door=True) for place in places]
    return found


def azure_models() -> list[Route[ApiServices]]:
    """The lists of models by Azure's paths."""
    rest = ("", "/([A-Za-z0-9._:/@+-]+)")
    return [
        Route(f"{base}/models{name}", ModelsHandler, {"GET": Role.CALLER})
        for base in ("/openai", "/openai/v1")
        for name in rest
    ]
