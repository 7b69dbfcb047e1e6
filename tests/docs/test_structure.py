"""The code keeps its structure: small modules and functions, and documents that name what exists."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("keypool", "server", "web")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
LONGEST_FUNCTION = 40
LONGEST_MODULE = 300


def code_lines(source: str) -> set[int]:
    """The lines that hold code: not blank ones, comments or docstrings."""
    lines: set[int] = set()
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_is_longer_than_half_a_page_and_no_module_than_a_short_walk(path: Path) -> None:
    source = path.read_text()
    lines = code_lines(source)
    assert len(lines) <= LONGEST_MODULE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            own = lines & set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            assert len(own) <= LONGEST_FUNCTION, node.name


def test_the_counter_of_code_lines_knows_prose_from_code() -> None:
    source = '"""Prose.\n\nMore."""\n\n# why\nx = (\n    1\n)\n\n\ndef f():\n    """Prose."""\n    return x\n'
    assert code_lines(source) == {6, 7, 8, 11, 13}


def test_every_module_has_a_docstring() -> None:
    silent = [
        path for path in SOURCES if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_the_list_of_modules_names_each_of_them_and_the_documents_name_none_that_is_gone() -> None:
    there = {str(path.relative_to(ROOT)) for path in SOURCES if path.name != "__init__.py"}
    assert _named(ROOT / "docs" / "modules.md") == there
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        assert page.name == "CHANGELOG.md" or _named(page) <= there, page


def _named(page: Path) -> set[str]:
    """The modules that a page names by their paths."""
    return set(re.findall(r"`((?:keypool|server|web)/[\w/]+\.py)`", page.read_text()))


def test_the_repository_names_no_place_of_a_developers_machine() -> None:
    own = re.compile(r"/(?:home|root|work)/\w|/tmp/\w")
    for path in [*SOURCES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        assert not own.search(path.read_text()), path
