"""Every setting, once.

A row of `Settings` is a setting: its attribute's name in capitals is the name in the environment and in `.env`, and
its parser, default and help stand beside it. `--help`, `.env.example` and the documentation are written from these
rows (`settings_docs.py`); `settings.py` reads them.
"""
# ruff: noqa: RUF009 - `row` is `dataclasses.field`, and all defaults are immutable

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from server.config import oidc_parsers, parsers
from server.config.parsers import KeyAt, Network, number_or_auto, one_of, switch, whole
from server.config.setting import row
from server.config.settings_egress import EgressRows
from server.config.specs import Secret, UpstreamSpec
from server.config.tariff_parsers import Pairs, service_factors, tool_prices
from server.ledger.limits import Limit, parse_limits
from server.ledger.prices import Unpriced
from server.policy.claims import ClaimRules, Condition, condition
from server.policy.page_policy import page_csp
from server.wire.filters import Caps, Phrases
from server.wire.identity import Manner
from server.wire.request import MAX_OUTPUT

Gatekeeper = Literal["user_token", "shared", "none"]
Demo = Literal["auto", "on", "off"]
Driver = Literal["motor", "pymongo"]
Fairness = Literal["person", "group", "address"]
LogFormat = Literal["console", "json"]
Transport = Literal["own", "tornado"]


@dataclass(frozen=True, kw_only=True)
class Settings(EgressRows):
    """The settings of one gateway. Sizes are bytes, durations seconds; `Settings()` is all defaults."""

    host: str = row(
        "127.0.0.1", parsers.text, "The address to listen on; 0.0.0.0 lets other machines in.", section="Network"
    )
    port: int = row("8080", whole(0, 65535), "The port to listen on; 0 takes an unused one.")
    public_url: str = row(
        "", parsers.public_url, "How people reach it, if not by host and port.", example="https://llm.example.org"
    )
    host_names: tuple[str, ...] = row(
        "", parsers.host_names, "Other names than that of PUBLIC_URL by which people reach it without a credential.",
        example="llm.lan,llm.example.org",
    )  # fmt: skip
    trusted_proxy_hops: int = row(
        "0", whole(0, 10), "How many proxies of yours stand in front and add to X-Forwarded-For."
    )
    transport: Transport = row(
        "own", one_of("own", "tornado"),
        "What carries callers' HTTP: fairgate's own, or Tornado's server, which costs more.",
    )  # fmt: skip
    title: str = row("fairgate", parsers.text, "The name on the page.")

    no_color: bool = row("", bool, "If anything stands here, the command line shows no colours (no-color.org).")

    store_url: str = row(  # it may hold a password: never shown, neither in a repr nor in a message
        "sqlite:///fairgate.db", parsers.store_url, "Where people, tokens and usage are kept: a file, or mongodb://...",
        section="Storage", secret=True, example="mongodb://user:password@db.example.org/fairgate",
    )  # fmt: skip
    store_driver: Driver = row("motor", one_of("motor", "pymongo"), "The MongoDB driver.")
    usage_days: int = row("0", whole(0, 36_500), "Days that the rows of single requests are kept; 0 is for ever.")
    content_days: int = row("30", whole(1, 36_500), "Days that texts are kept, for groups that switched their log on.")
    master_keys: tuple[Secret, ...] = row(
        "", parsers.master_keys,
        "The keys that encrypt upstream keys added at run time: new,old. `key new-master` makes one.", secret=True,
    )  # fmt: skip

    openai_key: tuple[KeyAt, ...] = row(
        "", parsers.keys, "Your OpenAI keys, with commas between; KEY@URL is a compatible server.",
        section="Upstreams", secret=True, example="sk-...,key@https://llm.example.org/v1",
    )  # fmt: skip
    openai_models: tuple[str, ...] = row(
        "", parsers.words, "Models of these keys; empty asks the provider at the start.", example="gpt-5,gpt-5-mini"
    )
    anthropic_key: tuple[KeyAt, ...] = row(
        "", parsers.keys, "Your Anthropic keys, written like OPENAI_KEY.", secret=True, example="sk-ant-..."
    )
    anthropic_models: tuple[str, ...] = row("", parsers.words, "Models of these keys; empty asks the provider.")
    upstreams_file: str = row(
        "", parsers.text, "A YAML file with more upstreams and their limits.", example="upstreams.yaml"
    )
    key_slots: int = row("8", whole(1, 10_000), "Requests in flight per key, where the upstream says no other number.")
    probe_interval: float = row(
        "900", parsers.seconds_or_never, "Between two free checks of a key; 0 is at the start and on suspicion only."
    )
    keys_poll_seconds: float = row(
        "2", parsers.seconds, "How soon the gateway learns of keys added, paused or removed."
    )
    demo: Demo = row(
        "auto", one_of("auto", "on", "off"), "A small model on this machine; auto is on while no upstream is named."
    )

    gatekeeper: Gatekeeper = row(
        "user_token", one_of("user_token", "shared", "none"),
        "The callers: people with a token of their own, holders of PROXY_KEY, or all.", section="Access",
    )  # fmt: skip
    proxy_key: Secret | None = row(
        "", parsers.long_secret, "The common key of GATEKEEPER=shared, 16 characters or more.", secret=True
    )
    allow_public: bool = row("no", switch, "Permit GATEKEEPER=none where other machines can reach it.")
    token_pepper: Secret | None = row(
        "", parsers.pepper, "Mixed into stored token hashes; by default a file beside the database.", secret=True
    )
    token_cache_seconds: float = row("5", parsers.seconds, "How long a revoked token may still work.")
    stateful: bool = row(
        "off", switch, "Permit objects that providers keep (store, background, files), each to its maker.",
    )  # fmt: skip
    admin_key: Secret | None = row(
        "", parsers.long_secret, "Its holder is an administrator; 16 characters or more; empty: no key.", secret=True
    )
    user_header_networks: tuple[Network, ...] = row(
        "", parsers.networks, "Networks, with commas between, from which the header X-User is believed.",
        example="10.0.0.0/8,192.168.1.7",
    )  # fmt: skip

    oidc_issuer: str = row(
        "", oidc_parsers.issuer, "The issuer of your OpenID Connect provider; empty: no such login.",
        section="Login with OIDC", example="https://id.example.org/realms/main",
    )  # fmt: skip
    oidc_client_id: str = row("", parsers.text, "The client id of this gateway at the provider.", example="fairgate")
    oidc_client_secret: Secret | None = row(
        "", parsers.secret, "The client secret at the provider; empty: a public client.", secret=True
    )
    oidc_redirect_uris: tuple[str, ...] = row(
        "", oidc_parsers.redirect_uris, "Where the provider may send people back to; by default PUBLIC_URL/callback.",
        example="https://llm.example.org/callback",
    )  # fmt: skip
    oidc_scopes: str = row("openid profile email", oidc_parsers.scopes, "The scopes that a login asks for.")
    oidc_algorithms: tuple[str, ...] = row(
        "RS256", oidc_parsers.algorithms, "How its tokens may be signed, with commas between."
    )
    login_name_claim: str = row("preferred_username", oidc_parsers.claim, "The claim that names a new person.")
    claims_file: str = row(
        "", parsers.text, "A YAML file that says which claims lead to which groups.", example="claims.yaml"
    )
    oidc_admin: Condition | None = row(
        "", condition, "The claim of administrators; empty leaves it to you who is one.", example="groups=llm-admins"
    )
    oidc_bearer: bool = row("off", switch, "Accept the provider's own tokens at the API, beside gatekeeper tokens.")
    affiliation_days: int = row(
        "0", whole(0, 3650), "Days after the last login when a person's tokens rest until the next; 0 is never."
    )
    session_hours: int = row("12", whole(1, 8760), "How long a login in a browser lasts.")
    post_logout_uri: str = row(
        "", oidc_parsers.page, "Where the provider sends people after a logout.", example="https://llm.example.org/"
    )

    timezone: tzinfo = row(
        "UTC", parsers.timezone, "Where a day, a week and a month begin.", section="Money and limits",
        example="Europe/Berlin",
    )  # fmt: skip
    limits: tuple[Limit, ...] = row(
        "", parse_limits, "The limits of each person, with commas between; people and groups may have other limits.",
        example="20 requests/minute, 5 usd/day",
    )  # fmt: skip
    prices_file: str = row(
        "", parsers.text, "A YAML file with prices of your own, which win over the known ones.", example="prices.yaml"
    )
    unpriced_models: Unpriced = row("refuse", one_of("refuse", "free"), "Requests for models without a price.")
    tool_prices: Pairs = row(  # micro-USD by name
        "", tool_prices, "The price of a call of a provider's own tool, in US dollars, in place of its list price.",
        example="web_search=0.01, file_search=0.0025",
    )  # fmt: skip
    service_factors: Pairs = row(  # percent by word
        "", service_factors,
        "The price of a provider's service tier or region, times the standard price.",
        example="priority=2, flex=0.5, us=1.1",
    )  # fmt: skip
    max_context_tokens_openai: int = row(
        "0", whole(0, MAX_OUTPUT), "The longest prompt in OpenAI's dialect, in tokens; 0 is no bound."
    )
    max_context_tokens_anthropic: int = row("0", whole(0, MAX_OUTPUT), "The same in Anthropic's dialect.")
    max_output_tokens_openai: int = row(
        "0", whole(0, MAX_OUTPUT), "The longest answer in OpenAI's dialect, in tokens; 0 is no bound."
    )
    max_output_tokens_anthropic: int = row("0", whole(0, MAX_OUTPUT), "The same in Anthropic's dialect.")
    default_max_output: int = row(
        "16384", whole(1, MAX_OUTPUT),
        "The longest answer, in tokens, of a request that draws on a budget and sets no bound itself.",
    )  # fmt: skip

    journal: str = row(
        "", parsers.text, "The folder of bills that are not in the store yet; by default beside the SQLite file.",
        section="Outages", example="/var/lib/fairgate/journal",
    )  # fmt: skip
    store_seconds: float = row("0.5", parsers.seconds, "Patience with the store before an answer.")
    outage_seconds: float = row(
        "90", parsers.seconds_or_never, "How long known tokens go on working while the store is away; 0 is not at all."
    )
    outage_allowance_usd: int = row(  # micro-USD
        "1.00", parsers.micro_usd, "So much of a budget is kept in escrow for an outage of the store, in US dollars."
    )

    reject_phrases: tuple[str, ...] = row(
        "", parsers.phrases, 'Patterns (RE2) that no prompt may hold; one with a comma stands in "quotes".',
        section="Content rules", example='a secret project,"a{2,3}h"',
    )  # fmt: skip
    reject_phrases_file: str = row(
        "", parsers.text, "A file with more of them, one pattern on each line.", example="phrases.txt"
    )
    reject_message: str = row("", parsers.text, "The text of that refusal, in place of ours.")
    blocked_origins: tuple[str, ...] = row(
        "", parsers.words, "Web sites that may not use the gateway: parts of the name in Origin or Referer.",
        example="chat.example.com,example.net",
    )  # fmt: skip
    allowed_origins: tuple[str, ...] = row(
        "", parsers.origins, "Web pages that may use the API from a browser (CORS), or * for all; cookies never count.",
        example="https://chat.example.org,https://*.example.edu,app://obsidian.md",
    )  # fmt: skip
    block_message: str = row("", parsers.text, "The text of the refusal of BLOCKED_ORIGINS, in place of ours.")

    identity_upstream: Manner = row(
        "pseudonym", one_of("pseudonym", "strip", "pass"),
        "The user's name that providers get: a lasting pseudonym, none, or the one that the client wrote.",
    )  # fmt: skip
    allow_service_tier: bool = row(
        "off", switch, "Let requests ask for a faster service (service_tier, speed), which costs more than listed."
    )

    legacy_routes: bool = row(
        "off", switch, "Routes of older proxies that carry a token in the path or in the query: logs may keep it.",
        section="Compatibility",
    )  # fmt: skip
    byo_keys: bool = row("off", switch, "Let callers pass through with a provider's key of their own.")

    queue_total: int = row(
        "5000",
        whole(1, 1_000_000),
        "Requests that may wait in a queue; all models whose keys share anything have one.",
        section="The queue",
    )
    queue_per_person: int = row("100", whole(1, 1_000_000), "Requests of one person that may wait in a queue.")
    queue_seconds: float = row("300", parsers.seconds, "The longest wait in the queue.")
    running_per_person: int = row(
        "0", whole(0, 1_000_000), "Requests of one person in flight, for each queue and class; 0 is no bound."
    )
    headroom_slots: int | None = row(
        "auto", number_or_auto(0, 10_000),
        "Slots of a model that stay free for people below a fair share; auto: 1 from 8 on, a 16th from 32 on.",
    )  # fmt: skip

    fairness: Fairness = row(
        "person", one_of("person", "group", "address"),
        "The unit of equal shares; with group or address, the persons of one share among themselves.",
    )  # fmt: skip

    header_seconds: float = row(
        "15", parsers.seconds, "For a caller to send the header.", section="Patience, in seconds"
    )
    keep_alive_seconds: float = row(
        "75",
        parsers.seconds,
        "For the next request over a connection; more than a proxy in front keeps it (nginx: 60).",
    )
    body_seconds: float = row("30", parsers.seconds, "For a caller to send the body.")
    connect_seconds: float = row("10", parsers.seconds, "To connect to an upstream.")
    first_byte_seconds: float = row("600", parsers.seconds, "For an upstream's first byte.")
    idle_seconds: float = row("600", parsers.seconds, "Between two pieces of an upstream's answer.")
    total_seconds: float = row("3600", parsers.seconds, "For a whole answer.")
    write_seconds: float = row("60", parsers.seconds, "For a caller to take a piece of the answer.")
    drain_seconds: float = row("25", parsers.seconds, "For running requests to end when the gateway stops.")
    drain_usage_seconds: float = row(
        "30", parsers.seconds_or_never,
        "For an answer to report its usage after its client has left, if it is not known; 0 closes it at once.",
    )  # fmt: skip
    background_seconds: float = row(
        "3600", parsers.seconds, "For a response in the background to end (STATEFUL=on); then it is cancelled."
    )

    leaderboard: bool = row(
        "on", switch, "A page with the highest usage of people who chose a nickname for it.", section="Pages"
    )
    page_body: str = row(
        "", parsers.base64_text, "A page of your own in place of ours, as HTML in Base64; ours stays at /status."
    )
    page_file: str = row("", parsers.text, "The same as a file.", example="page.html")
    page_csp: str = row(
        "", page_csp, "What your page may load beside ours: directives of a content security policy, or legacy.",
        example="img-src https://example.org; style-src 'unsafe-inline'",
    )  # fmt: skip

    log_level: str = row(
        "info", one_of("debug", "info", "warning", "error"), "The lowest level to log.", section="Logs and metrics"
    )
    log_format: LogFormat = row(
        "console", one_of("console", "json"), "Lines for a person to read, or one JSON object each."
    )
    metrics: bool = row("on", switch, "Figures for Prometheus under /metrics.")
    access_log: bool = row("on", switch, "One line per request, without prompts, keys or queries.")
    otel_exporter_otlp_endpoint: str = row(
        "", parsers.public_url, "Where traces go, by OTLP over HTTP; it needs `pip install .[otel]`.",
        example="http://127.0.0.1:4318",
    )  # fmt: skip

    # Made of the rows above, by `load`:
    upstreams: tuple[UpstreamSpec, ...] = ()
    phrases: Phrases = Phrases()
    claim_rules: ClaimRules = ClaimRules()
    page: str = field(default="", repr=False)  # the operator's own, as HTML
    slips: tuple[str, ...] = ()  # names that are almost a setting, for the operator; never a value
    notes: tuple[str, ...] = ()  # what becomes of the names of other proxies, for the operator; never a value

    @property
    def caps(self) -> dict[str, Caps]:
        """The bounds of prompts and answers, by dialect."""
        return {
            "openai": Caps(self.max_context_tokens_openai, self.max_output_tokens_openai),
            "anthropic": Caps(self.max_context_tokens_anthropic, self.max_output_tokens_anthropic),
        }

    @property
    def own_names(self) -> frozenset[str]:
        """The names that `Host` may have if callers need no credential; addresses and plain words always may."""
        known = (self.host.lower(), urlsplit(self.public_url).hostname or "", *self.host_names)
        return frozenset(name for name in known if name)

    @property
    def journal_folder(self) -> Path:
        """Where the journal is kept."""
        if self.journal:
            return Path(self.journal)
        if self.store_url.startswith(parsers.SQLITE):
            return Path(f"{self.store_url.removeprefix(parsers.SQLITE)}.journal")
        return Path("fairgate-journal")

    @property
    def wants_demo(self) -> bool:
        """Whether the small local model is to be started."""
        return self.demo == "on" or (self.demo == "auto" and not self.upstreams)
