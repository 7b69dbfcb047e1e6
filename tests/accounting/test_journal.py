"""The journal forgets nothing that it has acknowledged, and keeps nothing that nobody needs."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from server.accounting.journal import Journal, JournalError
from server.ledger.codec import settled_line
from server.ledger.quota import Settlement
from server.ledger.usage import Outcome
from tests.store.samples import settlement

ROOT = Path(__file__).parents[2]
SMALL = 2_000  # bytes: a segment of two or three lines


def interrupted(request_id: str) -> Settlement:
    return settlement(request_id, status=Outcome.INTERRUPTED)


def ids(settlements: list[Settlement]) -> set[str]:
    return {each.row.request_id for each in settlements}


def files(folder: Path, ending: str = "journal") -> list[str]:
    return sorted(path.name for path in folder.glob(f"*.{ending}"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def begin(folder: Path) -> Iterator[Callable[..., Journal]]:
    """Open journals in one folder; they are closed at the end."""
    opened: list[Journal] = []

    def begun(holder: str, **how: object) -> Journal:
        journal = Journal(folder, holder, **how)  # type: ignore[arg-type]
        opened.append(journal)
        journal.open()
        return journal

    yield begun
    for journal in opened:
        journal.close()


Begin = Callable[..., Journal]


class Disk:
    """Takes so many bytes and no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, line: bytes) -> int:
        taken = line[: self.room]
        if line and not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(taken)
        return os.write(descriptor, taken)


def test_what_was_settled_is_found_by_whoever_comes_next(begin: Begin) -> None:
    first = begin("first")
    first.opened(interrupted("one"))
    first.settled(settlement("one"))
    first.close()
    second = begin("second")
    assert second.orphans() == [settlement("one")]
    assert second.dead_holders() == ["first"]


def test_what_was_sent_and_never_settled_is_found_as_interrupted(begin: Begin) -> None:
    first = begin("first")
    first.opened(interrupted("one"))
    first.close()
    assert begin("second").orphans() == [interrupted("one")]


def test_what_the_store_has_is_not_found_again(begin: Begin) -> None:
    first = begin("first")
    for request_id in ("one", "two", "three"):
        first.opened(interrupted(request_id))
        first.settled(settlement(request_id))
    assert first.backlog == 3
    first.written("one", "three")
    assert first.backlog == 1
    first.close()
    assert ids(begin("second").orphans()) == {"two"}


def test_a_request_that_is_written_though_its_settlement_could_not_be_noted_is_done(begin: Begin, folder: Path) -> None:
    first = begin("first")
    first.opened(interrupted("one"))
    first.opened(interrupted("two"))
    first.written("one")
    first.close()
    second = begin("second")
    assert ids(second.orphans()) == {"two"}
    second.opened(interrupted("three"))
    second.written("three")
    second.forget_orphans()
    second.close()
    assert list(folder.iterdir()) == []


def test_settling_twice_is_settling_once(begin: Begin, folder: Path) -> None:
    journal = begin("first", segment_bytes=SMALL)
    journal.opened(interrupted("open"))
    for number in range(10):
        journal.settled(settlement(f"r{number}"))
        journal.settled(settlement(f"r{number}"))
    assert journal.backlog == 10
    for number in range(10):
        journal.written(f"r{number}")
        journal.written(f"r{number}", "never heard of")
    assert journal.backlog == 0
    journal.close()
    assert len(files(folder)) == 1


def test_a_process_that_ends_well_leaves_nothing_behind(begin: Begin, folder: Path) -> None:
    journal = begin("first")
    journal.opened(interrupted("one"))
    journal.settled(settlement("one"))
    journal.written("one")
    journal.close()
    journal.close()
    assert list(folder.iterdir()) == []


def test_orphans_stay_until_they_are_forgotten(begin: Begin, folder: Path) -> None:
    first = begin("first")
    first.settled(settlement("one"))
    first.close()
    second = begin("second")
    assert ids(second.orphans()) == ids(second.orphans()) == {"one"}
    second.close()
    third = begin("third")
    assert ids(third.orphans()) == {"one"}
    third.forget_orphans()
    assert (third.orphans(), third.dead_holders()) == ([], [])
    assert files(folder) == ["third.000001.journal"]
    assert files(folder, "lock") == ["third.lock"]


def test_what_a_living_process_has_is_left_alone(begin: Begin) -> None:
    living = begin("living")
    living.settled(settlement("one"))
    other = begin("other")
    assert (other.orphans(), other.dead_holders()) == ([], [])
    other.forget_orphans()
    living.close()
    assert ids(begin("third").orphans()) == {"one"}


def test_orphans_are_adopted_by_one_only(begin: Begin) -> None:
    dead = begin("dead")
    dead.settled(settlement("one"))
    dead.close()
    adopter, late = begin("adopter"), begin("late")
    assert (ids(adopter.orphans()), ids(late.orphans())) == ({"one"}, set())
    assert (adopter.dead_holders(), late.dead_holders()) == (["dead"], [])


def test_a_holder_has_one_life(begin: Begin) -> None:
    first = begin("first")
    with pytest.raises(JournalError):
        begin("first")
    first.settled(settlement("one"))
    first.close()
    with pytest.raises(JournalError):
        begin("first")
    assert ids(begin("second").orphans()) == {"one"}


@pytest.mark.parametrize("name", ["", "a.b", "../a", "*", "a b", "é", "x" * 65])
def test_a_holders_name_is_the_name_of_a_file(name: str, folder: Path) -> None:
    with pytest.raises(ValueError):
        Journal(folder, name)


def test_nobody_else_may_read_it(begin: Begin, folder: Path) -> None:
    begin("first").settled(settlement("one"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_journal_that_is_not_open_says_so(folder: Path) -> None:
    with closing(Journal(folder, "first")) as journal, pytest.raises(JournalError):
        journal.opened(interrupted("one"))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with closing(Journal(tmp_path / "file" / "journal", "first")) as journal, pytest.raises(JournalError):
        journal.open()


def test_foreign_files_in_the_folder_are_left_alone(begin: Begin, folder: Path) -> None:
    folder.mkdir()
    foreign = [folder / "notes.txt", folder / "a[b].lock", folder / "x.1.journal"]
    for path in foreign:
        path.touch()
    journal = begin("first")
    assert journal.dead_holders() == []
    journal.close()
    assert sorted(folder.iterdir()) == sorted(foreign)


def test_a_segment_goes_when_the_store_has_all_of_it(begin: Begin, folder: Path) -> None:
    journal = begin("first", segment_bytes=SMALL)
    for number in range(20):
        journal.settled(settlement(f"r{number}"))
    assert len(files(folder)) > 3
    journal.written(*(f"r{number}" for number in range(19)))
    journal.close()
    assert len(files(folder)) <= 2
    assert ids(begin("second").orphans()) == {"r19"}


def test_the_oldest_segment_goes_first(begin: Begin, folder: Path) -> None:
    journal = begin("first", segment_bytes=SMALL)
    for number in range(20):
        journal.settled(settlement(f"r{number}"))
    journal.written(*(f"r{number}" for number in range(1, 20)))
    journal.close()
    assert files(folder)[0] == "first.000001.journal"
    assert ids(begin("second").orphans()) == {"r0"}


def test_a_long_answer_holds_no_old_segment_back(begin: Begin, folder: Path) -> None:
    journal = begin("first", segment_bytes=SMALL)
    journal.opened(interrupted("long"))
    for number in range(50):
        journal.opened(interrupted(f"r{number}"))
        journal.settled(settlement(f"r{number}"))
        journal.written(f"r{number}")
    journal.close()
    assert len(files(folder)) == 1
    assert begin("second").orphans() == [interrupted("long")]


def test_what_is_settled_is_not_noted_again_in_the_next_segment(begin: Begin, folder: Path) -> None:
    journal = begin("first", segment_bytes=SMALL)
    for number in range(50):
        journal.opened(interrupted(f"r{number}"))
        journal.settled(settlement(f"r{number}"))
    assert max(path.stat().st_size for path in folder.glob("*.journal")) < 3 * SMALL


def test_more_open_requests_than_a_segment_holds_do_not_make_a_segment_for_each(begin: Begin, folder: Path) -> None:
    journal = begin("first", segment_bytes=SMALL)
    for number in range(100):
        journal.opened(interrupted(f"r{number}"))
    sizes = [path.stat().st_size for path in folder.glob("*.journal")]
    assert max(sizes) > 20 * SMALL
    journal.close()
    assert files(folder)[-1] < "first.000050.journal"
    assert len(begin("second").orphans()) == 100


def test_a_torn_last_line_and_a_damaged_one_cost_only_themselves(begin: Begin, folder: Path) -> None:
    first = begin("first")
    for request_id in ("one", "two", "three"):
        first.settled(settlement(request_id))
    first.close()
    path = folder / "first.000001.journal"
    raw = path.read_bytes().replace(b'"two"', b'"twO"')
    path.write_bytes(raw + settled_line(settlement("four")).removesuffix(b"\n"))
    second = begin("second")
    assert ids(second.orphans()) == {"one", "three"}
    assert second.damaged == 1


def test_a_full_disk_is_told_at_once_and_nothing_that_was_acknowledged_is_lost(begin: Begin) -> None:
    disk = Disk(room=10_000)
    journal = begin("first", write=disk.write)
    acknowledged = set()
    with pytest.raises(JournalError):
        for number in range(100):
            journal.settled(settlement(f"r{number}"))
            acknowledged.add(f"r{number}")
    assert len(acknowledged) > 10
    with pytest.raises(JournalError):
        journal.opened(interrupted("refused"))
    assert journal.backlog == len(acknowledged)
    journal.close()
    assert ids(begin("second").orphans()) == acknowledged


def test_the_journal_goes_on_by_itself_when_there_is_room_again(begin: Begin, folder: Path) -> None:
    disk = Disk(room=100)
    journal = begin("first", write=disk.write)
    for _ in range(10):
        with pytest.raises(JournalError):
            journal.opened(interrupted("refused"))
    disk.room = 100_000
    journal.opened(interrupted("one"))
    journal.settled(settlement("two"))
    assert "first.000002.journal" in files(folder)  # the torn one goes as soon as its thread comes to it
    journal.close()
    second = begin("second")
    assert ids(second.orphans()) == {"one", "two"}
    assert second.damaged == 0


def test_requests_that_are_open_survive_a_disk_that_is_full_when_a_segment_ends(begin: Begin, folder: Path) -> None:
    disk = Disk(room=100_000)
    journal = begin("first", write=disk.write, segment_bytes=SMALL)
    for request_id in ("one", "two", "three", "four"):
        journal.opened(interrupted(request_id))
    journal.settled(settlement("one"))
    for room in (0, 1, 1_000):
        disk.room = room
        with pytest.raises(JournalError):
            journal.settled(settlement("two"))
    assert len(files(folder)) == 2
    journal.written("one")
    disk.room = 100_000
    journal.settled(settlement("three"))
    journal.close()
    assert ids(begin("second").orphans()) == {"two", "three", "four"}


def test_a_store_that_has_it_is_believed_though_the_disk_is_full(begin: Begin) -> None:
    disk = Disk(room=1_000)
    journal = begin("first", write=disk.write)
    journal.settled(settlement("one"))
    disk.room = 0
    journal.written("one")
    assert journal.backlog == 0


def test_what_was_written_is_synced_soon_and_once_for_many(begin: Begin, folder: Path) -> None:
    sizes: list[int] = []

    def sync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            sizes.append(os.fstat(descriptor).st_size)

    journal = begin("first", sync=sync)
    for number in range(50):
        journal.settled(settlement(f"r{number}"))
    wait_until(lambda: sizes[-1:] == [size_of(folder)])
    journal.settled(settlement("last"))
    wait_until(lambda: sizes[-1] == size_of(folder))
    assert len(sizes) < 10


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.journal"))


def test_a_segment_goes_only_after_what_was_noted_again_is_on_the_disk(begin: Begin, folder: Path) -> None:
    synced: set[int] = set()
    journal = begin("first", segment_bytes=SMALL, sync=lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    journal.opened(interrupted("open"))
    while len(files(folder)) == 1:
        journal.settled(settlement("one"))
    journal.written("one")
    wait_until(lambda: len(files(folder)) == 1)
    assert (folder / files(folder)[0]).stat().st_ino in synced


def test_what_is_due_is_synced_before_it_closes(begin: Begin) -> None:
    sizes: list[int] = []
    journal = begin("first", sync=lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    journal.settled(settlement("one"))
    journal.close()
    assert sizes[-1] > 500


def test_nothing_is_sent_while_the_disk_cannot_keep_it(begin: Begin) -> None:
    broken, tried = threading.Event(), threading.Semaphore(0)

    def sync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            tried.release()
            if broken.is_set():
                raise OSError(errno.EIO, "Input/output error")

    journal = begin("first", sync=sync)
    broken.set()
    journal.opened(interrupted("one"))
    wait_until(lambda: refuses(journal))
    journal.settled(settlement("one"))  # what was sent is noted all the same
    broken.clear()
    wait_until(lambda: not refuses(journal))


def refuses(journal: Journal) -> bool:
    try:
        journal.opened(interrupted("probe"))
    except JournalError:
        return True
    return False


def wait_until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(500):
        if true():
            return
        pause.wait(0.01)
    raise AssertionError("it never came true")


def journaller(folder: Path, holder: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.journaller", str(folder), holder]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def killed_after(process: subprocess.Popen[str], lines: int) -> tuple[set[str], set[str]]:
    """Which requests it has acknowledged as opened and as settled; a last line may have been cut by the kill."""
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    told += [line for line in process.stdout if line.endswith("\n")]
    words = [line.split() for line in told if " " in line]
    return {each for word, each in words if word == "opened"}, {each for word, each in words if word == "settled"}


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_it_has_acknowledged(folder: Path) -> None:
    for number in range(10):
        with journaller(folder, f"child-{number}") as process:
            opened, settled = killed_after(process, lines=50 + 97 * number)
        with closing(Journal(folder, f"heir-{number}")) as heir:
            heir.open()
            assert heir.dead_holders() == [f"child-{number}"]
            found = {each.row.request_id: each.row.status for each in heir.orphans()}
            assert heir.damaged == 0
            heir.forget_orphans()
        for request_id in opened:
            kind = int(request_id.split("-")[-1]) % 3
            if kind == 0:
                assert found[request_id] is Outcome.INTERRUPTED
            elif request_id not in settled:
                assert request_id in found
            elif kind == 1:
                assert found.get(request_id) is not Outcome.INTERRUPTED  # it may have been written
            else:
                assert found[request_id] is Outcome.COMPLETED
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_two_processes_share_a_folder_and_the_death_of_one_does_not_touch_the_other(folder: Path) -> None:
    with journaller(folder, "victim") as victim, journaller(folder, "survivor") as survivor:
        assert victim.stdout is not None
        assert survivor.stdout is not None
        assert [victim.stdout.readline(), survivor.stdout.readline()] == ["ready\n", "ready\n"]
        killed_after(victim, lines=100)
        victim.wait()
        with closing(Journal(folder, "heir")) as heir:
            heir.open()
            assert heir.dead_holders() == ["victim"]
            assert all(request_id.startswith("victim-") for request_id in ids(heir.orphans()))
            heir.forget_orphans()
        killed_after(survivor, lines=100)
        survivor.wait()
        with closing(Journal(folder, "last")) as last:
            last.open()
            assert last.dead_holders() == ["survivor"]
            assert last.orphans()
