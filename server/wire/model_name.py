"""The name of the model in a request: changed where it is an alias, or where the upstream has a name of its own.

A body with another name is written anew: the same values, and other white space. An answer keeps the upstream's name,
since its bytes are the upstream's (`docs/promises.md`).
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from server.wire import multipart, strict
from server.wire.endpoints import Endpoint
from server.wire.request import JSON, Request, read_request


def sent_as(request: Request, name: str) -> Request:
    """The request as an upstream reads it that knows its model by this name. For the gateway, its model stays."""
    if request.endpoint.media == "multipart":
        return replace(request, body=multipart.renamed(request.body, request.content_type, ("model",), name))
    return replace(request, body=orjson.dumps({**orjson.loads(request.body), "model": name}))


def renamed(request: Request, model: str) -> Request:
    """The request for another model, for the gateway too: it is read anew, since much goes by the name."""
    again = read_request(request.endpoint, sent_as(request, model).body, request.content_type)
    ours = {"conversation": request.conversation, "hides_usage": request.hides_usage, "added": request.added}
    return replace(again, **ours)  # type: ignore[arg-type]


def in_path(endpoint: Endpoint, body: bytes, content_type: str, name: str) -> bytes:
    """The body of a request whose path names the model, as Azure's do: the path counts, whatever the body says.

    What cannot be read stays as it is, to be refused where it is read. Raises ClientError.
    """
    if endpoint.media == "multipart":
        return multipart.naming(body, content_type, "model", name)
    if content_type.partition(";")[0].strip().lower() != JSON:
        return body
    document = strict.loads(body)
    return body if document.get("model") == name else orjson.dumps({**document, "model": name})
