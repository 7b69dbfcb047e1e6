"""Three gateways as processes, sixty persons and one provider that lets in sixty requests and 40,000 tokens a minute.

The provider counts for all of them together and sends no headers: what is left is known to the gateways only by what
they tell each other through the store. One person is alone at the first gateway, nineteen are at the second and forty
at the third. A day of this is ten minutes long.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from keypool.fairness_index import jain
from server.ledger.usage import Outcome
from tests.accounting.books import Place, all_rows, assert_all_quiet
from tests.accounting.children import Child, child
from tests.fakes.fates import slow
from tests.fakes.ledger import Outcome as Seen
from tests.fakes.upstream import FakeUpstream
from tests.fakes.wire import Wire
from tests.faults.asks import chat
from tests.store.mongo_kinds import forget, mongo_url

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

KEY = "sk-upstream-one"
RPM, TPM = 60, 40_000
PERSONS = (1, 19, 40)  # at each gateway
WAITING = 2  # requests of each person
PROMPT, ANSWER = 400, 240  # tokens and words: 640 tokens a request, so that both limits are near
WARM_UP, DAY = 75.0, 600.0  # seconds; the provider's buckets are full at first
MIDDLE = WARM_UP + DAY / 2
UPSTREAMS = f"""
upstreams:
  - name: the-provider
    dialect: openai
    base_url: %s
    keys: [{KEY}]
    models: [gpt-4o]
    slots: 64
    rpm: {RPM}
    tpm: {TPM}
    organisation: ours
"""


@dataclass
class Scene:
    place: Place
    fake: FakeUpstream
    session: aiohttp.ClientSession
    gateways: list[Child]
    wire: Wire  # between the last gateway and the store
    began: float
    answered: list[tuple[float, str, int, str]] = field(default_factory=list)  # when, who, where, id
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time() - self.began

    async def keep_asking(self, who: str, token: str, home: int) -> None:
        """As one who always has something to ask, and whose balancer leaves a gateway that is gone."""
        ask = chat("word " * PROMPT, stream=False)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        while True:
            try:
                async with self.session.post(
                    self.gateways[home].url + ask.path, data=ask.body, headers=headers
                ) as response:
                    body = await response.read()
            except aiohttp.ClientError:
                home = (home + 1) % len(self.gateways)
                continue
            if response.status == 200:
                self.answered.append((self.now, who, home, response.headers["X-Request-Id"]))
            else:
                self.refused[f"{response.status} {body!r}"] += 1
                await asyncio.sleep(1.0)

    def served(self, begin: float, end: float, home: int | None = None) -> int:
        return sum(begin <= at < end and home in (None, where) for at, _, where, _ in self.answered)


@pytest.fixture
def place(secantus_server: str, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    url = mongo_url(secantus_server, tmp_path)
    request.addfinalizer(lambda: forget(url))
    return Place(url, tmp_path)


@asynccontextmanager
async def a_day(place: Place, tmp_path: Path, fault: Callable[[Scene], Awaitable[None]]) -> AsyncIterator[Scene]:
    names = [(f"person{home}x{number}", home) for home, most in enumerate(PERSONS) for number in range(most)]
    tokens = await place.welcome(*(name for name, _ in names))
    upstream = FakeUpstream(default=slow(first_byte=0.3, words=ANSWER))
    async with upstream as fake, Wire(place.port) as wire, AsyncExitStack() as stack:
        fake.limit(KEY, rpm=RPM, tpm=TPM, headers=False)
        (tmp_path / "upstreams.yaml").write_text(UPSTREAMS % fake.base_url)
        more = {
            "UPSTREAMS_FILE": str(tmp_path / "upstreams.yaml"),
            "UNPRICED_MODELS": "free",
            "QUEUE_SECONDS": "600",
            "STORE_SECONDS": "20",
        }
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None))
        )
        places = [place, place, place.through(wire)]
        gateways = [
            await stack.enter_async_context(child(each.environment | more, tmp_path / f"log{number}"))
            for number, each in enumerate(places)
        ]
        scene = Scene(place, fake, session, gateways, wire, asyncio.get_running_loop().time())
        asking = [
            asyncio.create_task(scene.keep_asking(name, token, home))
            for (name, home), token in zip(names, tokens, strict=True)
            for _ in range(WAITING)
        ]
        faulty = asyncio.create_task(fault(scene))
        await asyncio.sleep(WARM_UP + DAY)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await faulty
        yield scene


def hold_the_bars(scene: Scene) -> None:
    sent = len(scene.fake.records)
    refused = sum(record.outcome is Seen.REFUSED for record in scene.fake.records)
    each = Counter({f"person{home}x{number}": 0 for home, most in enumerate(PERSONS) for number in range(most)})
    each.update(who for at, who, _, _ in scene.answered if at >= WARM_UP)
    most = min(RPM, TPM / (scene.fake.records[0].usage.input + ANSWER)) * DAY / 60
    used, fair = scene.served(WARM_UP, WARM_UP + DAY) / most, jain(each.values())
    print(f"refused {refused}/{sent}, utilisation {used:.3f}, Jain {fair:.4f}, to callers {dict(scene.refused)}")
    assert refused < sent / 100
    assert used >= 0.95
    assert fair >= 0.99


async def killed(scene: Scene) -> None:
    await asyncio.sleep(MIDDLE)
    await scene.gateways[1].kill()


async def cut_off(scene: Scene) -> None:
    await asyncio.sleep(MIDDLE)
    await scene.wire.cut()
    await asyncio.sleep(30.0)
    await scene.wire.mend()


async def assert_books(scene: Scene, place: Place) -> None:
    """Asked when all gateways are gone: no row is lost, none is doubled."""
    async with place.opened() as store:
        rows = await all_rows(store)
        completed = {row.request_id for row in rows if row.status is Outcome.COMPLETED}
        assert len({row.request_id for row in rows}) == len(rows)
        assert completed >= {request_id for *_, request_id in scene.answered}
        await assert_all_quiet(store, place.journal)


@pytest.mark.gen_test(timeout=880)
async def test_one_that_is_killed_takes_nothing_with_it(place: Place, tmp_path: Path) -> None:
    async with a_day(place, tmp_path, killed) as scene:
        hold_the_bars(scene)
        assert scene.served(MIDDLE + 6, MIDDLE + 66) >= 0.95 * scene.served(MIDDLE - 60, MIDDLE), "its share is used"
    await assert_books(scene, place)


@pytest.mark.gen_test(timeout=880)
async def test_one_that_is_cut_off_from_the_store_goes_on_and_the_limits_hold(place: Place, tmp_path: Path) -> None:
    async with a_day(place, tmp_path, cut_off) as scene:
        hold_the_bars(scene)
        assert scene.served(MIDDLE, MIDDLE + 30, 2), "it goes on within its escrow and its last share"
    await assert_books(scene, place)
