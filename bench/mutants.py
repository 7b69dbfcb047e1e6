"""`python -m bench.mutants`: change the pure core in small ways and count the changes that its tests notice.

mutmut 3 makes the mutants, finds the tests that pass through each function and runs those in a process of its own for
each mutant. All of it happens on copies of the tracked files, a copy for each package in `build/mutation`, so that no
mutant ever stands in the checkout and a package answers to its own tests only. The core has more than 14,000 mutants
and takes hours, so a run takes `--per-module` of each module, drawn with `--seed`: the same seed draws the same mutants
of a module that has not changed.

Three things make a run cheaper and take nothing from what it says. Functions of which no mutant is drawn go without the
detour by which mutmut chooses a mutant at each call. Quick tests are asked first, so what dies dies soon. Hypothesis
draws the same examples in each run and does not look for the smallest one that fails.

A function that is called while its module is imported has been called before a mutant of it is chosen. Such mutants
seem to survive; put them into a copy by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIES = ROOT / "build" / "mutation"
MUTMUT = Path(sys.executable).with_name("mutmut")
PACKAGES = {
    "keypool": ("tests/keypool",),
    "server/wire": ("tests/wire", "tests/compat/test_trusted.py", "tests/relay/test_bytes.py"),
    "server/ledger": (
        "tests/ledger",
        "tests/status/test_history.py",
        "tests/status/test_summaries.py",
        "tests/usage/test_export.py",
        "tests/usage/test_question.py",
        "tests/usage/test_when.py",
        "tests/wire/test_hosted.py",
    ),
}
KILLED = frozenset({"killed", "timeout", "segfault"})  # what never ends is noticed as well
# The tests that are asked: those that end within a quarter of a second, without long simulations, whose calls mutmut
# slows down too much, and without the test that reads the ledger's source, which is another one here. mutmut calls
# pytest several times in one process and names the tests; names that `ids=repr` escapes are escaped anew each time.
CONFIG = """
[tool.mutmut]
source_paths = ["keypool", "server", "web"]
only_mutate = ["{package}/*"]
also_copy = ["conftest.py", "bench", "docs", "deploy", "README.md", "setup.py", ".importlinter"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = [
    "-m", "not slow", "-p", "no:cacheprovider",
    "--ignore=tests/keypool/test_adversary.py", "--ignore=tests/keypool/test_areas.py",
    "--ignore=tests/ledger/test_money_is_integer.py",
    "--deselect=tests/keypool/test_affinity.py::test_it_never_remembers_more_than_its_capacity_nor_longer_than_its_time",
    "--deselect=tests/keypool/test_pool.py::test_ten_thousand_who_leave_at_once_leave_nothing_behind",
]
track_dependencies = false
timeout_constant = 5.0
timeout_multiplier = 10.0
"""
CONFTEST = """
import json
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.differing_executors],  # mutmut runs a test several times in one process
)
settings.load_profile("mutants")


def pytest_collection_modifyitems(items):
    measured = Path("mutmut-stats.json")
    seconds = json.loads(measured.read_text())["duration_by_test"] if measured.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
"""
DETOUR = re.compile(r"^ *@_mutmut_mutated\(mutants_(\w+)__mutmut\b.*$", re.MULTILINE)


def main() -> int:
    """Copy, draw, run, print. Returns 1 if mutmut could not run."""
    options = _options()
    found: dict[str, str] = {}
    shown: list[str] = []
    for package in PACKAGES:
        if (sample := _sample(package, options)) and not _ran(sample, options.workers):
            return 1
        here = _results(sample) if sample else {}
        found |= here
        shown += [_shown(name, here[name]) for name in survivors(here)]
    print("\n".join([*table(found), *shown]))
    return 0


def table(found: Mapping[str, str]) -> list[str]:
    """A Markdown table: of each module and package the mutants, those that died, and their share in per cent."""
    mutants: Counter[str] = Counter()
    died: Counter[str] = Counter()
    for name, status in found.items():
        module = name.rpartition(".")[0]
        for row in (f"**{module.rpartition('.')[0]}**", module, "**all**"):
            mutants[row] += 1
            died[row] += status in KILLED
    rows = [f"| {row} | {mutants[row]} | {died[row]} | {died[row] / mutants[row]:.0%} |" for row in sorted(mutants)]
    return ["| module | mutants | killed | score |", "|---|---:|---:|---:|", *rows]


def drawn(path: Path, names: Sequence[str], count: int, seed: int) -> list[str]:
    """`count` of a module's mutants, or all if there are no more: the same for the same seed."""
    return random.Random(f"{seed} {path}").sample(names, min(count, len(names)))


def straightened(code: str, sample: Iterable[str]) -> str:
    """A module as mutmut writes it, in which functions without a drawn mutant are called straight."""
    taken = {name.rpartition("__mutmut_")[0].rpartition(".")[2] for name in sample}
    return DETOUR.sub(lambda found: found[0] if found[1] in taken else "", code)


def survivors(found: Mapping[str, str]) -> list[str]:
    """The mutants that no test noticed, or through which none passes."""
    return sorted(name for name, status in found.items() if status not in KILLED)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("--per-module", type=int, default=8, help="mutants drawn of each module (default: 8)")
    parser.add_argument("--seed", type=int, default=1, help="of the draw (default: 1)")
    parser.add_argument("--names", nargs="*", help="these mutants in place of a draw, such as the last survivors")
    parser.add_argument("--only", default="*", help="modules to take, as keypool/hidden.py or server/wire/*")
    parser.add_argument("--workers", type=int, default=1, help="processes at once (default: 1)")
    return parser.parse_args()


def _sample(package: str, options: argparse.Namespace) -> list[str]:
    """The mutants that are drawn of a package. They stand in its copy, which is the working directory from here on."""
    if not (modules := _modules(package, options)):
        return []
    copy = COPIES / package.replace("/", "-")
    _copy(copy, CONFIG.format(package=package, tests=list(PACKAGES[package])))
    _generate(copy, options.workers)
    return [name for path in modules for name in _drawn_of(path, options)]


def _drawn_of(path: Path, options: argparse.Namespace) -> list[str]:
    mutants = _mutants(path)
    if options.names is None:
        sample = drawn(path, mutants, options.per_module, options.seed)
    else:
        sample = [name for name in mutants if name in options.names]
    written = Path("mutants", path)
    written.write_text(straightened(written.read_text(encoding="utf-8"), sample), encoding="utf-8")
    return sample


def _ran(sample: Sequence[str], workers: int) -> bool:
    return not subprocess.run([MUTMUT, "run", "--max-children", str(workers), *sample]).returncode


def _modules(package: str, options: argparse.Namespace) -> list[Path]:
    paths = [path.relative_to(ROOT) for path in sorted((ROOT / package).glob("*.py"))]
    if options.names is not None:
        paths = [path for path in paths if path in set(map(_path, options.names))]
    return [path for path in paths if fnmatchcase(str(path), options.only)]


def _copy(place: Path, config: str) -> None:
    """Every tracked file, as it is now, into a fresh directory."""
    shutil.rmtree(place, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (source := ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place / name)
    with (place / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(config)
    (place / "conftest.py").write_text(CONFTEST, encoding="utf-8")


def _generate(place: Path, workers: int) -> None:
    """Write the mutants into the copy; `mutmut run` finds them there."""
    os.chdir(place)  # mutmut reads its settings where it stands when it is imported
    from mutmut.__main__ import create_mutants
    from mutmut.configuration import reset_config
    from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir

    reset_config()
    Path("mutants").mkdir()
    copy_src_dir()
    copy_also_copy_files()
    create_mutants(workers)


def _mutants(path: Path) -> list[str]:
    written = json.loads(Path("mutants", f"{path}.meta").read_text(encoding="utf-8"))
    return list(written["exit_code_by_key"])


def _results(sample: Iterable[str]) -> dict[str, str]:
    listed = subprocess.run([MUTMUT, "results", "--all", "true"], capture_output=True, check=True, text=True).stdout
    found = {name: status for name, _, status in (line.strip().rpartition(": ") for line in listed.splitlines())}
    return {name: found[name] for name in sample}


def _shown(name: str, status: str) -> str:
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    return f"# {name}: {status}\n{get_diff_for_mutant(name, path=_path(name))}"


def _path(name: str) -> Path:
    """The module of a mutant."""
    return Path(name.rpartition(".")[0].replace(".", "/")).with_suffix(".py")


if __name__ == "__main__":
    sys.exit(main())
