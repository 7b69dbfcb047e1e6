"""Gateways that share a provider's limits keep them, use them, and share them fairly: the simulation says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.cluster import SMALL, Cluster, Scenario, skewed
from bench.scale import FEW, line

SHORT = replace(SMALL, seconds=300.0)  # two minutes are measured


def test_one_gateway_has_one_person_and_the_others_share_the_rest_unevenly() -> None:
    assert skewed(3, 60) == (1, 19, 40)
    assert skewed(1, 60) == (60,)
    assert all(sum(skewed(gateways, 1000)) == 1000 for gateways in (2, 8, 32))


@pytest.mark.slow
def test_three_gateways_and_one_person_alone_at_the_first() -> None:
    figures = Cluster(SHORT).run()
    assert figures.refused < 0.01
    assert figures.jain >= 0.99
    assert figures.utilisation >= 0.95
    assert figures.overshoot < 0.01
    assert "3 gateways, 60 persons" in line(SHORT, figures)


@pytest.mark.slow
def test_gateways_that_know_nothing_of_each_other_do_not_share() -> None:
    assert Cluster(replace(SHORT, shared=False)).run().jain < 0.9


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [each for each in FEW if each.shared], ids=lambda each: each.name)
def test_the_bars_over_ten_minutes(scenario: Scenario) -> None:
    figures = Cluster(scenario).run()
    assert figures.refused < 0.01
    assert figures.jain >= 0.99
    assert figures.utilisation >= 0.95
    assert figures.reused is None or figures.reused <= 6.0
