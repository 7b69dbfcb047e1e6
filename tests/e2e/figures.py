"""A realistic community in figures: people, groups, keys and a month of requests. Pure, and the same for a seed.

The people are invented. Their names are as long, as short and from as many scripts as real ones are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from server.config.specs import Secret
from server.ledger.history import HOUR_MS, HOUSE, HourRow, bucket_of, hour_of
from server.ledger.usage import Outcome

DAY_MS = 24 * HOUR_MS
DAYS, REQUESTS = 30, 1_200
LONG_MODEL = "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8"
# model: upstream, how often it is asked for, micro-USD per thousand tokens in and out
MODELS = {
    "gpt-5": ("openai-library", 30, 1_250, 10_000),
    "gpt-5-mini": ("openai-library", 34, 250, 2_000),
    "text-embedding-3-small": ("openai-library", 9, 20, 0),
    "claude-sonnet-4-5": ("anthropic-informatics", 22, 3_000, 15_000),
    "claude-opus-4-5": ("anthropic-informatics", 4, 5_000, 25_000),
    LONG_MODEL: ("computing-centre-gpu-cluster", 12, 0, 0),
}
# Each key is named after what becomes of it; the first of an upstream serves.
KEYS = {
    "openai-library": ("sk-library-serves-0001", "sk-library-serves-0002", "sk-library-paused-0003"),
    "openai-chair-of-physics": ("sk-physics-no-credit-0004", "sk-physics-failing-0005"),
    "anthropic-informatics": ("sk-ant-informatics-serves-0006", "sk-ant-informatics-refused-0007"),
    "computing-centre-gpu-cluster": ("sk-cluster-silent-0008",),
}
NO_CREDIT, FAILING = KEYS["openai-chair-of-physics"]
PAUSED, REFUSED, SILENT = (
    KEYS["openai-library"][2], KEYS["anthropic-informatics"][1], KEYS["computing-centre-gpu-cluster"][0],
)  # fmt: skip
NAMES = (
    "Amélie Brontë-Okonkwo", "Bo", "Céline Dvořáková",
    "Maximilian-Alexander von Hohenlohe-Waldenburg-Schillingsfürst", "Ebru Yıldız", "F. Ångström",
    "Gwendolyn Featherstonehaugh", "Hé Jǐnghuì 何靖慧", "Ifeoma Nwachukwu", "Jürgen Weiß", "Kō 黄", "Łucja Wójcik",
    "María José Fernández de la Peña y Ortiz", "Nguyễn Thị Phương Thảo", "O’Shaughnessy, Saoirse",
    "Priya Venkataraghavan", "Quentin Lefèvre", "Ragnhildur Þórðardóttir", "Søren Æbelø", "Tatjana Šimić",
    "Ümit Çağlar", "Victoria-Louise Abernathy", "Wolfeschlegelsteinhausenbergerdorff", "Xóchitl Ixcoatl", "Yousef",
    "Zoë Żurawska", "نور الهدى بنت عبد الرحمن", "שרה בן־דוד", "山田太郎", "Александра Вознесенская",
    "Παναγιώτης Παπαδόπουλος", "अनुष्का त्रिपाठी", "김하늘", "Anna Lind", "Ben Adeyemi", "Clara Rossi", "Dev Patel",
    "Eva Horn", "Finn Berg", "Greta Maas", "Hugo Blanc", "Ida Kern", "Jan de Wit", "Kim Seo", "Leo Marsh",
    "Mia Stern", "Noah Frost", "Olga Petrova", "Pia Vogel", "Tim Okafor",
)  # fmt: skip
TEACHER, OPERATOR_PERSON = NAMES[3], NAMES[37]
STUDENTS, COURSE = "students", "Physics 101 Experimental Methods and Data Analysis"
STAFF = "staff/faculty-of-mathematics-and-natural-sciences"
_STATUSES = (
    (Outcome.COMPLETED, 900), (Outcome.REJECTED, 38), (Outcome.FAILED, 24), (Outcome.CANCELLED, 22),
    (Outcome.CUT, 12), (Outcome.INTERRUPTED, 4),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the month. Times in milliseconds; `at` is UTC."""

    number: int
    person: int  # place among NAMES
    model: str
    status: Outcome
    at: int
    queue_ms: int
    first_byte_ms: int | None
    duration_ms: int
    tokens_in: int
    tokens_out: int
    key: str  # fingerprint

    @property
    def upstream(self) -> str:
        return MODELS[self.model][0]

    @property
    def micro_usd(self) -> int:
        """What it cost: of what was not answered, nothing."""
        _, _, per_in, per_out = MODELS[self.model]
        return 0 if self.first_byte_ms is None else (self.tokens_in * per_in + self.tokens_out * per_out) // 1000


def groups_of(place: int) -> tuple[str, ...]:
    """Which groups a person is in: every fifth works here, half of the others take the course."""
    if place % 5 == 3:
        return (STAFF,)
    return (STUDENTS, COURSE) if place % 2 else (STUDENTS,)


def month(now: int, seed: int = 15) -> list[Request]:
    """The requests of the 30 days before `now`, the oldest first: more by day than by night, some people far more."""
    clock, dice = Random(seed), Random(seed)  # what a request is does not depend on the day
    when = sorted(_moment(clock, now) for _ in range(REQUESTS))
    return [_request(dice, number, at) for number, at in enumerate(when)]


def _moment(dice: Random, now: int) -> int:
    while True:
        at = now - int(dice.random() ** 1.3 * DAYS * DAY_MS) - 60_000
        hour, weekday = at // HOUR_MS % 24, at // DAY_MS % 7
        if dice.random() < (1.0 if 8 <= hour < 18 else 0.25) * (0.35 if weekday in (2, 3) else 1.0):
            return at


def _request(dice: Random, number: int, at: int) -> Request:
    person = min(int(dice.paretovariate(0.55)) - 1, 10**6) % len(NAMES)
    model = dice.choices(list(MODELS), [row[1] for row in MODELS.values()])[0]
    status = dice.choices([status for status, _ in _STATUSES], [share for _, share in _STATUSES])[0]
    queue = int(dice.expovariate(1 / 900)) if dice.random() < 0.6 else int(dice.expovariate(1 / 14_000))
    answered = status in (Outcome.COMPLETED, Outcome.CUT)
    first = queue + 180 + int(dice.expovariate(1 / 700))
    words = int(dice.lognormvariate(5.6, 1.0)) if answered else 0
    out = 0 if model.startswith("text-embedding") else words
    return Request(
        number, person, model, status, at, queue, first if answered else None,
        first + words * 14, int(dice.lognormvariate(7.2, 1.1)), out, Secret(KEYS[MODELS[model][0]][0]).fingerprint,
    )  # fmt: skip


def history(requests: list[Request], now: int) -> Iterator[HourRow]:
    """The hours of that month, by model: each hour of the last day, and every third of the days before."""
    by_hour: dict[tuple[int, str], list[Request]] = {}
    for each in requests:
        by_hour.setdefault((hour_of(each.at), each.model), []).append(each)
    for age in (*range(1, 25), *range(27, DAYS * 24, 3)):
        hour = hour_of(now) - age * HOUR_MS
        for model in MODELS:
            served = 900 if model == LONG_MODEL and age % 97 == 0 else 3600
            yield _hour(hour, model, by_hour.get((hour, model), []), served)
        yield _hour(hour, HOUSE, [it for model in MODELS for it in by_hour.get((hour, model), [])], 3600)


def _hour(hour: int, model: str, found: list[Request], served: int) -> HourRow:
    waits, first_bytes = (dict[int, int](), dict[int, int]())
    for each in found:
        waits[bucket_of(each.queue_ms)] = waits.get(bucket_of(each.queue_ms), 0) + 1
        if each.first_byte_ms is not None:
            bucket = bucket_of(each.first_byte_ms)
            first_bytes[bucket] = first_bytes.get(bucket, 0) + 1
    return HourRow(
        hour=hour, model=model, requests=len(found), completed=sum(it.status is Outcome.COMPLETED for it in found),
        failed=sum(it.status is Outcome.FAILED for it in found), tokens_in=sum(it.tokens_in for it in found),
        tokens_out=sum(it.tokens_out for it in found), cost_micro_usd=sum(it.micro_usd for it in found),
        people=len({it.person for it in found}), watched=3600, served=served,
        running=sum(it.duration_ms for it in found) // 1000, slots=4 * 3600, waits=waits, first_bytes=first_bytes,
    )  # fmt: skip
