"""A child of the supervisor: the pool process, or a worker, which serves HTTP on sockets that it inherits."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from server.bootstrap.serve import Acceptor, drain, operators_view, serving, settle_down, url_of
from server.config.settings import Settings
from server.connection_budget import raise_open_files
from server.http.services import GatewayServices
from server.observability import logs
from server.workers.channel import Control
from server.workers.figures import families_of
from server.workers.role import Role

log = logging.getLogger("fairgate")
