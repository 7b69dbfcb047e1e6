"""A seeded crowd: who asks for what, who leaves when, and what the upstream does to whom."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from enum import Enum
from random import Random

import aiohttp

from keypool.health import KeyEvent, KeyState
from server.dispatcher import Dispatcher
from server.ledger.usage import Outcome, UsageRow
from tests.fakes.fates import (
    Answer,
    Delivery,
    Ending,
    Fate,
    context_too_long,
    cut_mid_event,
    cut_stream,
    drop_after_first_byte,
    drop_before_head,
    garbage,
    gzipped,
    hang,
    held,
    html_page,
    insufficient_quota,
    model_missing,
    ok,
    overloaded,
    rate_limit,
    reset_before_head,
    revoked,
    server_error,
)
from tests.fakes.ledger import Record
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Ask, Heard, chat, embeddings, hear, messages
from tests.gateways import Running

FAULTY = 0.25  # of the requests to an ordinary model
ORDINARY = ("gpt-4o", "claude-sonnet-4-5", "text-embedding-3-small")
# Models whose answers stop: in mid-stream after `HELD` events, before the head, in the body.
HELD_MODELS, HANGING, HALF = (
    ("gpt-4o-held", "claude-held"),
    ("gpt-4o-hang", "claude-hang"),
    ("gpt-4o-half", "claude-half"),
)
MODELS = (*ORDINARY, *HELD_MODELS, *HANGING, *HALF)
HELD = 8
BROKEN_OFF = {"drop_after_first_byte", "cut_stream", "cut_mid_event"}  # names of fates: after a good head
PERHAPS_BROKEN_OFF = "error"  # a fate: an answer may have begun before the error
LAST_WORD = {"openai": b"w7", "anthropic": b"w5"}  # of what comes before the stop


class Manner(Enum):
    """How somebody asks."""

    STAYS = "stays to the end"
    LEAVES_AFTER_WORDS = "leaves in mid-stream, having read all that came"
    LEAVES_SOON = "leaves at some moment, whatever happens then"
    ERRS = "asks for what there is not"


@dataclass(slots=True)
class Visit:
    """One request of the crowd. `body` is what its client has read."""

    number: int
    manner: Manner
    ask: Ask
    patience: float  # seconds, for those who leave soon
    status: int | None = None
    body: bytes = b""

    @property
    def dispatched(self) -> bool:
        """Its client has heard an upstream. A stream that was opened while it waited may end without any."""
        return self.status == 400 or (self.status == 200 and b'"code":"no_upstream_key"' not in self.body)

    async def happen(self, session: aiohttp.ClientSession, running: Running, token: str) -> None:
        if self.manner is Manner.LEAVES_AFTER_WORDS:
            await self._read_some(session, running, token)
            return
        answer = asyncio.create_task(hear(session, running, self.ask, token))
        if self.manner is Manner.LEAVES_SOON:
            await asyncio.wait([answer], timeout=self.patience)
            if not answer.done():
                answer.cancel()
                await asyncio.wait([answer])
                return
        self._take(await answer)

    def _take(self, heard: Heard) -> None:
        self.status, self.body = heard.status, heard.body

    async def _read_some(self, session: aiohttp.ClientSession, running: Running, token: str) -> None:
        headers = running.headers | {"Authorization": f"Bearer {token}"}
        async with session.post(running.url + self.ask.path, data=self.ask.body, headers=headers) as response:
            self.status = response.status
            while LAST_WORD[self.ask.dialect] not in self.body:
                piece = await response.content.readany()
                if not piece:  # all keys may be away at once, and heartbeats may have opened the stream before
                    assert self.status != 200 or b'"error"' in self.body, "it is held: it cannot end well"
                    break
                self.body += piece
            response.close()


def crowd(size: int, seed: int) -> list[Visit]:
    """The visits of one day; the same seed is the same day."""
    dice = Random(seed)
    return [_visit(number, dice) for number in range(size)]


def _visit(number: int, dice: Random) -> Visit:
    text = f"request {number} " + "word " * dice.randrange(1, 40)
    converse, which = dice.choice([(chat, 0), (messages, 1)])
    stream, patience, die = dice.random() < 0.6, dice.uniform(0.0, 0.03), dice.random()
    if die < 0.06:
        return Visit(number, Manner.LEAVES_AFTER_WORDS, converse(text, stream=True, model=HELD_MODELS[which]), patience)
    if die < 0.12:
        model = dice.choice([HANGING, HALF])[which]
        return Visit(number, Manner.LEAVES_SOON, converse(text, stream=False, model=model), patience)
    if die < 0.16:
        return Visit(number, Manner.LEAVES_SOON, converse(text, stream=stream), patience)
    if die < 0.20:
        return Visit(number, Manner.ERRS, converse(text, stream=stream, model="nobody-has-this"), patience)
    if die < 0.30:
        return Visit(number, Manner.STAYS, embeddings(text), patience)
    return Visit(number, Manner.STAYS, converse(text, stream=stream), patience)


def script(fake: FakeUpstream, size: int, seed: int) -> None:
    """Prepare the upstream for so many requests: some of each ordinary model go wrong in every way there is."""
    dice = Random(seed)
    for model in ORDINARY:
        fake.script(None, *(_fate(dice) for _ in range(2 * size)), model=model)
    for name in range(2):
        fake.script(None, held(asyncio.Event(), after=HELD, words=50).for_ever(), model=HELD_MODELS[name])
        fake.script(None, hang().for_ever(), model=HANGING[name])
        fake.script(None, cut_stream(1, Ending.STALL).for_ever(), model=HALF[name])


def _fate(dice: Random) -> Fate:
    if dice.random() >= FAULTY:
        return ok(words=dice.randrange(5, 60), cached=dice.choice([0, 0, 5]))
    # Those that end a good HTTP answer by closing would leave a race for the connection's next request.
    error = Answer(name="error", delivery=Delivery(error_after=dice.choice([0, 3])))
    spoilt = [cut_stream(4), cut_stream(5, Ending.RESET), cut_stream(6, Ending.COMPLETE), cut_mid_event(4), error]
    page = replace(html_page(), ending=Ending.COMPLETE)
    broken = [drop_after_first_byte(), drop_before_head(), reset_before_head(), garbage(), page, gzipped()]
    refused = [rate_limit(0.02), overloaded(), server_error(), server_error(502), model_missing(), revoked()]
    return dice.choice([*spoilt, *broken, *refused, insufficient_quota(), context_too_long()])


def mend_keys(dispatcher: Dispatcher) -> None:
    """An operator who never sleeps: what the upstream took away is given back, so that the day goes on."""
    for key in list(dispatcher.pool.keys.values()):
        if key.whole.state in (KeyState.REVOKED, KeyState.EXHAUSTED):
            dispatcher.learn(key.id, KeyEvent.RESUME)
        for model in MODELS:
            if key.standing(model).state is KeyState.COOLING:
                dispatcher.learn(key.id, KeyEvent.ANSWERED, model)


def without_attempts(rows: list[UsageRow]) -> list[UsageRow]:
    """The rows of requests. Those of attempts that failed have ids of their own, and tell what may have been billed."""
    for row in rows:
        if row.is_attempt:
            assert (row.status, row.usage.estimated, row.attempts) == (Outcome.FAILED, True, 1)
            assert row.usage.input
    return [row for row in rows if not row.is_attempt]


def by_visit(records: list[Record]) -> dict[int, list[Record]]:
    """What the upstream saw of each visit, in order."""
    seen: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        found = re.search(rb"request (\d+) ", record.body)
        assert found is not None
        seen[int(found[1])].append(record)
    return seen
