"""No text of any page is unmarked: with every message in brackets, nothing but data stands outside of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.languages.unmarked import Unmarked
from tests.web.samples import empty_pages, pages
from web.languages import BRACKETS, reading
from web.snippets import SNIPPETS

# Of the samples: what is data, and has no element that says so.
SAMPLES = {
    "This opens nothing here. Please check it.", "Not Found", "There is nothing here.",
    "This invitation has been used.", "You are in now.", "One key is revoked: the provider refuses it.",
    "To greet you. Until you erase it.", "So that you are the same person tomorrow. Until you erase it.",
    "For the bill and these charts. 400 days.", "Name", "Login", "Requests", "Winter term", "Today", "Compilers",
    "Physics 101", "Physics", "Ada Lovelace", "Grace Hopper", "Ada", "students", "https://llm.example.org/v1",
    "openai", "anthropic", "azure", "gpt-5.2", "gpt-5-mini", "text-embedding-3-small", "mistral-large",
    "claude-sonnet-4-5", "o3", "made in part", "laptop", "curl", "Python", "key_OYRZ=1a2b3c4d", "This month",
    "It is still waiting.",
    "It waited 4.1 s behind 3 requests and was answered in 2.2 s.", "Before it in the queue", "Sent upstream",
}  # fmt: skip
CODE = {word for each in SNIPPETS for word in (each.file, each.language) if word}

PAGES = [*pages(), *empty_pages()]


@pytest.mark.parametrize(("name", "make"), PAGES, ids=[name for name, _ in PAGES])
def test_no_text_of_a_page_is_unmarked(name: str, make: Callable[[], bytes]) -> None:
    with reading(BRACKETS):
        page = make().decode()
    assert not Unmarked(page, SAMPLES | CODE).words
