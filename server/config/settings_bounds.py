"""The settings that bound what is held and used at once. They stand among the others in front of "The queue"."""

from __future__ import annotations

from dataclasses import dataclass

from server.config import parsers
from server.config.parsers import number_or_auto, size, whole
from server.config.setting import row


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Sizes are bytes, durations seconds."""

    max_body_bytes: int = row("8MiB", size, "The largest request body.", section="Bounds")
    max_audio_bytes: int = row("26MiB", size, "The largest upload to an audio endpoint.")
    max_answer_bytes: int = row("64MiB", size, "The largest answer of an upstream that is not streamed.")
    max_header_bytes: int = row("32KiB", size, "The largest header of a request.")
    max_held_bytes: int = row(
        "512MiB", size, "Bytes of request bodies that are held at once, in memory and in files; a part stays free."
    )
    max_held_bytes_per_person: int = row("128MiB", size, "The same of one person.")
    max_held_bytes_per_address: int = row(
        "256MiB", size, "The same of one address (IPv6: a network of 64 bits), which a whole campus may share."
    )
    spool_bytes: int = row(
        "256KiB", size, "A body of this size or larger waits in the queue as an encrypted temporary file."
    )
    spool_folder: str = row(
        "", parsers.text, "The folder of these files; by default the one for temporary files of the system.",
        example="/var/lib/fairgate/spool",
    )  # fmt: skip
    linger_bytes: int = row("32MiB", size, "Read and dropped behind a refusal, so that its client hears it.")
    linger_seconds: float = row("15", parsers.seconds, "How long that goes on at most.")
    max_connections: int = row(
        "10000", whole(1, 1_000_000), "Connections at a time; fewer if the system allows fewer open files."
    )
    max_connections_per_address: int | None = row(
        "auto", number_or_auto(1, 1_000_000),
        "The same of one address; auto is a quarter of all. Behind proxies: requests of one caller's address.",
    )  # fmt: skip
    max_requests_per_address: int = row(
        "0", whole(0, 1_000_000),
        "Requests a minute of one address; 0 is no limit, since a campus or an application may be one address.",
    )  # fmt: skip
    workers: int = row(
        "1", whole(0, 256), "Processes that serve requests, beside one that has the queue; 0 and 1: one does all."
    )
