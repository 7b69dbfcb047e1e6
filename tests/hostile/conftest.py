"""The one gateway that most hostile visits go to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.site import Site, site


@pytest.fixture(scope="package")
def services() -> Iterator[Site]:
    """A gateway behind one trusted proxy, with all other settings as they come."""
    with site() as built:
        yield built
