"""How many connections there are: in all, and of one address.

In all there are as many as the operator wants, and no more than the system's open files allow: a connection may need
two of them, its own and that of its upstream (or of its body, `spool.py`), and some are kept for the store, the log and
other files. At the bound no connection is refused: the gateway stops accepting, and a new connection waits in the
system's own queue until another one has gone.

An address has a part of them, so that one machine cannot take all. Where proxies of ours stand in front
(`TRUSTED_PROXY_HOPS`), every connection is a proxy's, and how many callers one carries cannot be seen: a cap on its
address would be a cap on all callers. So its connections count in all only, and each caller's address, as the proxy
notes it, is bounded by its requests under way instead.
"""

from __future__ import annotations

import resource
from collections import Counter

WANTED_FILES = 1 << 20  # more than that is no use to one process
KEPT_FILES = 64  # for everything that is no request's
FILES_EACH = 2
LEAST = 16  # connections, however few files there may be
PART = 4  # of all connections, one in so many is one address's at most, where the operator does not say


def raise_open_files() -> int:
    """Let this process open as many files as the system allows it; returns how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    while soft != resource.RLIM_INFINITY and wanted > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS says "infinite" and means fewer
            wanted //= 2
        else:
            break
    return open_files()


def open_files() -> int:
    """How many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED_FILES if soft == resource.RLIM_INFINITY else soft


def connections_for(wanted: int, files: int) -> int:
    """So many connections there may be, of those that the operator wants, with so many open files."""
    return min(wanted, max(LEAST, (files - KEPT_FILES) // FILES_EACH))


class AddressCap:
    """A bound on the connections that each address has at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many addresses have something."""
        return len(self._counts)

    def enter(self, address: str) -> bool:
        """Count one more; False, and nothing is counted, if that is one too many."""
        if self._counts[address] >= self.most:
            if not self._counts[address]:
                del self._counts[address]
            return False
        self._counts[address] += 1
        return True

    def leave(self, address: str) -> None:
        """One has gone that had entered."""
        self._counts[address] -= 1
        if self._counts[address] <= 0:
            del self._counts[address]


class ConnectionBudget:
    """The connections of one gateway. `proxied`: they are those of our own proxies."""

    def __init__(self, most: int, per_address: int | None = None, *, proxied: bool = False) -> None:
        self.most, self.proxied = most, proxied
        self.open = 0
        self.refused = 0  # connections, or requests behind proxies, of addresses that had enough
        self.full_times = self.short_times = 0  # how often accepting has stopped: at the bound, for want of files
        self.addresses = AddressCap(max(1, most // PART) if per_address is None else per_address)

    @property
    def full(self) -> bool:
        return self.open >= self.most

    def connected(self, address: str) -> bool:
        """A connection has come; False if its address has enough of them."""
        if not self.proxied and not self.addresses.enter(address):
            self.refused += 1
            return False
        self.open += 1
        return True

    def closed(self, address: str) -> None:
        """A connection has gone."""
        self.open -= 1
        if not self.proxied:
            self.addresses.leave(address)

    def requested(self, address: str) -> bool:
        """A request has come from an address, as our proxies note it; False if that has enough under way."""
        if not self.proxied or self.addresses.enter(address):
            return True
        self.refused += 1
        return False

    def answered(self, address: str) -> None:
        """A request has ended."""
        if self.proxied:
            self.addresses.leave(address)
