"""`python -m bench.mutants`: change the pure core in small ways and count the changes that its tests notice.

mutmut 3 makes the mutants, finds the tests that pass through each function and runs those in a process of its own for
each mutant ([tool.mutmut] in pyproject.toml names the tests). All of it happens on a copy of the tracked files in
`build/mutation`, so that no mutant ever stands in the checkout. The whole core has more than 14,000 mutants and takes
hours, so a run takes `--per-module` of each module, drawn with `--seed`: the same seed draws the same mutants of a
module that has not changed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from mutmut.__main__ import create_mutants
from mutmut.mutation.data import SourceFileMutationData
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "build" / "mutation"
MUTMUT = Path(sys.executable).with_name("mutmut")
PACKAGES = ("keypool", "server/wire", "server/ledger")
KILLED = frozenset({"killed", "timeout", "segfault"})  # what never ends is noticed as well


def main() -> int:
    """Copy, draw, run, print. Returns 1 if mutmut could not run."""
    options = _options()
    if not (modules := _modules(options.only)):
        print(f"no module matches {options.only!r}", file=sys.stderr)
        return 1
    _copy()
    _generate(options.workers)
    sample = [name for path in modules for name in drawn(path, _mutants(path), options.per_module, options.seed)]
    print(f"{len(sample)} mutants, seed {options.seed}", flush=True)
    if subprocess.run([MUTMUT, "run", "--max-children", str(options.workers), *sample], cwd=COPY).returncode:
        return 1
    found = _results(sample)
    print("\n".join(table(found)))
    for name in survivors(found):
        print(_mutmut("show", name))
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


def survivors(found: Mapping[str, str]) -> list[str]:
    """The mutants that no test noticed, or through which none passes."""
    return sorted(name for name, status in found.items() if status not in KILLED)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("--per-module", type=int, default=8, help="mutants drawn of each module (default: 8)")
    parser.add_argument("--seed", type=int, default=1, help="of the draw (default: 1)")
    parser.add_argument("--only", default="*", help="modules to take, as keypool/hidden.py or server/wire/*")
    parser.add_argument("--workers", type=int, default=1, help="processes at once (default: 1)")
    return parser.parse_args()


def _modules(pattern: str) -> list[Path]:
    paths = (path.relative_to(ROOT) for package in PACKAGES for path in sorted((ROOT / package).glob("*.py")))
    return [path for path in paths if fnmatchcase(str(path), pattern)]


def _copy() -> None:
    """Every tracked file, as it is now, into a fresh directory."""
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (source := ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, COPY / name)


def _generate(workers: int) -> None:
    """Write the mutants into the copy; `mutmut run` finds them there."""
    os.chdir(COPY)  # mutmut reads and writes where it stands
    Path("mutants").mkdir()
    copy_src_dir()
    copy_also_copy_files()
    create_mutants(workers)


def _mutants(path: Path) -> list[str]:
    data = SourceFileMutationData(path=path)
    data.load()
    return list(data.exit_code_by_key)


def _results(sample: Iterable[str]) -> dict[str, str]:
    lines = (line.strip().rpartition(": ") for line in _mutmut("results", "--all", "true").splitlines())
    found = {name: status for name, _, status in lines}
    return {name: found[name] for name in sample}


def _mutmut(*arguments: str) -> str:
    return subprocess.run([MUTMUT, *arguments], cwd=COPY, capture_output=True, check=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
