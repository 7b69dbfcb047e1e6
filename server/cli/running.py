"""The running gateway, asked by its own JSON API: what only it knows, such as the requests of this moment.

It is asked at the address of the settings, on this machine, with `ADMIN_KEY`; where there is none, with a token of an
administrator, which is read from the standard input. No credential is an argument.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any

from server.config.settings import Settings
from server.policy.commands import CommandError

PATIENCE = 10.0  # seconds
ANYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - where one listens, and is asked
FOR_ADMINISTRATORS = "the gateway wants ADMIN_KEY, or a token of an administrator on the standard input"


def asked(settings: Settings, path: str, ask: Callable[[], str]) -> Any:
    """What the running gateway answers to a GET. `ask` gives a token where there is no ADMIN_KEY.

    Raises CommandError: it does not run here, or it does not let us in.
    """
    credential = settings.admin_key.reveal() if settings.admin_key else ask().strip()
    if not credential or not credential.isascii() or not credential.isprintable():
        raise CommandError(FOR_ADMINISTRATORS)
    host = ANYWHERE.get(settings.host, settings.host)
    connection = HTTPConnection(host, settings.port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {credential}", "Accept": "application/json"})
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
    except (OSError, HTTPException):
        words = f"no gateway answers at {host} port {settings.port}"
        raise CommandError(words, "--host and --port before the verb say where it runs") from None
    finally:
        connection.close()
    return _document(status, body)


def _document(status: int, body: bytes) -> Any:
    if status in (401, 403):
        raise CommandError(FOR_ADMINISTRATORS)
    if status == 404:
        raise CommandError("the gateway knows nothing of this name")
    try:
        if status == 200:
            return json.loads(body)
    except ValueError:
        pass
    raise CommandError(f"the gateway answered with the status {status}")
