"""The figures as text for the terminal, and as docs/fairness.md with its pictures."""

from __future__ import annotations

from pathlib import Path

from bench.fairness.comparison import OURS, Row, service_plot, waits_plot
from bench.fairness.figures import Figure, number
from bench.fairness.measures import percentile
from bench.fairness.world import USUAL

DOCS = Path("docs")
PAGE = DOCS / "fairness.md"
HEAD = (
    "",
    "polite wait p50/p99/max, s",
    "refused",
    "large flood, s",
    "gap by slots",
    "Jain",
    "of minutes",
    "gap by tokens",
    "Jain",
)
INTRODUCTION = """# Is it fair?

Written by `python -m bench.fairness --write`, in virtual time on the core that also runs in the gateway. Four keys with
eight slots each; an answer begins after half a second and comes with 50 tokens a second; lengths are lognormal, and
it is not known beforehand how long an answer will be. What is measured does not depend on the machine, except where
microseconds are named. The tests hold every bar of this page.

How several gateways share the limits of their keys stands in [scale.md](scale.md).

## Beside simpler schedulers

**Polite waits**: 20 persons want 40 % of the slots between them, 5.8 seconds a request; one other asks a hundred times
as often as each of them. *Large flood*: its requests are 6,000 tokens long, its answers 1,500, half a minute each.
**Gap**: eight persons with four sizes of request always have more waiting; the largest difference of service between
two of them over all intervals, in largest requests, and Jain's index in all and in the worst tenth of the minutes;
first with the slots as the limit, then with the tokens per minute.

"One waiting each" refuses a person's second waiting request, so it also refuses polite persons who ask twice. Deficit
round robin settles its guesses at the end of an answer, the core also while it comes. Under every scheduler a wait ends
only when another answer does: headroom keeps one of the 32 slots for those who have less than a fair share.
"""
NOTES = """
## The bars

What is promised, and what was measured ({extent}); where there are several runs, the worst of them counts, and waits
are taken together.
"""
ATTACKED = """
**Attacks** on the same schedulers, each of them with one line for all models (a line for each model, as gateways
usually have, is worse): what the attacker has been served, of a fair share. *Dated name*: the same model under two
names. *Alone with a model*: beside fifteen who share another one. *Eight models*: beside seven who ask for one. *Given
up*: plain answers, at 97 per cent. *New identities*: a new person for each request, where those at one address share.
*Newcomer's wait*: its median in seconds, while staff are busy on a key of their own beside the shared ones. VTC is the
virtual token counter as published, which sees what was delivered. Each runs for some minutes.
"""
PICTURES = """
![Waits of the polite persons](fairness-waits.svg)

Lower and further left is better: at one second, the curve shows which share of the polite requests waited longer.
Waits below a hundredth of a second are drawn as one.

![Service under round robin](fairness-round-robin.svg)
![Service under fairgate](fairness-fairgate.svg)

The same eight persons, two of each size (input/output tokens). Mind the vertical scales: in turns by request, those
who ask for much get much; by cost, no person is ahead for long.
"""


def comparison(rows: list[Row]) -> list[tuple[str, ...]]:
    """The schedulers side by side."""
    return [HEAD, *(_cells(row) for row in rows)]


def bars(figures: list[Figure]) -> list[tuple[str, ...]]:
    """The figures of one group beside their bars."""
    return [("", "measured", "bar", ""), *(_line(figure) for figure in figures)]


def text(table: list[tuple[str, ...]]) -> str:
    """A table for a terminal."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [[f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)] for row in table]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip() for row, cells in zip(table, lines, strict=True)
    )


def markdown(table: list[tuple[str, ...]]) -> str:
    """A table for a page."""
    rule = "|---|" + "---:|" * (len(table[0]) - 1)
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def write(rows: list[Row], duel: list[tuple[str, ...]], groups: list[tuple[str, list[Figure]]], extent: str) -> None:
    """Write the page and its pictures."""
    plots = {"waits": waits_plot(rows)}
    for name, row in (("round-robin", _named(rows, "Round robin")), ("fairgate", _named(rows, OURS))):
        plots[name] = service_plot(row)
    for name, plot in plots.items():
        (DOCS / f"fairness-{name}.svg").write_text(plot.svg(), encoding="utf-8")
    parts = [INTRODUCTION, markdown(comparison(rows)), ATTACKED, markdown(duel), PICTURES, NOTES.format(extent=extent)]
    parts += [f"### {title}\n\n{markdown(bars(figures))}" for title, figures in groups]
    parts.append(_short_of_it(groups))
    PAGE.write_text("\n".join(part.strip("\n") + "\n" for part in parts), encoding="utf-8")


def _short_of_it(groups: list[tuple[str, list[Figure]]]) -> str:
    """What is not as good as we wanted it."""
    figures = {figure.name: figure.value for _, group in groups for figure in group}
    p99 = figures["large flood: polite wait, p99"]
    return f"""## Where it falls short

* Under the large flood the 99th percentile of the polite waits is {p99:.1f} s, {p99 / USUAL.service:.2f} times their
  mean service. We wanted no more than 1.5, and simpler schedulers are as good there. Answers are not interrupted, so
  only more headroom helps, and that costs throughput.
* Persons cost nothing where any caller may make one: with `FAIRNESS=person`, a caller with a new identity for each
  request has as many shares as identities. `FAIRNESS=group` and `FAIRNESS=address` are for that.
* A person who uses one model much is served later at another one of the same keys, even if nothing was scarce at the
  first: there is one counter for all that a key serves.
* The headroom is a sixteenth of the slots from 32 slots on. It costs that part of the throughput while one person
  floods, and nothing otherwise.
* Who finds the pool empty may fill it. Those who come later have the next slots, but what was taken before they came
  is not counted against a person.
"""


def _named(rows: list[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


def _cells(row: Row) -> tuple[str, ...]:
    slots, tokens = row.by_slots, row.by_tokens
    return (
        row.name,
        _waits(row.waits),
        str(row.refused),
        _waits(row.large),
        f"{slots.gap:.1f}",
        f"{slots.jain:.4f}",
        f"{slots.minutes:.3f}",
        f"{tokens.gap:.1f}",
        f"{tokens.jain:.4f}",
    )


def _waits(waits: list[float]) -> str:
    found = [percentile(waits, share) for share in (0.5, 0.99, 1.0)]
    return " / ".join(f"{wait:,.0f}" if wait >= 100 else f"{wait:.3g}" for wait in found)


def _line(figure: Figure) -> tuple[str, ...]:
    measured = f"{number(figure.value)} {figure.unit}".strip()
    verdict = "" if not figure.bar else "kept" if figure.kept else "MISSED"
    return figure.name, measured, figure.bar, verdict
