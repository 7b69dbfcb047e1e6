"""How many tokens a prompt has, without counting them: a bound that always holds, and a guess that learns.

The bound: a token of any tokenizer that works on bytes is at least one byte, so a text has at most as many tokens as
bytes. Where even the bound is far below every limit, counting decides nothing, and a guess is enough for the queue,
which charges an estimate and settles it by what the provider reports.

The guess: bytes times a density, in tokens a byte. English prose has .22, code .3, German .27, Chinese .35. It is
learnt from the reports of the provider, for each person and model apart, so that the texts of one person change the
guess of no other. It stays between `LEAST` and 1: a person who sends easy texts first and dense ones afterwards is
charged a fifth of the dense ones in advance, and the rest when they end.
"""

from __future__ import annotations

from collections import OrderedDict
from math import ceil

from server.wire.tokens import Prompt

USUAL = 0.3  # tokens a byte where nothing is learnt: rather too many, the queue refunds what was charged in vain
LEAST, MOST = 0.2, 1.0
STEP = 0.3  # how far a density moves towards the latest report
LONG_ENOUGH = 400  # bytes: what a provider adds by itself outweighs a shorter text
KEPT = 8192  # densities, of the persons and models that came last


class PromptDensities:
    """The densities that were learnt, of a bounded number of persons and models."""

    def __init__(self, capacity: int = KEPT) -> None:
        self._capacity = capacity
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()

    def guess(self, person: str, model: str, prompt: Prompt) -> int:
        """Return the tokens that a prompt of this person probably has for this model."""
        return prompt.fixed + ceil(prompt.text_bytes * self._known.get((person, model), USUAL))

    def learn(self, person: str, model: str, prompt: Prompt, reported: int) -> None:
        """Note that the provider has read so many tokens. Media and short texts teach nothing."""
        if prompt.media or prompt.text_bytes < LONG_ENOUGH or reported <= prompt.fixed:
            return
        seen = min(MOST, max(LEAST, (reported - prompt.fixed) / prompt.text_bytes))
        before = self._known.pop((person, model), USUAL)
        self._known[person, model] = before + STEP * (seen - before)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
