"""The verbs about messages: `fairgate notify new-secret`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import base64
import secrets

from server.cli.context import Add
from server.config.notify_parsers import WHSEC
from server.config.settings import Settings

SECRET_BYTES = 32


def add_verbs(add: Add) -> None:
    """Add the verbs to the noun's parser."""
    add.verb("new-secret", "make a secret for NOTIFY_WEBHOOK_SECRET").set_defaults(verb=_new_secret)


def _new_secret(_: Settings, __: argparse.Namespace) -> int:
    print(WHSEC + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())
    return 0
