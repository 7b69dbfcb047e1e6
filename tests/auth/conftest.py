"""A store and the accounts that are read through it, with clocks that stand still."""

from tests.accounts import make_accounts, store, times

__all__ = ["make_accounts", "store", "times"]
