"""Reading the settings: the command line counts, then the environment, then `.env`, then the default.

An empty value is no value. The names that other proxies had for the same are understood (`legacy_env.py`). This is the
only module that reads the environment. All mistakes are reported together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from server.config import legacy_env, parsers
from server.config.dotenv_file import read_dotenv
from server.config.legacy_env import Translation
from server.config.legacy_yaml import read_application
from server.config.misspelt import misspelt
from server.config.parsers import KeyAt
from server.config.setting import Setting
from server.config.settings_egress import ALSO_SMALL, EgressRows
from server.config.settings_notify import contradictions_of_messages
from server.config.settings_rows import Settings
from server.config.specs import Secret, UpstreamSpec
from server.config.upstreams_file import duplicates, read_upstreams
from server.policy.claims import ClaimRules, read_claims
from server.policy.page_policy import missing
from server.wire.filters import Phrases

__all__ = ["SETTINGS", "Secret", "Setting", "Settings", "SettingsError", "UpstreamSpec", "load"]

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com/v1"


def _rows() -> Iterator[Setting]:
    """All rows in the order in which they are read: those that `Settings` inherits before its queue."""
    inherited = fields(EgressRows)
    own = [each for each in fields(Settings) if each.name not in {bound.name for bound in inherited}]
    queue = [each.name for each in own].index("queue_total")
    section = ""
    for each in (*own[:queue], *inherited, *own[queue:]):
        if each.metadata:
            section = each.metadata["section"] or section
            yield Setting(name=each.name.upper(), **{**each.metadata, "section": section})


SETTINGS = tuple(_rows())


class SettingsError(Exception):
    """Some settings cannot be used; `mistakes` has one line for each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def load(
    arguments: Mapping[str, str | None] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    dotenv: Path | None = Path(".env"),
    application: Path | None = Path("application.yaml"),
) -> Settings:
    """Read all settings; `arguments` are those of the command line by their names in capitals.

    Raises SettingsError with every mistake that was found.
    """
    mistakes: list[str] = []
    java, java_notes = read_application(application)
    known = {**java, **read_dotenv(dotenv, mistakes), **_environment(environ), **_given(arguments or {})}
    said = legacy_env.translate(known)
    settings = Settings(**_parsed(said, mistakes))
    upstreams = _upstreams(settings, said.known, mistakes)
    phrases = _phrases(settings, mistakes)
    claim_rules = _claim_rules(settings, mistakes)
    settings = replace(settings, page=_page(settings, mistakes))
    mistakes += [*_contradictions(settings), *_authorities(settings), *contradictions_of_messages(settings)]
    if mistakes:
        raise SettingsError(mistakes)
    theirs = [name for name in said.known if legacy_env.is_theirs(name)]
    slips = tuple(misspelt(said.known, [each.name for each in SETTINGS], theirs))
    settings = replace(settings, notes=(*said.notes, *java_notes, *_page_notes(settings)), slips=slips)
    return replace(settings, upstreams=upstreams, phrases=phrases, claim_rules=claim_rules)


def _given(texts: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value.strip() for name, value in texts.items() if value and value.strip()}


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment; proxies stand there in small letters, too."""
    small = {name: environ.get(name.lower()) for name in ALSO_SMALL}
    return {**_given(small), **_given(environ)}


def _parsed(said: Translation, mistakes: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        if setting.name in said.known:
            try:
                values[setting.name.lower()] = setting.parse(said.known[setting.name])
            except ValueError as error:
                source = f" (from {said.sources[setting.name]})" if setting.name in said.sources else ""
                mistakes.append(f"{setting.name}{source}: {error}")
    return values


def _phrases(settings: Settings, mistakes: list[str]) -> Phrases:
    """The patterns of the row and those of the file, whose empty lines are none."""
    try:
        file = Path(settings.reject_phrases_file)
        lines = file.read_text(encoding="utf-8").splitlines() if settings.reject_phrases_file else []
        return Phrases.of([*settings.reject_phrases, *filter(None, map(str.strip, lines))])
    except (OSError, UnicodeDecodeError):
        mistakes.append("REJECT_PHRASES_FILE: expected a readable text file in UTF-8")
    except ValueError as error:
        mistakes.append(f"REJECT_PHRASES_FILE: {error}")
    return Phrases()


def _page(settings: Settings, mistakes: list[str]) -> str:
    """The operator's own page; empty if there is none."""
    if settings.page_body and settings.page_file:
        mistakes.append("PAGE_FILE: expected nothing, because PAGE_BODY is set")
    if not settings.page_file:
        return settings.page_body
    try:
        return Path(settings.page_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        mistakes.append("PAGE_FILE: expected a readable text file in UTF-8")
        return ""


def _page_notes(settings: Settings) -> Iterator[str]:
    """What the operator's own page seems to need, and would be refused by readers' browsers."""
    if lacks := missing(settings.page_csp, settings.page):
        yield (
            f"PAGE_CSP: your page seems to need {lacks}; set PAGE_CSP to that, "
            "or to legacy for a page of the OAI Reverse Proxy"
        )


def _claim_rules(settings: Settings, mistakes: list[str]) -> ClaimRules:
    if not settings.claims_file:
        return ClaimRules()
    rules, wrong = read_claims(Path(settings.claims_file))
    mistakes += wrong
    return rules


def _upstreams(settings: Settings, known: Mapping[str, str], mistakes: list[str]) -> tuple[UpstreamSpec, ...]:
    named = [
        *_simple_upstreams("openai", OPENAI, settings.openai_key, settings.openai_models, settings.key_slots),
        *_simple_upstreams(
            "anthropic", ANTHROPIC, settings.anthropic_key, settings.anthropic_models, settings.key_slots
        ),
    ]
    if settings.upstreams_file:
        read, wrong = read_upstreams(Path(settings.upstreams_file), known, settings.key_slots)
        named += read
        mistakes += wrong
    mistakes += duplicates(named)
    return tuple(named)


def _simple_upstreams(
    dialect: str, home: str, keys: tuple[KeyAt, ...], models: tuple[str, ...], slots: int
) -> Iterator[UpstreamSpec]:
    """One upstream for each address; the provider's own, or the first one named, has the plain name."""
    by_url: dict[str, list[Secret]] = {}
    for key in keys:
        by_url.setdefault(key.base_url or home, []).append(key.secret)
    for number, (url, secrets) in enumerate(by_url.items(), start=1):
        name = dialect if number == 1 else f"{dialect}-{number}"
        yield UpstreamSpec(
            name=name, dialects=(dialect,), base_url=url, keys=tuple(secrets), models=models, slots=slots
        )  # fmt: skip


def _authorities(settings: Settings) -> Iterator[str]:
    try:
        parsers.ca_file(settings.upstream_ca_file)
    except ValueError as error:
        yield f"UPSTREAM_CA_FILE: {error}"


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.gatekeeper == "shared" and settings.proxy_key is None:
        yield "PROXY_KEY: expected 16 characters or more, because GATEKEEPER is shared"
    if not settings.store_url.startswith(parsers.SQLITE) and settings.token_pepper is None:
        yield "TOKEN_PEPPER: expected with MongoDB, because tokens must stay valid wherever this gateway runs"
    reachable = settings.public_url or settings.trusted_proxy_hops or not parsers.is_loopback(settings.host)
    if settings.gatekeeper == "none" and reachable and not settings.allow_public:
        yield "GATEKEEPER: none would let any caller use your keys; set ALLOW_PUBLIC=yes if other machines may"
    if settings.oidc_issuer and not settings.oidc_client_id:
        yield "OIDC_CLIENT_ID: expected the name of this gateway at the provider, because OIDC_ISSUER is set"
    known = settings.oidc_redirect_uris or settings.public_url or parsers.is_loopback(settings.host)
    if settings.oidc_issuer and not known:
        yield "OIDC_REDIRECT_URIS: expected this, or PUBLIC_URL, because OIDC_ISSUER is set"
