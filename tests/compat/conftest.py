"""One gateway for all the tests of a module."""

from __future__ import annotations

from tests.faults.conftest import io_loop, open_stage

__all__ = ["io_loop", "open_stage"]
