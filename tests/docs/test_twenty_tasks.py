"""docs/where.md: twenty questions of a newcomer, and each answer names a file and a function that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (.+) \| `([\w/]+\.py)` \| `([\w.]+)` \|$", re.MULTILINE)
TASKS = ROW.findall((ROOT / "docs" / "where.md").read_text())


def functions(source: str) -> set[str]:
    """The functions of a module as `name`, and its classes' methods as `Class.name`."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {node.name for node in ast.parse(source).body if isinstance(node, kinds)}
    for parent in ast.parse(source).body:
        if isinstance(parent, ast.ClassDef):
            found |= {f"{parent.name}.{node.name}" for node in parent.body if isinstance(node, kinds)}
    return found


def test_there_are_twenty_tasks_and_no_two_are_the_same() -> None:
    lines = (ROOT / "docs" / "where.md").read_text().splitlines()
    assert len(TASKS) == 20 == sum(line.startswith("| ") for line in lines) - 1  # one of them is the table's head
    assert len({task for task, _, _ in TASKS}) == 20


@pytest.mark.parametrize(("task", "file", "function"), TASKS, ids=[task for task, _, _ in TASKS])
def test_each_answer_names_a_function_that_is_in_its_file(task: str, file: str, function: str) -> None:
    assert function in functions((ROOT / file).read_text()), task


@pytest.mark.parametrize(("task", "file", "function"), TASKS, ids=[task for task, _, _ in TASKS])
def test_architecture_alone_leads_to_the_folder_of_each_answer(task: str, file: str, function: str) -> None:
    picture = (ROOT / "ARCHITECTURE.md").read_text().partition("## Six floors")[2].partition("\n## ")[0]
    assert f"{Path(file).parent}/" in picture, (task, function)


def test_the_finder_of_functions_tells_a_method_from_a_function() -> None:
    source = "def one(): ...\n\n\nclass A:\n    async def two(self): ...\n"
    assert functions(source) == {"one", "A.two"}
