"""No text of any page is unmarked: with every message in brackets, nothing but data stands outside of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.languages.unmarked import Unmarked
from tests.web.samples import empty_pages, pages
from web.languages import BRACKETS, reading

PAGES = [*pages(), *empty_pages()]


@pytest.mark.parametrize(("name", "make"), PAGES, ids=[name for name, _ in PAGES])
def test_no_text_of_a_page_is_unmarked(name: str, make: Callable[[], bytes]) -> None:
    with reading(BRACKETS):
        page = make().decode()
    assert not Unmarked(page).words
