"""nginx as a plain proxy: it reads nothing, counts nothing and knows no one. What a relay costs at the least."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from bench import children
from bench.gateway import Backing, Subject, settled
from bench.load import Target
from bench.peers.cache import program_of_debian

NAME = "nginx"
DEBIAN = "nginx-light"
CONFIGURATION = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 60000;
pid {place}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 30000; }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    client_body_buffer_size 256k;
    keepalive_requests 1000000000;
    upstream mock {{
        server 127.0.0.1:{upstream};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


@contextlib.asynccontextmanager
async def nginx(backing: Backing, place: Path) -> AsyncIterator[Subject]:
    """One worker in front of the mock, with its connections kept alive and no buffering."""
    path = await program_of_debian("nginx", DEBIAN)
    place.mkdir()
    port = children.unused_port()
    written = place / "nginx.conf"
    written.write_text(CONFIGURATION.format(place=place, port=port, upstream=backing.plain.port))
    command = [path, "-e", "stderr", "-p", str(place), "-c", str(written)]
    async with children.child(command, {}, backing.cores, place, "nginx.log") as process:
        await children.until(lambda: children.answers(port, "/v1/models"), process, place / "nginx.log")
        target = Target(port, backing.plain.token, backing.plain.model)
        yield await settled(Subject(NAME, target, process.pid))
