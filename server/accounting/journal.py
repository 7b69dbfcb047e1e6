"""The journal: nothing that was sent upstream is forgotten, whatever dies.

Before a request is sent upstream, its settlement as it should stand if we died now (interrupted, with estimated usage
and cost) is appended to a file. Before its answer ends, its true settlement is appended. The store gets that behind the
answer, when it can; then the journal need not know it any more. So an outage of the store loses nothing, and after our
own sudden death the next start finds what was settled but perhaps not written, and what was never settled.

* **An append is one `write`**, a few microseconds: of one line, and of what was noted since the one before. Lines are
  not gathered until the turn of the event loop ends: a request would have to wait for that before it may be sent, and
  again before its answer may end, which costs three times what the `write` does. Written lines survive our own
  death, however sudden.
  A power cut is another matter: a thread calls `fsync` at most every `SYNC_SECONDS`, and that much may be lost. A
  database in this place would wait for its disk at each request. It could do no more: replaying a line twice is
  harmless, since the store takes the first settlement of a request and no other.
* **A process has files of its own**, named after it, and a lock on one of them for as long as it lives. The system
  frees the lock when it dies, however that comes. The process that gets another one's lock adopts its files, alone:
  the next one that starts, or one that runs beside it and misses its heartbeat.
* **Segments**: a file is closed when it has grown to `SEGMENT_BYTES`. Requests that are still open then are noted again
  in the next one, so that a long answer holds no old file back: a file goes when the store has all that was settled in
  it. The oldest goes first, so that no file outlives the one that says how its requests ended.
* **A disk that is full** shows at once. A line of which only a part could be written ends its segment; it was never
  acknowledged, and a reader skips it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from server.ledger.codec import Recovery, opened_line, settled_line, written_line
from server.ledger.quota import Settlement

SEGMENT_BYTES = 8 << 20
SYNC_SECONDS = 0.1
NOTED = 1_000  # requests, each a few dozen bytes
_HOLDER = re.compile(r"[A-Za-z0-9_-]{1,64}")


class JournalError(Exception):
    """The journal cannot be opened or written: what cannot be accounted for must not be sent."""


@dataclass(slots=True)
class _Segment:
    path: Path
    descriptor: int  # open in the last segment only
    size: int = 0
    carried: int = 0  # bytes of requests that were open when it began
    unwritten: int = 0  # settlements in it that the store does not have yet
    torn: bool = False  # it ends in a part of a line


class Journal:
    """`holder` names this life of this process and no other: letters, digits, "-" and "_"; `folder` is local.

    `write` and `sync` are the system's. It is opened once, and every method belongs to one thread. But `orphans` may
    run in another one: it reads the files of the dead only.
    """

    def __init__(
        self,
        folder: Path,
        holder: str,
        segment_bytes: int = SEGMENT_BYTES,
        write: Callable[[int, bytes], int] = os.write,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        if not _HOLDER.fullmatch(holder):
            raise ValueError("a holder's name has letters, digits, - and _ only")
        self._folder, self._holder, self._segment_bytes, self._write = folder, holder, segment_bytes, write
        self._syncer = _Syncer(sync)
        self._locks: dict[str, int] = {}  # descriptors, by holder: our own, and those of the dead
        self._segments: deque[_Segment] = deque()  # the last one is written to
        self._numbers = 0
        self._open: dict[str, bytes] = {}  # the lines of requests that are not settled yet
        self._unwritten: dict[str, _Segment] = {}  # where requests are settled that the store does not have yet
        self._noted: list[str] = []  # requests that the store has, to be said with the next line
        self.damaged = 0  # lines of the dead that could not be read

    def open(self) -> None:
        """Begin, and adopt what the dead have left behind. Raises JournalError."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock()
            self._lock_the_dead()
            self._begin_segment()
        except OSError as error:
            self.close()
            raise JournalError(f"the journal cannot be opened: {error.strerror}") from error

    def opened(self, settlement_if_interrupted: Settlement) -> None:
        """Note that a request is sent upstream now. Raises JournalError: then it must not be."""
        if self._syncer.failed:
            with suppress(OSError):
                self._sync_soon()  # the disk may have recovered by the next request
            raise JournalError("the journal cannot be made durable")
        line = opened_line(settlement_if_interrupted)
        self._append(line)
        self._open[settlement_if_interrupted.row.request_id] = line

    def settled(self, settlement: Settlement) -> None:
        """Note how a request ended. On JournalError the settlement should still go to the store."""
        request_id = settlement.row.request_id
        self._append(settled_line(settlement))
        self._open.pop(request_id, None)
        if request_id not in self._unwritten:
            self._unwritten[request_id] = self._segments[-1]
            self._segments[-1].unwritten += 1

    def written(self, *request_ids: str) -> None:
        """The store has these. It is said with the next line: a note that gets lost does no harm, since what the store
        has may be written to it twice."""
        known = [request_id for request_id in request_ids if request_id in self._unwritten or request_id in self._open]
        for request_id in known:
            self._open.pop(request_id, None)
            if (segment := self._unwritten.pop(request_id, None)) is not None:
                segment.unwritten -= 1
        self._drop_segments()
        self._noted += known
        if len(self._noted) >= NOTED:
            self._say_what_is_noted()

    @property
    def holder(self) -> str:
        """The name of this life of this process."""
        return self._holder

    @property
    def backlog(self) -> int:
        """How many requests are settled here and not yet in the store."""
        return len(self._unwritten)

    @property
    def leaves(self) -> bool:
        """Whether something stays in the files that the store does not have: others have to adopt them."""
        return bool(self._unwritten or self._open)

    def adopt(self) -> bool:
        """Adopt the files of those who have died since; whether there were any. Raises JournalError."""
        known = len(self._locks)
        try:
            self._lock_the_dead()
        except OSError as error:
            raise JournalError(f"the journal's folder cannot be read: {error.strerror}") from error
        return len(self._locks) > known

    def lives(self, holder: str) -> bool:
        """Whether a process that keeps its journal in this folder is known to live; False also for one elsewhere."""
        if holder == self._holder or not _HOLDER.fullmatch(holder):
            return holder == self._holder
        try:
            descriptor = os.open(self._folder / f"{holder}.lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return holder not in self._locks
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False

    def dead_holders(self) -> list[str]:
        """The processes whose files were adopted: they will not give back themselves what they held."""
        return sorted(holder for holder in self._locks if holder != self._holder)

    def orphans(self) -> list[Settlement]:
        """The settlements that dead processes have left to be written. Reads their files anew. Raises JournalError."""
        found: list[Settlement] = []
        self.damaged = 0
        try:
            for holder in self.dead_holders():
                recovery = _recovered(_segments_of(self._folder, holder))
                found += recovery.orphans()
                self.damaged += recovery.damaged
        except OSError as error:
            raise JournalError(f"the journal cannot be read: {error.strerror}") from error
        return found

    def forget_orphans(self) -> None:
        """The store has all orphans, and nothing is held for the dead any more: delete their files."""
        for holder in self.dead_holders():
            self._forget(holder)

    def close(self) -> None:
        """Let go of everything. The next process that opens this folder takes what the store does not have."""
        if self._noted and (self._unwritten or self._open):
            self._say_what_is_noted()
        self._syncer.close()
        if self._segments:
            os.close(self._segments[-1].descriptor)
        if self._holder in self._locks and not self.leaves:
            self._forget(self._holder)
        for descriptor in self._locks.values():
            os.close(descriptor)
        self._segments.clear()
        self._locks.clear()

    def _lock_the_dead(self) -> None:
        """Lock the files of the dead; the folder is locked meanwhile, so that no new file seems dead."""
        with self._folder_locked():
            for path in self._folder.glob("*.lock"):
                if _HOLDER.fullmatch(path.stem) and path.stem not in self._locks:
                    with suppress(FileNotFoundError):  # another process adopted it and has just finished
                        self._lock_one(path.stem, os.O_RDWR)

    def _lock(self) -> None:
        """Lock our own file, before another process can take it for one of the dead."""
        with self._folder_locked():
            self._lock_one(self._holder, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    @contextmanager
    def _folder_locked(self) -> Iterator[None]:
        guard = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        finally:
            os.close(guard)

    def _lock_one(self, holder: str, flags: int) -> None:
        """Lock a process's file, unless that process lives."""
        descriptor = os.open(self._folder / f"{holder}.lock", flags, mode=0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            self._locks[holder] = descriptor

    def _say_what_is_noted(self) -> None:
        with suppress(JournalError):
            self._append(b"")

    def _append(self, line: bytes) -> None:
        """One `write`, also for what was only noted."""
        current = self._current()
        if self._noted:
            line, self._noted = written_line(self._noted) + line, []
        try:
            if current.torn or current.size - current.carried >= self._segment_bytes:
                current = self._rotate(current)
            self._write_to(current, line)
            self._syncer.soon(current.descriptor)
        except OSError as error:
            raise JournalError(f"the journal cannot be written: {error.strerror}") from error

    def _current(self) -> _Segment:
        if not self._segments:
            raise JournalError("the journal is not open")
        return self._segments[-1]

    def _write_to(self, segment: _Segment, line: bytes) -> None:
        length = self._write(segment.descriptor, line)
        segment.size += length
        if length != len(line):
            segment.torn = True
            raise OSError(errno.ENOSPC, "only a part was written")

    def _rotate(self, old: _Segment) -> _Segment:
        """Go on in a new segment that has what is still open, or stay in the old one, which has it, too."""
        new = self._begin_segment()
        try:
            self._write_to(new, b"".join(self._open.values()))
        except OSError:
            self._segments.pop()
            os.close(new.descriptor)
            new.path.unlink()
            raise
        new.carried = new.size
        self._syncer.retire(old.descriptor)
        self._syncer.retire(os.dup(new.descriptor))
        self._drop_segments()
        return new

    def _begin_segment(self) -> _Segment:
        self._numbers += 1
        path = self._folder / f"{self._holder}.{self._numbers:06}.journal"
        segment = _Segment(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, mode=0o600))
        self._segments.append(segment)
        self._syncer.enter(self._folder)
        return segment

    def _drop_segments(self) -> None:
        while len(self._segments) > 1 and not self._segments[0].unwritten:
            self._syncer.remove(self._segments.popleft().path)

    def _sync_soon(self) -> None:
        self._syncer.soon(self._current().descriptor)

    def _forget(self, holder: str) -> None:
        """The lock goes last: as long as there is a segment, another process can adopt it."""
        for path in _segments_of(self._folder, holder):
            path.unlink(missing_ok=True)
        (self._folder / f"{holder}.lock").unlink(missing_ok=True)
        os.close(self._locks.pop(holder))


class _Syncer:
    """Calls `fsync` in a thread. Every descriptor that the thread gets is its own: nothing else closes it."""

    def __init__(self, sync: Callable[[int], None]) -> None:
        self._sync = sync
        self._thread = ThreadPoolExecutor(1, "fairgate-journal")
        self._closing = Event()
        self._due = False
        self.failed = False  # the latest attempt

    def soon(self, descriptor: int) -> None:
        """Sync this file within `SYNC_SECONDS`."""
        if not self._due:
            own, self._due = os.dup(descriptor), True
            self._thread.submit(self._sync_later, own)

    def retire(self, descriptor: int) -> None:
        """Sync a file once more, and close it."""
        self._thread.submit(self._sync_and_close, descriptor)

    def enter(self, folder: Path) -> None:
        """Sync a folder in which a file was made, so that its name survives a power cut, too."""
        self._thread.submit(self._sync_folder, folder)

    def remove(self, path: Path) -> None:
        """Delete a file, once everything that was given before is on the disk."""
        self._thread.submit(path.unlink, missing_ok=True)

    def close(self) -> None:
        """Sync what is due, then end. Closing twice is closing once."""
        self._closing.set()
        self._thread.shutdown()

    def _sync_later(self, descriptor: int) -> None:
        self._closing.wait(SYNC_SECONDS)
        self._due = False  # before the call: what is written from now on may come too late for it
        self._sync_and_close(descriptor)

    def _sync_folder(self, folder: Path) -> None:
        self._sync_and_close(os.open(folder, os.O_RDONLY))

    def _sync_and_close(self, descriptor: int) -> None:
        try:
            self._sync(descriptor)
            self.failed = False
        except OSError:
            self.failed = True
        finally:
            os.close(descriptor)


def _segments_of(folder: Path, holder: str) -> list[Path]:
    """The oldest first."""
    return sorted(folder.glob(f"{holder}.*.journal"))


def _recovered(segments: list[Path]) -> Recovery:
    """A last line without an end is one that was never finished."""
    recovery = Recovery()
    for path in segments:
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    recovery.read(line)
    return recovery
