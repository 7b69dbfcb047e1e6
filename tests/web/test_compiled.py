"""Compiled templates are kept for the next process, and never used for another source."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from web.compiled import READERS, CompiledTemplates


@pytest.fixture(autouse=True)
def _writing() -> Iterator[None]:
    """Python may write bytecode, whatever this run is asked for."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    yield
    sys.dont_write_bytecode = before


class Counting(Environment):
    """An environment that counts what it compiles."""

    compiled = 0

    def _compile(self, source: str, filename: str) -> object:
        self.compiled += 1
        return super()._compile(source, filename)


def shown(folder: Path, source: str) -> tuple[str, int]:
    """A template as a new process shows it, and how many were compiled for that."""
    environment = Counting(loader=DictLoader({"a.html": source}), bytecode_cache=CompiledTemplates(folder))
    return environment.get_template("a.html").render(), environment.compiled


def test_a_template_is_compiled_once_and_anew_when_its_source_has_changed(tmp_path: Path) -> None:
    assert [shown(tmp_path, "{{ 1 + 1 }}") for _ in range(3)] == [("2", 1), ("2", 0), ("2", 0)]
    assert shown(tmp_path, "{{ 1 + 2 }}") == ("3", 1)
    (only,) = tmp_path.iterdir()
    assert sys.implementation.cache_tag in only.name
    assert only.stat().st_mode & 0o777 == READERS, "who reads the module reads the template"


def test_what_cannot_be_read_or_written_is_compiled_anew(tmp_path: Path) -> None:
    shown(tmp_path, "a")
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    for half in (b"", whole[: len(whole) // 2], whole[:20], b"x" * 200):
        kept.write_bytes(half)
        assert shown(tmp_path, "a") == ("a", 1)
    assert shown(tmp_path / "nowhere", "a") == ("a", 1)
    kept.unlink()
    kept.mkdir()
    assert shown(tmp_path, "a") == ("a", 1)


def test_nothing_is_written_where_python_is_to_write_no_bytecode(tmp_path: Path) -> None:
    sys.dont_write_bytecode = True
    shown(tmp_path, "a")
    assert list(tmp_path.iterdir()) == []
