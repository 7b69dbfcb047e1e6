"""Large bodies wait in files: a request in the queue needs its body only when it is sent.

Prompts hold secrets, so what lies on the disk is of no use to anyone else, now or later: a file has no name (it is
unlinked at once; mode 0600), it is encrypted with a key that only this process knows and only for this file, and it is
gone when its request has ended, as it is when the process dies. A disk that has no room is no failure of a request: its
body stays in memory then.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

log = logging.getLogger("fairgate")

LEAST = 256 << 10  # bytes
_NONCE = bytes(12)  # each key encrypts one body


class SpoolLost(Exception):
    """A body cannot be read back."""


class Spool:
    """The files of one gateway. `folder`: None is the system's for temporary files; `least`: bytes that are worth one.

    `files` and `size` are those of now, `failed` counts the bodies for which there was no room.
    """

    def __init__(self, folder: Path | None = None, least: int = LEAST) -> None:
        self._folder, self.least = folder, least
        self.files = self.size = self.written = self.failed = 0

    async def put(self, body: bytes) -> Spooled | None:
        """Write a body to a file; None if that cannot be done."""
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, body))
        try:
            found = await asyncio.shield(writing)
        except asyncio.CancelledError:
            writing.add_done_callback(_closed)
            raise
        if found is None:
            self.failed += 1
            return None
        self.written += 1
        return Spooled(self, *found)

    def _write(self, body: bytes) -> tuple[BinaryIO, bytes, int] | None:
        key = AESGCM.generate_key(bit_length=128)
        sealed = AESGCM(key).encrypt(_NONCE, body, None)
        try:
            if self._folder is not None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file: BinaryIO = TemporaryFile(dir=self._folder)  # noqa: SIM115 - for longer
        except OSError as error:
            log.warning("a waiting body stays in memory: %s", type(error).__name__)
            return None
        try:
            file.write(sealed)
            file.flush()
        except OSError as error:
            log.warning("a waiting body stays in memory: %s", type(error).__name__)
            _close(file)
            return None
        return file, key, len(sealed)


class Spooled:
    """One body in a file."""

    def __init__(self, spool: Spool, file: BinaryIO, key: bytes, size: int) -> None:
        self._spool, self._file, self._key, self._size = spool, file, key, size
        spool.files += 1
        spool.size += size

    async def read(self) -> bytes:
        """The body. Raises SpoolLost."""
        return await asyncio.to_thread(self._read)

    def close(self) -> None:
        """Let the file go. Twice is once."""
        if not self._file.closed:
            _close(self._file)
            self._spool.files -= 1
            self._spool.size -= self._size

    def _read(self) -> bytes:
        try:
            self._file.seek(0)
            return AESGCM(self._key).decrypt(_NONCE, self._file.read(), None)
        except (OSError, ValueError, InvalidTag) as error:
            raise SpoolLost from error


def _close(file: BinaryIO) -> None:
    try:
        file.close()
    except OSError:  # what could not be written before is tried again, in vain
        log.debug("a temporary file was closed with an error")


def _closed(writing: asyncio.Future[tuple[BinaryIO, bytes, int] | None]) -> None:
    """Close a file that was written after its request had ended."""
    if not writing.cancelled() and writing.exception() is None and (found := writing.result()) is not None:
        _close(found[0])
