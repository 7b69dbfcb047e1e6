"""A gateway that is asked by schemathesis, which reads our document and invents what to send."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from server.http.api.docs import described
from tests.admin.estate import ADMIN_KEY, Estate, estate
from tests.hostile.site import LoopThread

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,negative_data_rejection"
)

# A query, a body, and a path with a body: their forms are read by the same code as all others. Without this list all
# operations are asked for each bound of each of their values, which takes half a minute.
COVERED = ("/api/requests", "/api/me/tokens", "/api/admin/limits/{limit}")


@dataclass
class Heard:
    """What came of it: the exit code, and all that was said."""

    code: int
    said: str


@contextmanager
def opened() -> Iterator[tuple[LoopThread, Estate]]:
    """Without a master key: nobody adds an upstream key here, which would be checked at a provider's own address."""
    with LoopThread() as inside:
        place: Estate = inside.enter(estate(master_keys=()))
        inside.do(_furnish(place))
        yield inside, place


async def _furnish(place: Estate) -> None:
    """One thing of each kind, so that not every path leads to nothing."""
    limit = {"scope": "person", "subject": place.ids["ada"], "unit": "usd", "window": "day", "amount": 5}
    for path, body in (
        ("limits/l1", limit),
        ("prices/p1", {"model": "gpt-5", "valid_from": "2020-01-01T00:00:00Z", "input": 5}),
        ("notices/n1", {"kind": "announcement", "text": "hello", "since": "2020-01-01T00:00:00Z"}),
    ):
        assert (await place.ask("PUT", f"/api/admin/{path}", body=body)).status == 200
    group = {"name": "physics", "weight": 2, "guests": True}
    assert (await place.ask("POST", "/api/admin/groups", body=group)).status == 201


def document_for(place: Estate) -> dict[str, Any]:
    """Our document, with the ids of this place in it."""
    keys = [key.id for key in place.services.dispatcher.snapshot().keys]
    there = {
        "person": [place.ids["ada"], place.ids["bob"]],
        "group": ["physics"],
        "limit": ["l1"],
        "price": ["p1"],
        "notice": ["n1"],
        "key": keys,
        "model": ["gpt-5"],
    }
    document: dict[str, Any] = orjson.loads(orjson.dumps(described("test")))
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    ids = there.get(parameter["name"], [])
                    parameter["schema"] = {"anyOf": [{"enum": [*ids, "nothing", "a/b", "ü"]}, parameter["schema"]]}
    return document


def talk(
    place: Estate,
    folder: Path,
    examples: int,
    token: str = ADMIN_KEY,
    checks: str = CHECKS,
    covered: Sequence[str] = (),
) -> Heard:
    """Let it ask so many things of every operation, and each bound of each value of those `covered`: all by default."""
    document, config = folder / "openapi.json", folder / "schemathesis.toml"
    document.write_bytes(orjson.dumps(document_for(place)))
    config.write_text(
        f"[[operations]]\nexclude-path = {[*covered]}\nphases.coverage.enabled = false" if covered else ""
    )
    command = [
        str(Path(sys.executable).with_name("st")), "--config-file", str(config), "run", str(document),
        "--url", place.url, "--no-color",
        "--header", f"Authorization: Bearer {token}", "--checks", checks, "--max-examples", str(examples),
        "--phases", "examples,coverage,fuzzing", "--warnings", "off", "--continue-on-failure", "--seed", "7",
        "--generation-database", ":memory:", "--generation-codec", "utf-8", "--suppress-health-check", "all",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    return Heard(done.returncode, done.stdout + done.stderr)
