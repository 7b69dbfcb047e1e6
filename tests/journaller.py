"""A process that keeps a journal until it is killed: `journaller FOLDER HOLDER`.

It prints "opened ID" and "settled ID" for what the journal has acknowledged. Of every three requests it settles two and
tells the journal of one that the store has it.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from server.accounting.journal import Journal
from server.ledger.usage import Outcome
from tests.store.samples import settlement

SEGMENT_BYTES = 20_000  # so that some have come and gone when it dies


def main(folder: str, holder: str) -> None:
    journal = Journal(Path(folder), holder, SEGMENT_BYTES)
    journal.open()
    print("ready", flush=True)
    for number in count():
        request_id = f"{holder}-{number}"
        journal.opened(settlement(request_id, status=Outcome.INTERRUPTED))
        print("opened", request_id, flush=True)
        if number % 3:
            journal.settled(settlement(request_id))
            print("settled", request_id, flush=True)
        if number % 3 == 1:
            journal.written(request_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
