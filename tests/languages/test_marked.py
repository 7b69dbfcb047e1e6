"""No text of any page is unmarked: with every message in brackets, nothing but data stands outside of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.languages.unmarked import Unmarked
from tests.web.samples import empty_pages, pages
from web.languages import BRACKETS, reading
from web.snippets import SNIPPETS

# Of the samples: what is data, and has no element that says so.
SAMPLES = {"This opens nothing here. Please check it.", "Not Found", "404 Not Found", "There is nothing here."}
CODE = {word for each in SNIPPETS for word in (each.file, each.language)}

PAGES = [*pages(), *empty_pages()]


@pytest.mark.parametrize(("name", "make"), PAGES, ids=[name for name, _ in PAGES])
def test_no_text_of_a_page_is_unmarked(name: str, make: Callable[[], bytes]) -> None:
    with reading(BRACKETS):
        page = make().decode()
    assert not Unmarked(page, SAMPLES | CODE).words
