"""Compiled templates, kept beside Python's own compiled modules and under the same conditions.

To compile the templates of the status page takes .3 seconds, in which a gateway does nothing else. So what was compiled
once is kept in `web/__pycache__` (or under `sys.pycache_prefix`), unless Python is asked to write no bytecode or the
folder is not ours to write to. A kept template is used if its source and this whole package are what they were: the
compiler evaluates filters of ours and reads the options of our environment.
"""

from __future__ import annotations

import hashlib
import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

from jinja2.bccache import Bucket, FileSystemBytecodeCache

# A user who can read this module can read the template: an image is built by another user than runs it.
READERS = Path(__file__).stat().st_mode & 0o666


class CompiledTemplates(FileSystemBytecodeCache):
    """Templates by their names, in a folder. What cannot be read or written is compiled anew."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or Path(cache_from_source(__file__)).parent
        super().__init__(str(folder), f"template-%s.{sys.implementation.cache_tag}.bin")
        self._package = _digest_of(Path(__file__).parent)

    def get_source_checksum(self, source: str) -> str:
        return hashlib.sha256(self._package + source.encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            super().load_bytecode(bucket)
        except Exception:  # half a file, or another's
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                super().dump_bytecode(bucket)
                Path(self._get_cache_filename(bucket)).chmod(READERS)


def _digest_of(package: Path) -> bytes:
    digest = hashlib.sha256()
    for module in sorted(package.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.digest()
