"""No secret, no prompt, nobody's address comes out: of logs, errors, pages, figures, the journal, the database."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from cryptography.fernet import Fernet

from server.admin.commands.guest_passes import WantedPass
from server.admin.makers import THE_OPERATOR
from server.auth.accounts import OPERATOR
from server.bootstrap.serve import listen, open_services
from server.config.settings import Settings
from server.config.specs import Secret
from server.http.routes import routes
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.observability import logs
from server.policy.groups import Group
from tests.fakes import fates
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Ask, chat, embeddings, messages
from tests.faults.stage import Stage
from tests.gateways import Running, spec
from tests.oidc.browsing import browser
from tests.oidc.idp import CLIENT_SECRET
from tests.oidc.test_pages import Site, site
from tests.security.canaries import Canaries, dump_of, files_in, table_of

ADMIN_KEY = "the administrators' canary key"
MAIL = "canary.ada@people.example.org"
PROMPT = "Why does the yellow canary sing in the coal mine"
ANSWER = "Because the yellow canary has smelt the gas before"
UPSTREAM = "sk-proj-canary0upstream0configured0one"
ADDED = "sk-proj-canary0upstream0added0at0run0time"
SPOILT = (
    fates.revoked(), fates.insufficient_quota(), fates.server_error(), fates.garbage(), fates.context_too_long(),
    fates.rate_limit(0.01), fates.html_page(), fates.drop_before_head(), fates.overloaded(), fates.deactivated(),
)  # fmt: skip
TORN = (fates.cut_stream(1), fates.mid_stream_error(), fates.first_event_error())


@dataclass
class Ears:
    """All that is said: to loggers, as it was handed to them and as it is written; and to clients, by who they are."""

    records: list[logging.LogRecord] = field(default_factory=list)
    written: io.StringIO = field(default_factory=io.StringIO)
    heard: dict[str, list[bytes]] = field(default_factory=dict)

    def hear(self, who: str, *parts: object) -> None:
        self.heard.setdefault(who, []).extend(str(part).encode() for part in parts)

    def by(self, *who: str) -> bytes:
        return b"\n".join(part for each in who for part in self.heard.get(each, []))

    @property
    def log(self) -> bytes:
        """What the lines say, and what our own code handed to its logger."""
        ours = [repr((each.msg, each.args)) for each in self.records if each.name.startswith("fairgate")]
        return "\n".join((self.written.getvalue(), *ours)).encode()


class Keeping(logging.Handler):
    def __init__(self, ears: Ears) -> None:
        super().__init__(logging.DEBUG)
        self._ears = ears

    def emit(self, record: logging.LogRecord) -> None:
        self._ears.records.append(logging.makeLogRecord(record.__dict__))  # before anybody redacts it


@pytest.fixture
def ears() -> Iterator[Ears]:
    """Every logger at DEBUG, by the two forms of the gateway's own handler."""
    listening, root = Ears(), logging.getLogger()
    forms = [logs.handler("console", listening.written), logs.handler("json", listening.written)]
    handlers, level = [Keeping(listening), *forms], root.level
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield listening
    root.setLevel(level)
    for handler in handlers:
        root.removeHandler(handler)


@dataclass
class Town:
    """A site with ada, who has secrets, bob, who must not learn them, and an administrator."""

    site: Site
    ears: Ears
    canaries: Canaries
    folder: Path
    session: aiohttp.ClientSession
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def running(self) -> Running:
        return self.site.running

    async def ask(self, who: str, ask: Ask, path: str = "", **headers: str) -> int:
        named = {"Authorization": f"Bearer {self.tokens[who]}", "Content-Type": "application/json"} | headers
        async with self.session.post(self.running.url + (path or ask.path), data=ask.body, headers=named) as answer:
            body = await answer.read()
            self.ears.hear(who if answer.status == 200 else f"{who} refused", answer.headers, body.decode())
            return answer.status

    async def get(self, who: str, path: str, **headers: str) -> int:
        named = {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
        async with self.session.get(self.running.url + path, headers=named | headers) as answer:
            self.ears.hear(who, answer.headers, (await answer.read()).decode("utf-8", "replace"))
            return answer.status


@asynccontextmanager
async def town(folder: Path, ears: Ears, **settings: Any) -> AsyncIterator[Town]:
    canaries = Canaries()
    master = canaries.sing("master key", Fernet.generate_key().decode())
    pepper = canaries.sing("pepper", "the canary pepper of this town, as long as it must be")
    values = {
        "store_url": f"sqlite:///{folder}/town.db",
        "journal": str(folder / "journal"),
        "admin_key": Secret(canaries.sing("admin key", ADMIN_KEY)),
        "proxy_key": Secret(canaries.sing("proxy key", "the canary key of a whole campus")),
        "master_keys": (Secret(master),),
        "token_pepper": Secret(pepper),
        "legacy_routes": True,
        "oidc_bearer": True,
        "access_log": True,
        "log_level": "debug",
        **settings,
    }
    canaries.sing("client secret", CLIENT_SECRET)
    for what, text in (("mail", MAIL), ("prompt", PROMPT), ("answer", ANSWER), ("added key", ADDED)):
        canaries.sing(what, text)
    for number, key in enumerate((UPSTREAM, f"{UPSTREAM}s0neighbour")):
        canaries.sing(f"upstream key {number}", key)
    async with site(**values) as place, aiohttp.ClientSession() as session:
        place.idp.user["email"] = MAIL
        place.running.fake.script(None, fates.ok(text=ANSWER).for_ever())
        there = Town(place, ears, canaries, folder, session, {"admin": ADMIN_KEY})
        await settle_down(there)
        yield there


async def settle_down(here: Town) -> None:
    """Ada comes by her organisation's login and makes a token and a pass; bob has a token."""
    services = here.running.services
    async with here.site.browser() as visitor:
        arrived = await visitor.login("/me")
        here.canaries.sing("session", arrived.cookies["fairgate-session"].value)
    (ada,) = [person for person in await services.store.people() if person.email == MAIL]
    here.tokens["ada"] = here.canaries.sing("token", (await services.accounts.create_token(ada.name, "laptop"))[1])
    here.tokens["bob"] = await here.running.token_of("bob")
    here.canaries.sing("bob's token", here.tokens["bob"])
    await services.changes.create_group(OPERATOR.person_id, Group(name="lab", guests=True))
    await services.changes.put_in_group(OPERATOR.person_id, ada.id, "lab")
    person = await services.people.person(ada.id)
    _, here.tokens["guest"] = await services.passes.issue(THE_OPERATOR, person, WantedPass(3600, 1_000_000, "lab"))
    here.canaries.sing("pass", here.tokens["guest"].rpartition(".")[2])


async def live(here: Town) -> None:
    """Good requests, refused ones, faults of every kind, and whatever people do wrong with secrets."""
    plain, streamed = chat(PROMPT, stream=False), chat(PROMPT, stream=True)
    for ask in (plain, streamed, messages(PROMPT, stream=True), embeddings(PROMPT)):
        for who in ("ada", "guest"):
            await here.ask(who, ask)
    stage = Stage(here.running)
    for fate in (*SPOILT, *TORN):
        stage.fake.script(None, fate, fate)
        await here.ask("ada", streamed if fate in TORN else plain)
        await stage.quiet()
        stage.renew_pool()  # no key has failed
        stage.fake.forget_script()
    token = here.tokens["ada"]
    await here.ask("ada", Ask("openai", plain.path, {**plain.document, "api_base": PROMPT}))
    await here.ask("ada", chat(PROMPT, stream=False, model=token))
    await here.ask("ada", Ask("openai", plain.path, {**plain.document, "temperature": PROMPT, "model": MAIL}))
    await here.ask("ada", plain, f"{plain.path}?api_key={token}&password={ADMIN_KEY}")
    await here.ask("ada", plain, f"/{token}{plain.path}")
    await here.ask("ada", plain, **{"X-Fairgate-Group": MAIL, "X-Max-Wait": token, "Content-Type": token})
    for header in (f"Basic {token}", f"Bearer {UPSTREAM}", f"Bearer {token}x", f"Bearer {here.tokens['guest']}x"):
        await here.ask("ada", plain, Authorization=header)
    for path in (f"/{token}", f"/v1/models/{token}", f"/create_api_key/x?password={ADMIN_KEY}x", f"/status?{token}"):
        await here.get("stranger", path)
    await here.get("ada", f"/login?next=/{token}")


async def administer(here: Town) -> None:
    """Changes at every desk, and logins with right and wrong secrets."""
    services, boss = here.running.services, OPERATOR.person_id
    (ada,) = [person for person in await services.store.people() if person.email == MAIL]
    await services.changes.set_limit(boss, Limit("lim_1", Scope.PERSON, ada.id, Unit.REQUESTS, LimitWindow.DAY, 0))
    await services.take_effect()
    assert await here.ask("ada", chat(PROMPT, stream=False)) == 429
    await services.changes.remove_limit(boss, "lim_1")
    added = await services.keys.add(boss, ADDED, {"upstream": "fake"})
    await services.keys.pause(boss, added.id)
    await services.keys.recheck(boss, added.id)
    await services.take_effect()
    (token, *_) = await services.store.tokens(ada.id)
    _, fresh = await services.tokens.rotate(THE_OPERATOR, boss, token.id)
    here.tokens["ada"] = here.canaries.sing("fresh token", fresh)
    await accept_an_invitation(here)
    for presented in (f"{fresh}x", ADMIN_KEY, fresh):
        async with browser(here.running.url) as visitor:
            page = await visitor.get("/login")
            (xsrf,) = re.findall(r'name="xsrf" value="([^"]+)"', page.text)
            entered = await visitor.post("/login", token=presented, xsrf=xsrf, next="/admin")
            here.ears.hear("stranger", entered.text, entered.headers.get("Location", ""))
            if presented == ADMIN_KEY:
                here.tokens["session of admin"] = entered.cookies["fairgate-session"].value
                here.canaries.sing("admin's session", here.tokens["session of admin"])


async def accept_an_invitation(here: Town) -> None:
    """Bob is invited, looks at the link, and uses it; and then it is tried once more."""
    services = here.running.services
    bob = await services.store.person_by_name("bob")
    assert bob is not None
    made = await services.invitations.invite(THE_OPERATOR, OPERATOR.person_id, bob.id)
    code = here.canaries.sing("invitation", made.secret)
    async with browser(here.running.url) as visitor:
        page = await visitor.get(made.link(""))
        (xsrf,) = re.findall(r'name="xsrf" value="([^"]+)"', page.text)
        entered = await visitor.post("/invitation", code=code, xsrf=xsrf)
        (first,) = re.findall(r'<code id="secret">([^<]+)</code>', entered.text)
        here.canaries.sing("first token", first)
        here.canaries.sing("invited session", entered.cookies["fairgate-session"].value)
        await visitor.get(made.link(""))
        await visitor.get(f"/invitation/{code}")


async def look_everywhere(here: Town) -> int:
    """Every address without a parameter, as a stranger, as bob and as an administrator; how many answers that gave."""
    pages = [r.pattern.replace("\\", "") for r in routes(here.running.services) if isinstance(r.pattern, str)]
    answers = 0
    for path in sorted(
        {path for path in pages if not set(path) & set("()[]*+?") and path not in ("/events", "/logout")}
    ):
        for who in ("stranger", "bob", "admin"):
            answers += await here.get(who, path) < 500
        cookie = f"fairgate-session={here.tokens['session of admin']}"
        answers += await here.get("admin", path, Cookie=cookie, Authorization="", Accept="text/html") < 500
    return answers


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_no_secret_no_prompt_and_nobody_s_address_comes_out(
    tmp_path: Path, ears: Ears, capsys: pytest.CaptureFixture[str]
) -> None:
    configured = (UPSTREAM, f"{UPSTREAM}s0neighbour")
    async with FakeUpstream() as fake, town(tmp_path, ears, upstreams=(spec(fake, configured),)) as here:
        here.running.fake = fake
        for what in (live, administer):
            fake.script(None, fates.ok(text=ANSWER).repeat(8))
            await what(here)
        during = files_in(tmp_path / "journal")
        await here.running.services.reservations.quiet(5)
        assert await look_everywhere(here) > 100
        assert len(fake.records) > 20
    canaries, written = here.canaries, capsys.readouterr()
    everywhere = files_in(tmp_path) + during
    assert canaries.but("mail").found_in(dump_of(tmp_path / "town.db")) == set()
    assert canaries.but("mail").found_in(everywhere) == set()
    assert canaries.found_in(during) == set(), "the journal"
    assert MAIL.encode() in table_of(tmp_path / "town.db", "person")
    assert canaries.found_in(ears.log) == set(), "the log"
    assert canaries.found_in((written.out + written.err).encode()) == set(), "the access log"
    assert "/v1/chat/completions" in written.out
    assert ANSWER.encode() in ears.by("ada", "guest")
    assert canaries.found_in(ears.by("stranger")) == set(), "public pages"
    assert canaries.found_in(ears.by("bob", "bob refused")) == set(), "another person's pages"
    assert canaries.found_in(ears.by("ada refused", "guest refused")) == set(), "errors"
    assert canaries.but("mail").found_in(ears.by("admin")) == set(), "administrators' pages"
    assert MAIL.encode() in ears.by("admin"), "administrators know whom they administer"


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_where_a_group_logs_content_it_is_in_its_own_table_and_nowhere_else(tmp_path: Path, ears: Ears) -> None:
    async with town(tmp_path, ears) as here:
        services = here.running.services
        await services.changes.change_group(OPERATOR.person_id, Group(name="lab", content_days=7))
        await services.take_effect()
        assert await here.ask("ada", chat(PROMPT, stream=False)) == 200
        await services.reservations.quiet(5)
        kept = table_of(tmp_path / "town.db", "content")
        assert PROMPT.encode() in kept
        assert ANSWER.encode() in kept
        text = Canaries({"prompt": PROMPT, "answer": ANSWER})
        for table in ("usage", "record", "audit", "person", "token", "day_sum", "counter"):
            assert text.found_in(table_of(tmp_path / "town.db", table)) == set(), table
        assert text.found_in(files_in(tmp_path / "journal") + ears.log) == set()


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_in_an_outage_the_database_s_password_is_not_told(tmp_path: Path, ears: Ears) -> None:
    canaries = Canaries()
    password = canaries.sing("password", "canary0password0of0the0database")
    canaries.sing("prompt", PROMPT)
    token = canaries.sing("token", f"fg_{'c' * 43}")
    away = {"store_url": f"mongodb://fairgate:{password}@127.0.0.1:1/fairgate", "journal": str(tmp_path / "journal")}
    said = []
    async with FakeUpstream() as fake, aiohttp.ClientSession() as session:
        settings: dict[str, Any] = {**away, "port": 0, "upstreams": (spec(fake),), "token_pepper": Secret("p" * 32)}
        async with open_services(Settings(**settings)) as services, listen(services) as url:
            for path in ("/readyz", "/", "/status", "/status.json", "/metrics", "/leaderboard", "/api/me", "/me"):
                async with session.get(url + path, headers={"Authorization": f"Bearer {token}"}) as answer:
                    said.append(await answer.read())
            body = json.dumps(chat(PROMPT, stream=False).document)
            async with session.post(f"{url}/v1/chat/completions", data=body, headers={"X-Api-Key": token}) as answer:
                said.append(await answer.read())
                assert answer.status in (401, 503, 415)
    assert any(record.name == "fairgate" for record in ears.records)
    assert canaries.found_in(ears.log + b"\n".join(said) + files_in(tmp_path)) == set()


def test_the_search_finds_a_canary_in_every_dress() -> None:
    canaries = Canaries({"key": "a canary's key: 1/2+3"})
    raw = canaries.texts["key"].encode()
    for before in ("", "x", "user:", "xyz:"):
        assert canaries.found_in(base64.b64encode(before.encode() + raw + b"tail")) == {"key (base64)"}, before
    assert canaries.found_in(b"..." + quote(raw, safe="").encode()) == {"key (url)"}
    assert canaries.found_in(raw.hex().upper().encode()) == {"key (hex)"}
    assert canaries.found_in(hashlib.sha256(raw).hexdigest().encode()) == {"key (sha256)"}
    assert canaries.found_in(b"a canary's cousin") == set()
