"""The name of the model in a request: changed where it is an alias, or where the upstream has a name of its own.

A body with another name is written anew: the same values, and other white space. An answer keeps the upstream's name,
since its bytes are the upstream's (`docs/promises.md`).
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from server.wire import multipart
from server.wire.request import Request


def sent_as(request: Request, name: str) -> Request:
    """The request as an upstream reads it that knows its model by this name. For the gateway, its model stays."""
    if request.endpoint.media == "multipart":
        return replace(request, body=multipart.renamed(request.body, request.content_type, ("model",), name))
    return replace(request, body=orjson.dumps({**orjson.loads(request.body), "model": name}))


def renamed(request: Request, model: str) -> Request:
    """The request for another model, for the gateway too."""
    return replace(sent_as(request, model), model=model)
