"""The one gateway that most hostile visits go to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.site import TRANSPORTS, Site, site


@pytest.fixture(scope="package", params=TRANSPORTS)
def services(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A gateway behind one trusted proxy, with all other settings as they come."""
    with site(transport=request.param) as built:
        yield built
