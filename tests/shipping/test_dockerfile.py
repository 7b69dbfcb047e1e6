"""The image's recipe, step by step in a clean folder, since there need not be a Docker on this machine.

What a RUN, COPY, ENV, WORKDIR and CMD do is done; the base image is this machine with a Python of its own.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.shipping.at_hand import PACKAGES, python
from tests.shipping.place import ROOT, Place, asked, copy, inherited, serving, status, unused_port

TEXT = (ROOT / "Dockerfile").read_text()
KNOWN = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"}


@dataclass
class Stage:
    """A part of the recipe, from one FROM to the next. `steps`: instruction and the rest of its line."""

    image: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        return [rest for each, rest in self.steps if each == instruction][-1]


def stages() -> list[Stage]:
    found: list[Stage] = []
    for line in TEXT.splitlines():
        instruction, _, rest = line.partition(" ")
        if not line or line.startswith("#"):
            continue
        assert instruction in KNOWN, "teach this test the instruction"
        if instruction == "FROM":
            image, _, name = rest.partition(" AS ")
            found.append(Stage(image, name))
        else:
            found[-1].steps.append((instruction, rest))
    return found


BUILD, FINAL = stages()


async def carry_out(stage: Stage, place: Place, built: Place) -> None:
    """Do a stage's steps in its place; `built` is the one that files are copied from."""
    folder = "/"
    for instruction, rest in stage.steps:
        if instruction == "WORKDIR":
            folder = rest
        elif instruction == "RUN":
            await place.run(rest, folder)
        elif instruction == "ENV":
            place.environ |= dict(pair.split("=", 1) for pair in shlex.split(place.here(rest)))
        elif instruction == "COPY":
            take(rest, place, built, folder)


def take(rest: str, place: Place, built: Place, folder: str) -> None:
    *sources, target = rest.removeprefix("--from=build ").split()
    origin = built.root if rest.startswith("--from=build") else ROOT
    for source in sources:
        name = source.lstrip("/")
        copy(origin / name, place.path(f"{folder}/{name}" if target == "./" else f"{folder}/{target}"))


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.gen_test(timeout=150)
@pytest.mark.parametrize("packages", PACKAGES)
async def test_its_steps_make_a_gateway_that_answers_is_healthy_and_stops(tmp_path: Path, packages: str) -> None:
    commands = tmp_path / "commands"
    commands.mkdir()
    environ = inherited(commands) | python(commands / "python", packages)
    (commands / "chown").symlink_to(shutil.which("true") or "/bin/true")  # there is no such user here
    built = Place(tmp_path / "build", environ)
    await carry_out(BUILD, built, built)
    # An environment of Python knows where it is: what is copied in an image goes to the same path.
    final = Place(tmp_path / "build", inherited(commands))
    shutil.rmtree(final.path("/src"))
    await carry_out(Stage(FINAL.image, "", FINAL.steps[1:]), final, built)
    assert FINAL.steps[0] == ("COPY", "--from=build /opt/fairgate /opt/fairgate")

    tools = [path.name for name in ("pip", "setuptools", "wheel") for path in final.root.rglob(f"{name}-*.dist-info")]
    assert not tools, "build tools are left"
    async with FakeUpstream() as fake:
        port = unused_port()
        final.environ |= {"PORT": str(port), "HOST": "127.0.0.1", "OPENAI_KEY": f"sk-upstream-one@{fake.url}/v1"}
        async with serving(json.loads(FINAL.last("CMD")), final.path(FINAL.last("WORKDIR")), final.environ) as said:
            check = json.loads(FINAL.last("HEALTHCHECK").partition("CMD ")[2])
            await final.run(shlex.join(check))
            assert await status(f"http://127.0.0.1:{port}/") == 200
            token = re.search(r"shown only now: (fg_\S+)", said)
            assert token, said
            assert await asked(f"http://127.0.0.1:{port}", token[1]) == "You said: Hello"
    assert {"fairgate.db", "fairgate.db.pepper"} <= {path.name for path in final.path("/data").iterdir()}


def test_it_does_not_run_as_root_and_keeps_its_data_on_a_volume() -> None:
    assert FINAL.last("USER") == "1000:1000"
    assert FINAL.last("VOLUME") == FINAL.last("WORKDIR") == "/data"
    assert "STORE_URL=sqlite:////data/" in FINAL.last("ENV")


def test_nothing_is_installed_in_the_stage_that_is_shipped() -> None:
    assert [rest for each, rest in FINAL.steps if each == "RUN"] == ["mkdir -m 700 /data && chown 1000:1000 /data"]
    assert BUILD.image == FINAL.image == "python:3.12-slim"


def test_every_room_of_the_house_is_copied() -> None:
    copied = {word for each, rest in BUILD.steps if each == "COPY" for word in rest.split()}
    assert {"setup.py", "pyproject.toml", "server", "keypool", "web"} <= copied


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    admitted = {line[1:] for line in lines if line.startswith("!")}
    sources = {word for each, rest in BUILD.steps if each == "COPY" for word in rest.split()[:-1]}
    assert lines[0] == "*"
    assert admitted == sources
