"""Every setting, once.

A row of `Settings` is a setting: its attribute's name in capitals is the name in the environment and in `.env`, and
its parser, default and help stand beside it. `--help`, `.env.example` and the documentation are written from these
rows (`settings_docs.py`). What counts: the command line, then the environment, then `.env`, then the default; an empty
value is no value. This is the only module that reads the environment. All mistakes are reported together.
"""
# ruff: noqa: RUF009 - `row` is `dataclasses.field`, and all defaults are immutable

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from dotenv.parser import parse_stream

from server import parsers
from server.parsers import KeyAt, Parser, number_or_auto, one_of, size, switch, whole
from server.specs import Secret, UpstreamSpec
from server.upstreams_file import duplicates, read_upstreams

__all__ = ["SETTINGS", "Secret", "Setting", "Settings", "SettingsError", "UpstreamSpec", "load"]

T = TypeVar("T")

Gatekeeper = Literal["user_token", "shared", "none"]
Demo = Literal["auto", "on", "off"]

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com/v1"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row as the documentation sees it. `default` is text, as it would stand in `.env`."""

    name: str
    section: str
    parse: Parser[Any]
    default: str
    help: str
    secret: bool
    example: str


class SettingsError(Exception):
    """Some settings cannot be used; `mistakes` has one line for each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def row(
    default: str, parse: Parser[T], help: str, *, section: str = "", secret: bool = False, example: str = ""
) -> T:  # fmt: skip
    """A setting. A `section` opens a new group of rows."""
    metadata = {
        "section": section, "parse": parse, "default": default, "help": help, "secret": secret, "example": example,
    }  # fmt: skip
    return field(default=parse(default), metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one gateway. Sizes are bytes, durations seconds; `Settings()` is all defaults."""

    host: str = row(
        "127.0.0.1",
        parsers.text,
        "The address to listen on; 0.0.0.0 lets other machines in.",
        section="Where it listens",
    )
    port: int = row("8080", whole(0, 65535), "The port to listen on; 0 takes an unused one.")
    public_url: str = row(
        "", parsers.public_url, "How people reach it, if not by host and port.", example="https://llm.example.org"
    )
    trusted_proxy_hops: int = row(
        "0", whole(0, 10), "How many proxies of yours stand in front and add to X-Forwarded-For."
    )
    title: str = row("fairgate", parsers.text, "The name on the page.")

    store_url: str = row(
        "sqlite:///fairgate.db", parsers.store_url, "Where people, tokens and usage are kept.", section="What it keeps"
    )
    master_keys: tuple[Secret, ...] = row(
        "", parsers.master_keys,
        "What upstream keys added at run time are encrypted with: new,old. `key new-master` makes one.", secret=True,
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
        "Who may ask: everyone with their own token, everyone who knows PROXY_KEY, or anyone.", section="Who may ask",
    )  # fmt: skip
    proxy_key: Secret | None = row(
        "", parsers.secret, "The common key of GATEKEEPER=shared, 16 characters or more.", secret=True
    )
    allow_public: bool = row("no", switch, "Permit GATEKEEPER=none where other machines can reach it.")
    token_pepper: Secret | None = row(
        "", parsers.secret, "Mixed into stored token hashes; by default a file beside the database.", secret=True
    )
    token_cache_seconds: float = row("5", parsers.seconds, "How long a revoked token may still work.")
    stateful: bool = row(
        "off", switch, "Permit requests that the provider stores for later: store, background, conversation."
    )

    max_body_bytes: int = row("8MiB", size, "The largest request body.", section="Bounds")
    max_audio_bytes: int = row("26MiB", size, "The largest upload to an audio endpoint.")
    max_answer_bytes: int = row("64MiB", size, "The largest answer of an upstream.")
    max_header_bytes: int = row("32KiB", size, "The largest header of a request.")
    max_connections: int = row("10000", whole(1, 1_000_000), "Connections at a time.")

    queue_total: int = row("5000", whole(1, 1_000_000), "Requests that may wait in all.", section="The queue")
    queue_per_person: int = row("100", whole(1, 1_000_000), "Requests of one person that may wait.")
    queue_seconds: float = row("300", parsers.seconds, "The longest wait in the queue.")
    running_per_person: int = row("0", whole(0, 1_000_000), "Requests of one person in flight; 0 is no bound.")
    headroom_slots: int | None = row(
        "auto", number_or_auto(0, 10_000),
        "Slots of a model that only those take who run less than a fair share; auto is 1 from 16 slots on.",
    )  # fmt: skip

    header_seconds: float = row(
        "15", parsers.seconds, "For a caller to send the header.", section="Patience, in seconds"
    )
    body_seconds: float = row("30", parsers.seconds, "For a caller to send the body.")
    connect_seconds: float = row("10", parsers.seconds, "To connect to an upstream.")
    first_byte_seconds: float = row("120", parsers.seconds, "For an upstream's first byte.")
    idle_seconds: float = row("90", parsers.seconds, "Between two pieces of an upstream's answer.")
    total_seconds: float = row("900", parsers.seconds, "For a whole answer.")
    write_seconds: float = row("60", parsers.seconds, "For a caller to take a piece of the answer.")
    drain_seconds: float = row("25", parsers.seconds, "For running requests to end when the gateway stops.")

    log_level: str = row(
        "info", one_of("debug", "info", "warning", "error"), "The least serious thing to log.", section="What it tells"
    )
    metrics: bool = row("on", switch, "Figures for Prometheus under /metrics.")
    access_log: bool = row("on", switch, "One line per request, without prompts, keys or queries.")

    upstreams: tuple[UpstreamSpec, ...] = ()  # made of the rows above, by `load`

    @property
    def wants_demo(self) -> bool:
        """Whether the small local model is to be started."""
        return self.demo == "on" or (self.demo == "auto" and not self.upstreams)


def _rows() -> Iterator[Setting]:
    section = ""
    for each in fields(Settings):
        if each.metadata:
            section = each.metadata["section"] or section
            yield Setting(name=each.name.upper(), **{**each.metadata, "section": section})


SETTINGS = tuple(_rows())


def load(
    arguments: Mapping[str, str | None] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    dotenv: Path | None = Path(".env"),
) -> Settings:
    """Read all settings; `arguments` are those of the command line by their names in capitals.

    Raises SettingsError with every mistake that was found.
    """
    mistakes: list[str] = []
    known = {**_dotenv(dotenv, mistakes), **_given(environ), **_given(arguments or {})}
    settings = Settings(**_parsed(known, mistakes))
    upstreams = _upstreams(settings, known, mistakes)
    mistakes += _contradictions(settings)
    if mistakes:
        raise SettingsError(mistakes)
    return replace(settings, upstreams=upstreams)


def _given(texts: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value.strip() for name, value in texts.items() if value and value.strip()}


def _dotenv(path: Path | None, mistakes: list[str]) -> dict[str, str]:
    """What the file says, without the variable expansion of a shell: a `$` in a key is a `$`."""
    if path is None or not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8") as file:
            bindings = list(parse_stream(file))
    except (OSError, UnicodeDecodeError):
        mistakes.append(f"{path.name}: expected a readable text file in UTF-8")
        return {}
    mistakes += [f"{path.name} line {each.original.line}: expected NAME=value" for each in bindings if each.error]
    return _given({each.key: each.value for each in bindings if each.key})


def _parsed(known: Mapping[str, str], mistakes: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        if setting.name in known:
            try:
                values[setting.name.lower()] = setting.parse(known[setting.name])
            except ValueError as error:
                mistakes.append(f"{setting.name}: {error}")
    return values


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


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.gatekeeper == "shared" and len(settings.proxy_key.reveal() if settings.proxy_key else "") < 16:
        yield "PROXY_KEY: expected 16 characters or more, because GATEKEEPER is shared"
    if settings.gatekeeper == "none" and not parsers.is_loopback(settings.host) and not settings.allow_public:
        yield "GATEKEEPER: none would let anyone use your keys; set ALLOW_PUBLIC=yes if other machines may"
