"""Completion of verbs and options by the shell: `eval "$(register-python-argcomplete fairgate)"`.

argcomplete looks whether a shell asks, and else does nothing. It is optional (`pip install .[completion]`): without it
there are no completions, and all else is the same.
"""

from __future__ import annotations

import argparse
from contextlib import suppress


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and end; return if none asks."""
    with suppress(ImportError):
        import argcomplete

        argcomplete.autocomplete(parser)
