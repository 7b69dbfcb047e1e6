"""One gateway for all tests of a module, as in the tests of faults."""

from __future__ import annotations

from tests.faults.conftest import Opener, io_loop, open_stage

__all__ = ["Opener", "io_loop", "open_stage"]
