"""Conversations: each turn sends all that was said before, and a provider that has it in its cache computes it cheaper.

Twenty turns each, with a prompt of 3,000 tokens that differs for each person, questions of 300 tokens, and half a
minute of thinking between an answer and the next question. A key remembers the beginning that it has seen, for five
minutes.
"""

from __future__ import annotations

from bench.fairness.schedulers import Fairgate
from bench.fairness.simulation import Record, Simulation
from bench.fairness.world import KEYS, SLOTS, USUAL, Job, bound_by_slots
from keypool.affinity import SECONDS as REMEMBERED

TURNS = 20
PROMPT, QUESTION = 3000, 300  # tokens
THINKING = 30.0  # seconds, on average


class Talks:
    """People who talk, and the providers' caches."""

    def __init__(self, seed: int, affinity: bool) -> None:
        self.simulation = Simulation(Fairgate(bound_by_slots()), seed)
        self._affinity = affinity
        self._said: dict[str, int] = {}  # tokens, by person
        self._turns: dict[str, int] = {}
        self._cached: dict[tuple[str, str], tuple[int, float]] = {}  # tokens, until; by key and person
        self.simulation.on_start.append(self._look_up)
        self.simulation.on_end.append(self._think)

    def run(self, load: float, seconds: float) -> Record:
        """People come at random, so that they use this share of the slots."""
        per_second = load * KEYS * SLOTS / (TURNS * USUAL.service)
        when, number = 0.0, 0
        while (when := when + self.simulation.dice.expovariate(per_second)) < seconds:
            number += 1
            self._begin(f"p{number}", when)
        return self.simulation.run(seconds)

    def _begin(self, person: str, when: float) -> None:
        self._said[person], self._turns[person] = PROMPT, 0
        self.simulation.at(when, lambda: self._ask(person))

    def _ask(self, person: str) -> None:
        self._said[person] += QUESTION
        self._turns[person] += 1
        job = USUAL.job(person, self.simulation.dice)
        job.input = self._said[person]
        job.conversation = person.encode() if self._affinity else b""
        self.simulation.ask(job)

    def _look_up(self, job: Job) -> None:
        assert job.ticket is not None
        assert job.ticket.key is not None
        place, now = (job.ticket.key.id, job.person), self.simulation.now
        length, until = self._cached.get(place, (0, 0.0))
        job.cached = length if now < until else 0
        self._cached[place] = job.input, now + REMEMBERED

    def _think(self, job: Job) -> None:
        self._said[job.person] += job.output
        if self._turns[job.person] < TURNS:
            pause = self.simulation.dice.expovariate(1 / THINKING)
            self.simulation.at(self.simulation.now + pause, lambda: self._ask(job.person))


def cached_share(record: Record) -> float:
    """The share of the prompts' tokens that the providers had in their caches."""
    started = [job for job in record.jobs if job.started is not None]
    return sum(job.cached for job in started) / sum(job.input for job in started)
