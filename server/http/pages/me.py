"""The base of all pages behind a login: the frame around them, and their forms with the results.

A page is drawn by `draw`. A form of it is carried out by an *act*, a coroutine of the page's class that the table of
routes names. It returns `Done`, and then the browser is sent on to a page which says so; or the secret it has made,
which stands on the page that answers the form and is nowhere kept; or None, where the page itself shows it. A refusal
is said on top of the page, with the status 400, and the form keeps all that was entered. An act that hurts first raises
`Unsure`: a page then says what will happen, and holds the same form with a yes in it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import replace
from typing import Any

from server.admin.makers import Maker
from server.http.browsed import SESSION
from server.http.pages.base import BrowserHandler
from server.http.pages.forms import Done, Form, FormError, Unsure, flash_cookie, flash_of, sentence
from server.policy.authority import Authority, Power
from server.policy.commands import CommandError
from server.status.views import notice_view, notices
from server.store.base import Caller, Person
from server.wire.errors import InvalidKey, InvalidValue
from web import render_me
from web.forms import XSRF
from web.view import Flash, Frame, Sent, Visitor
from web.view_me import NewSecret, QuestionView

FLASH = "fairgate-flash"
FLASH_SECONDS = 60

Act = Callable[..., Awaitable[Done | NewSecret | None]]


class MemberPage(BrowserHandler):
    """A page of the person who has logged in. A route shows it, takes a form of it, or both. `act`: the form's act."""

    me: Person  # an administrator only if the session is one's
    authority: Authority
    maker: Maker

    def initialize(self, act: Act | None = None, shows: bool = True) -> None:
        self.act = act
        self.flash: Flash | None = None
        self.made: NewSecret | None = None
        self.sent: Sent | None = None
        self.session_cookie = ""

    @classmethod
    def answers(cls, row: Mapping[str, Any]) -> set[str]:
        """A route that does not say otherwise shows the page; one with an act takes its form."""
        shown = {"GET"} if row.get("shows", True) else set()
        return shown | ({"POST"} if row.get("act") is not None else set())

    async def admit(self) -> None:
        await super().admit()
        visit = await self.visit()
        if visit is None:
            raise InvalidKey
        self.authority = self.services.authority_of_visit(visit)
        self.me = replace(visit.person, admin=self.authority.may(Power.ADMINISTER))
        self.maker = Maker(self.authority, visit.token.id if visit.token else None)
        self.session_cookie = self.cookie(SESSION) or ""

    @abstractmethod
    async def draw(self, *path: str) -> bytes:
        """The page. `path` are the parts of the address that name something, of the page or of one of its forms."""

    @property
    def frame(self) -> Frame:
        """The frame around the page."""
        services, now = self.services, self.services.wall()
        return Frame(
            title=services.settings.title,
            now_ms=now,
            zone=self.zone,
            days=services.settings.timezone,
            visitor=Visitor(self.me.name, self.me.admin),
            xsrf=self.xsrf(),
            login=True,
            leaderboard=services.settings.leaderboard,
            notices=tuple(notice_view(each) for each in notices(services.book) if each.shown_at(now)),
            flash=self.flash,
            sent=self.sent,
            language=self.language,
            languages=self.languages,
            path=self.request.uri if self.request.method == "GET" else _behind(self.request.path),
        )

    def asked(self, name: str, default: str = "") -> str:
        """A parameter of the address."""
        return self.get_query_argument(name, default) or default

    def sorting(self, columns: Container[str], default: str = "") -> str:
        """By which column a table is sorted (`?sort=`), as `Listing.sort` has it. Raises InvalidValue."""
        if (sort := self.asked("sort", default)) and sort.removeprefix("-") not in columns:
            raise InvalidValue("sort")
        return sort

    async def get(self, *path: str) -> None:
        """Show the page."""
        self.flash = self._flash_once()
        self.show(await self.draw(*path))

    def _flash_once(self) -> Flash | None:
        """The sentence about the form before; its cookie is dropped."""
        cookie = self.cookie(FLASH)
        if cookie is not None:
            self.drop(FLASH)
        return flash_of(self.services.sessions, self.session_cookie, cookie)

    async def post(self, *path: str) -> None:
        """Take the form of the route."""
        assert self.act is not None, "the route of a form says what it does"
        fields = self.form()
        form, said = Form(fields, self.services.calendar), {name: fields[name] for name in fields if name != XSRF}
        self.sent = Sent(self.request.path, said)
        try:
            done = await self.act(self, form, *path)
            await self.services.take_effect()
        except Unsure as question:
            self.show(render_me.question_html(_question(self, question, said)))
            return
        except (FormError, CommandError) as error:
            self.flash = Flash("bad", sentence(error))
            self.show(await self.draw(*path), 400)
            return
        if isinstance(done, Done):
            self.keep(FLASH, flash_cookie(self.services.sessions, self.session_cookie, done.sentence), FLASH_SECONDS)
            self.redirect(done.path, status=303)
        elif not self._finished:
            self.made, self.sent = done, self.sent if done is None else None
            self.show(await self.draw(*path))


def _question(page: MemberPage, question: Unsure, said: Mapping[str, str]) -> QuestionView:
    """The page that asks before the act: it holds the form once more, with the consequences. No leads back."""
    action = page.request.path
    back = _behind(action)
    return QuestionView(page.frame, question.heading, question.lines, question.verb, action, tuple(said.items()), back)


def _behind(action: str) -> str:
    """The page that a form's address belongs to."""
    return "/" + "/".join(action.split("/")[1:3])


def caller_of(person: Person) -> Caller:
    """A person as the ledger and the limits know them."""
    groups = tuple(dict.fromkeys((*person.groups, *person.claimed)))
    return Caller(person.id, person.name, None, groups=groups, admin=person.admin)
