"""`python -m bench.fairness`: the scenarios, the comparison and the bars; exit 1 if a bar is missed."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor

from bench.fairness import bars, page
from bench.fairness.comparison import against, compare
from bench.fairness.defences import DEFENCES
from bench.fairness.figures import Figure


def main() -> int:
    """Parse the options, simulate, print."""
    options = _options()
    extent = bars.QUICK if options.quick else bars.THOROUGH
    with ProcessPoolExecutor() as workers:  # simulations do not care what runs beside them
        comparing, duelling = workers.submit(compare, extent.seconds, extent.seeds[0]), workers.submit(against, 1)
        simulated = [(title, [workers.submit(make, extent) for make in makers]) for title, makers in bars.SIMULATED]
        simulated.append((bars.ATTACKS, [workers.submit(defence) for defence in DEFENCES]))
        rows = comparing.result()
        print(page.text(page.comparison(rows)), flush=True)
        groups = [_printed(title, [each.result() for each in results]) for title, results in simulated]
        duel = duelling.result()
        print(f"\n{page.text(duel)}", flush=True)
    groups.append(_printed(bars.COSTS, [make(extent) for make in bars.TIMED]))
    if options.write:
        page.write(rows, duel, groups, f"{extent.seconds:,.0f} seconds and more, {len(extent.seeds)} runs")
    return 0 if all(figure.kept for _, figures in groups for figure in figures) else 1


def _printed(title: str, made: list[list[Figure]]) -> tuple[str, list[Figure]]:
    """Print the figures of a group."""
    figures = [figure for each in made for figure in each]
    print(f"\n{title}\n{page.text(page.bars(figures))}", flush=True)
    return title, figures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fairness", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run of each, shorter: about a minute")
    parser.add_argument("--write", action="store_true", help=f"write {page.PAGE} and its pictures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
