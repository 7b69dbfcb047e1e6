"""What cannot be done, in types: the front ends translate the type, and none of them reads the words.

The words say why, without repeating what was typed. A `remedy` is for the command line alone: which of its verbs helps.
"""

from __future__ import annotations


class CommandError(ValueError):
    """What was asked for cannot be done. As a text it is the words with the remedy behind them."""

    def __init__(self, words: str = "", remedy: str = "") -> None:
        super().__init__(words)
        self.words, self.remedy = words, remedy

    def __str__(self) -> str:
        return f"{self.words}: {self.remedy}" if self.remedy else self.words


def words_of(error: Exception) -> str:
    """The words of an error as they were given: `str` would make a text of ours plain English."""
    return error.args[0] if error.args and isinstance(error.args[0], str) else str(error)


class NotThere(CommandError):
    """What the command is about does not exist."""


class AlreadyThere(CommandError):
    """What the command makes exists already, and stays as it is."""
