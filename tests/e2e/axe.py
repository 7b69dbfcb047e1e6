"""axe-core, which knows what people who do not see, or use no mouse, need of a page. It is fetched once, by npm."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tests.e2e.chromium import Watched
from tests.fetched import by_npm

AXE = "axe-core@4.10.3"


# What can be wrong on a narrow or dark page that is right when wide and light; the other rules look at the markup.
BY_LOOK = ("color-contrast", "link-in-text-block", "scrollable-region-focusable")
LIKE_OTHERS = "tbody tr:nth-child(n+9)"  # the rows of a table are made by the same lines of a template
_RUN = "([asked, rows]) => axe.run(rows && document.querySelector(rows) ? {exclude: [[rows]]} : document, asked)"


async def serious(seen: Watched, rules: Sequence[str] = (), without: str = "") -> list[str]:
    """What is seriously or critically wrong with the page that is open, each with a piece of it; by all rules, or some.

    Only what is wrong is described, and style sheets are not fetched again: both take most of axe's time. It takes the
    rest for each element, so what the selector `without` names may be left out.
    """
    await seen.page.evaluate(axe_script())
    asked = {"resultTypes": ["violations"], "preload": False, **({"runOnly": list(rules)} if rules else {})}
    found = (await seen.page.evaluate(_RUN, [asked, without]))["violations"]
    return [
        f"{each['id']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


@cache
def axe_script() -> str:
    return (by_npm(AXE) / "node_modules" / "axe-core" / "axe.min.js").read_text()
