"""Where the pepper comes from, and that there is only ever one."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.store.base import StoreError
from server.store.token_secret import pepper_for


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/data/fairgate.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "fairgate.db.pepper"


def test_a_configured_pepper_is_taken_and_no_file_is_made(url: str, path: Path) -> None:
    assert pepper_for(url, "configured") == b"configured"
    assert not path.parent.exists()


def test_without_one_a_file_beside_the_database_is_made_once_for_its_owner_only(url: str, path: Path) -> None:
    pepper = pepper_for(url, "")
    assert len(pepper) == 64
    assert pepper_for(url, "") == pepper
    assert list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_of_many_that_make_it_at_once_all_get_the_same(url: str, path: Path) -> None:
    with ThreadPoolExecutor(8) as together:
        peppers = set(together.map(lambda _: pepper_for(url, ""), range(32)))
    assert len(peppers) == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "too short\n"])
def test_a_damaged_file_is_refused_and_left_alone(url: str, path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(StoreError, match="damaged"):
        pepper_for(url, "")
    assert path.read_text() == content


def test_a_file_that_cannot_be_made_is_an_outage(url: str, path: Path) -> None:
    path.parent.write_text("a file where a directory should be")
    with pytest.raises(StoreError, match="cannot be used"):
        pepper_for(url, "")
