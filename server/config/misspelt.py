"""Names in the environment that are almost a setting of ours: each is reported with the nearest name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from server.config.settings_egress import ALSO_SMALL

ALIKE = 0.88  # of a name; OPENAI_KEYS and ADMIN_KEYY are, LOGNAME is not
OF_THE_SYSTEM = {"HOSTNAME", *(name.lower() for name in ALSO_SMALL)}  # in every container; read, too
SHORTEST = 6  # letters: a short name is like too many


def misspelt(names: Iterable[str], ours: Iterable[str], theirs: Iterable[str]) -> Iterator[str]:
    """One note for each name that is neither ours nor theirs (the other projects'), with the nearest of ours.

    A name of ours with a number behind it is the operator's own, as those are that UPSTREAMS_FILE reads.
    """
    settings, others = set(ours), set(theirs)
    for name in sorted(set(names) - settings - others - OF_THE_SYSTEM):
        if len(name) < SHORTEST or re.sub(r"_?\d+$", "", name) in settings:
            continue
        if near := get_close_matches(name.upper(), settings, 1, ALIKE):
            yield f"{name}: no setting has this name, and it does nothing. If {near[0]} is meant, rename it."
