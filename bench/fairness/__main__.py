"""`python -m bench.fairness`: the scenarios, the comparison and the bars; exit 1 if a bar is missed."""

from __future__ import annotations

import argparse
import sys

from bench.fairness import bars, page
from bench.fairness.comparison import against, compare
from bench.fairness.figures import Figure


def main() -> int:
    """Parse the options, simulate, print."""
    options = _options()
    extent = bars.QUICK if options.quick else bars.THOROUGH
    rows = compare(extent.seconds, extent.seeds[0])
    print(page.text(page.comparison(rows)), flush=True)
    groups: list[tuple[str, list[Figure]]] = []
    for title, makers in bars.GROUPS:
        figures = [figure for make in makers for figure in make(extent)]
        groups.append((title, figures))
        print(f"\n{title}\n{page.text(page.bars(figures))}", flush=True)
    groups.append((bars.ATTACKS, bars.attacks()))
    print(f"\n{bars.ATTACKS}\n{page.text(page.bars(groups[-1][1]))}", flush=True)
    duel = against(extent.seeds[0])
    print(f"\n{page.text(duel)}", flush=True)
    if options.write:
        page.write(rows, duel, groups, f"{extent.seconds:,.0f} seconds and more, {len(extent.seeds)} runs")
    return 0 if all(figure.kept for _, figures in groups for figure in figures) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fairness", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run of each, shorter: about a minute")
    parser.add_argument("--write", action="store_true", help=f"write {page.PAGE} and its pictures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
