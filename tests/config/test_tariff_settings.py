"""The settings about hosted tools and services are read strictly."""

from __future__ import annotations

import pytest

from server.config.tariff_parsers import service_factors, tool_prices


def test_prices_and_factors_are_read() -> None:
    assert tool_prices("web_search=0.01, mcp = 0,") == (("web_search", 10_000), ("mcp", 0))
    assert service_factors("priority=2, flex=0.5, us=1.1") == (("priority", 200), ("flex", 50), ("us", 110))
    assert tool_prices("") == service_factors("") == ()


@pytest.mark.parametrize("text", ["web_search", "web_search=", "web_search=x", "=1", "a=1, a=2", "A B=1", "a=-1"])
def test_what_is_no_price_is_a_mistake(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected"):
        tool_prices(text)


@pytest.mark.parametrize("text", ["us=1.123", "us=1e3", "us=-1", "us=1001", "us=nan"])
def test_what_is_no_factor_is_a_mistake(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a factor"):
        service_factors(text)
