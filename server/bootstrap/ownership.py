"""Whether the settings are those of the store: asked at each start, before anything is served (`identity.py`).

`alone` is about another gateway on the same SQLite file. It does no harm to what is stored, but each has queues of its
own, so a person who asks both has two shares, and each key has twice its slots.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from server.config.parsers import SQLITE
from server.config.settings import Settings
from server.keys.encryption import KeyEncryption
from server.store.base import Record, Store
from server.store.identity import (
    ID,
    KIND,
    ForeignStoreError,
    Holdings,
    Identity,
    contradiction,
    fingerprint,
    identity_body,
    identity_of,
)
from server.store.sqlite.store import database_path
from server.store.token_secret import pepper_for

log = logging.getLogger("fairgate")

NOT_ALONE = (
    "another gateway works on this SQLite file: each has its own queue, so neither is fair to those who ask the other "
    "one; end one of them, or keep the store in MongoDB"
)


async def confirm(store: Store, settings: Settings) -> None:
    """Refuse settings that are not those of this store, else remember them. Raises ForeignStoreError."""
    known, now = await _known(store), identity(settings)
    keys, encryption = await store.added_keys(), KeyEncryption(settings.master_keys)
    readable = any(encryption.reads(key.encrypted, key.id) for key in keys)
    holds = Holdings(await _has_other_tokens(store, known, now), bool(keys), readable)
    unasked = settings.demo == "auto" and settings.wants_demo
    if (wrong := contradiction(known, now, holds, demo_unasked=unasked)) is not None:
        raise ForeignStoreError(wrong)
    now = Identity(now.pepper, now.masters, now.real or (known is not None and known.real))
    if now != known:
        await store.put_record(Record(KIND, ID, identity_body(now)))


async def confirm_pepper(store: Store, settings: Settings) -> None:
    """Refuse to make what the gateway of this store would not know. Raises ForeignStoreError."""
    known, now = await _known(store), identity(settings)
    holds = Holdings(await _has_other_tokens(store, known, now), keys=False, readable=False)
    if (wrong := contradiction(known, now, holds, demo_unasked=False)) is not None:
        raise ForeignStoreError(wrong)


async def adopt(store: Store, settings: Settings) -> None:
    """Take these settings for those of the store from now on, on purpose."""
    known, now = await _known(store), identity(settings)
    real = now.real or (known is not None and known.real)
    await store.put_record(Record(KIND, ID, identity_body(Identity(now.pepper, now.masters, real))))


def identity(settings: Settings) -> Identity:
    """The identity that a store gets if it is started with these settings."""
    pepper = pepper_for(settings.store_url, settings.token_pepper.reveal() if settings.token_pepper else "")
    masters = tuple(fingerprint(each.reveal().encode()) for each in settings.master_keys)
    return Identity(fingerprint(pepper), masters, bool(settings.upstreams))


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Mark the SQLite file as this gateway's, as long as it runs; warns if it is another one's already."""
    if not settings.store_url.startswith(SQLITE):
        yield
        return
    database = database_path(settings.store_url)
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(database.with_name(f"{database.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # then the database cannot be opened either, and says so itself
        yield
        return
    try:
        if not _locked(descriptor):
            log.warning(NOT_ALONE)
        yield
    finally:
        os.close(descriptor)  # the lock goes with it, as it does when the process dies


def _locked(descriptor: int) -> bool:
    """Take the lock; False if another process has it. A file system without locks cannot tell, which is no warning."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


async def _known(store: Store) -> Identity | None:
    for record in await store.records(KIND):
        if record.id == ID:
            try:
                return identity_of(record.body)
            except ValueError:
                log.error("the record of whose store this is cannot be read, and is written anew")
    return None


async def _has_other_tokens(store: Store, known: Identity | None, now: Identity) -> bool:
    """Whether there are tokens that work, made under another pepper. They are read only where that one is another."""
    if known is None or known.pepper == now.pepper:
        return False
    return any(token.revoked_at is None for token in await store.tokens())
