"""`python -m bench.scale`: how gateways behave that share a provider's limits; `--write` puts it into `docs/scale.md`.

`--quick` runs the scenarios with 60 persons only. Everything is in virtual time, so no machine changes the figures but
the last one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bench.cluster import SMALL, Cluster, Figures, Scenario, skewed

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
BEGIN, END = "<!-- figures: written by `python -m bench.scale --write` -->\n", "<!-- end of figures -->"
HEAD = (
    "| scenario | refused | Jain | utilisation | overshoot | used again after | age of what is known | writes |\n"
    "|---|---|---|---|---|---|---|---|\n"
)
FEW = (
    replace(SMALL, name="1 gateway, 60 persons", persons=(60,)),
    replace(SMALL, name="3 gateways that know nothing of each other", shared=False),
    SMALL,
    replace(SMALL, name="the same, limits in headers", headers=True),
    replace(SMALL, name="the same, a tenth is lost", loss=0.1),
    replace(SMALL, name="the same, one dies", dies=(2, 400.0)),
    replace(SMALL, name="the same, one dies, limits in headers", dies=(2, 400.0), headers=True),
    replace(SMALL, name="the same, requests of all sizes", alike=False),
)


def large(gateways: int, persons: int, *, loss: float = 0.0) -> Scenario:
    """As many requests per minute as there are persons, so that each gets one, wherever it comes in."""
    name = f"{gateways} gateways, {persons:,} persons" + (", a tenth is lost" if loss else "")
    few = {"rpm": persons, "tpm": persons * 700, "slots": persons // 2, "seconds": 480.0}
    return replace(SMALL, name=name, persons=skewed(gateways, persons), loss=loss, **few)  # type: ignore[arg-type]


MANY = (
    large(2, 1_000),
    large(8, 1_000),
    large(8, 1_000, loss=0.1),
    large(32, 1_000),
    replace(large(32, 10_000), seconds=300.0),
)


def line(scenario: Scenario, figures: Figures) -> str:
    """One line of the table."""
    reused = "" if figures.reused is None else f"{figures.reused:.1f} s"
    age = "" if not figures.ages else "{:.1f} s, at most {:.1f} s".format(*figures.age)
    cells = (
        scenario.name,
        f"{figures.refused:.2%}",
        f"{figures.jain:.4f}",
        f"{figures.utilisation:.3f}",
        f"{figures.overshoot:.1%}",
        reused,
        age,
        f"{figures.writes:.2f}",
    )
    return f"| {' | '.join(cells)} |\n"


def table(scenarios: Iterable[Scenario]) -> str:
    rows = []
    for scenario in scenarios:
        figures = Cluster(scenario).run()
        rows.append(line(scenario, figures))
        print(f"{rows[-1].strip()} {figures.requests:,} requests in {figures.seconds:.0f} s", flush=True)
    return HEAD + "".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/scale.md")
    parser.add_argument("--quick", action="store_true", help="the small scenarios only")
    chosen = parser.parse_args()
    found = table(FEW if chosen.quick else FEW + MANY)
    if chosen.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{found}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
