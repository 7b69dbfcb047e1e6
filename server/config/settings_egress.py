"""The settings of the way out of this network. They stand among the others in front of "The queue"."""

# ruff: noqa: RUF009 - `row` is `dataclasses.field`, and all defaults are immutable

from __future__ import annotations

from dataclasses import dataclass

from server.config import parsers
from server.config.setting import row
from server.config.settings_notify import NotifyRows
from server.httpclient.proxies import Exemption, Proxy, parse_exemptions

ALSO_SMALL = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")  # programs have always read these in small letters, too


@dataclass(frozen=True, kw_only=True)
class EgressRows(NotifyRows):
    """They hold for models, free checks and logins alike (`docs/upstreams.md`)."""

    upstream_proxy: Proxy | None = row(
        "", parsers.proxy, "The proxy by which upstreams and the identity provider are reached.", secret=True,
        example="http://user:password@proxy.example.org:3128", section="The way out",
    )  # fmt: skip
    https_proxy: Proxy | None = row(
        "", parsers.proxy, "For https, where UPSTREAM_PROXY says nothing; https_proxy is read, too.", secret=True
    )
    http_proxy: Proxy | None = row("", parsers.proxy, "For http, where UPSTREAM_PROXY says nothing.", secret=True)
    no_proxy: tuple[Exemption, ...] = row(
        "", parse_exemptions, "What is reached directly: names, addresses, networks; this machine always is.",
        example="llm.lan,.example.org,10.0.0.0/8",
    )  # fmt: skip
    upstream_ca_file: str = row(
        "", parsers.text, "Further authorities (PEM) whose certificates of upstreams and logins are believed.",
        example="/etc/ssl/campus-ca.pem",
    )  # fmt: skip
