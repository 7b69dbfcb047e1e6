"""Why a key stands as it does, for its operator: the last thing that spoke against it, and what a free check found.

It decides nothing. Instants are seconds, monotonic; the provider's words come scrubbed.
"""

from __future__ import annotations

from dataclasses import dataclass

from keypool.health import KeyEvent, KeyState

LEADS_TO = {
    KeyEvent.RATE_LIMITED: KeyState.COOLING,
    KeyEvent.FAILED: KeyState.COOLING,
    KeyEvent.NO_SUCH_MODEL: KeyState.COOLING,
    KeyEvent.UNREACHED: KeyState.COOLING,
    KeyEvent.OUT_OF_QUOTA: KeyState.EXHAUSTED,
    KeyEvent.KEY_REFUSED: KeyState.REVOKED,
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What spoke against a key, or against one model of it. `status` 0: there was no answer; `cause` says how then.

    `checked`: a free check has shown it, and no request.
    """

    event: KeyEvent
    at: float
    model: str = ""
    status: int = 0
    cause: str = ""
    words: str = ""
    checked: bool = False

    def explains(self, state: KeyState) -> bool:
        """Whether a state has come of it."""
        return LEADS_TO.get(self.event) is state


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What a free check of a key found: a state of its own words (`server/keys/prober.py`), our detail, a hint about
    the upstream's kind or address, the provider's words, how many models it lists, and the
    status of the answer."""

    at: float
    found: str
    detail: str
    hint: str = ""
    words: str = ""
    models: int = 0
    status: int = 0


@dataclass(frozen=True, slots=True)
class ModelTrouble:
    """A model that a key may not serve now, though it serves others. `until`: the end of its rest."""

    model: str
    state: KeyState
    until: float
    trouble: Trouble | None = None
