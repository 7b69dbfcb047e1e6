"""A machine whose Python has what fairgate requires at hand, so that an installation fetches and unpacks nothing.

`pip` runs as the guides say. It builds our package and finds each requirement in the new environment: the distributions
that the requirements of setup.py lead to, each file a link to the environment that the tests run in, and no other one.
So a package that we import and do not require is missing there too. `make soak` fetches all of them.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.fetched import by_pip

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("at hand", pytest.param("fetched", marks=pytest.mark.soak))
EXTRAS = frozenset({"", "otel"})  # the image's recipe asks for this one
BUILDER = "setuptools>=77"  # it makes wheels without a second package
_PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    cd {root} && exec {python} -m tests.shipping.at_hand "$3"
fi
exec {python} "$@"
"""
_PIP = """#!{python}
from pip._internal.cli.main import main
raise SystemExit(main())
"""


def python(command: Path, packages: str) -> dict[str, str]:
    """Make a command `python` or `python3`, and return what pip has to know: where its packages come from."""
    if packages == "fetched":
        command.symlink_to(sys.executable)
        return {}
    by_pip(BUILDER)
    command.write_text(_PYTHON.format(root=shlex.quote(str(ROOT)), python=shlex.quote(sys.executable)))
    command.chmod(0o755)
    # pip takes this value for the option's own: false is "no isolation".
    return {"PIP_NO_BUILD_ISOLATION": "false", "PIP_NO_INDEX": "1"}


def make(environment: Path) -> None:
    """Make an environment with pip, what builds a package, and what fairgate requires."""
    venv.create(environment, symlinks=True, with_pip=False)
    (packages,) = environment.glob("lib/python*/site-packages")
    for each in (distribution("pip"), *required(distribution("fairgate"), EXTRAS)):
        link(each, packages)
    shutil.copytree(by_pip(BUILDER), packages, dirs_exist_ok=True)
    pip = environment / "bin" / "pip"
    pip.write_text(_PIP.format(python=environment / "bin" / "python"))
    pip.chmod(0o755)


def required(first: Distribution, extras: frozenset[str]) -> Iterator[Distribution]:
    """Each distribution that one requires, with these extras, and what they require in turn: each once."""
    names: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(first, extras)]
    while todo:
        each, extras = todo.pop()
        for requirement in map(Requirement, each.requires or ()):
            wanted = canonicalize_name(requirement.name), frozenset({"", *requirement.extras})
            if wanted in seen or not _applies(requirement, extras):
                continue
            found = distribution(requirement.name)
            if wanted[0] not in names:
                yield found
            names.add(wanted[0])
            seen.add(wanted)
            todo.append((found, wanted[1]))


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


def link(each: Distribution, packages: Path) -> None:
    """Put a distribution's files into a folder of packages, as links. Its commands stay behind."""
    for file in {Path(file) for file in each.files or ()}:
        target, source = packages / file, Path(str(each.locate_file(file)))
        if ".." not in file.parts and source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
