"""`/me/privacy`: everything that is kept of a person, to read, to take away and to erase; and how they are called."""

from __future__ import annotations

from server.admin.commands.contents import ContentCommands
from server.http.browsed import SESSION
from server.http.pages.base import BrowserHandler
from server.http.pages.forms import Done, Form, FormError
from server.http.pages.me import MemberPage, caller_of
from server.http.streaming import stream
from server.ledger.reports import Days
from server.ledger.when import iso
from server.wire.errors import InvalidKey
from web import formatting as words
from web import render, render_me
from web.languages import NAMES
from web.view_me import KeptView, LoginSession, PrivacyView
from web.view_public import MessageView
from web.view_texts import ReadingView
from web.wording import Wording as W
from web.wording import Written

PRIVACY = "/me/privacy"
MOST_COUNTED = 1_000  # messages
FOR_EVER = W("Until you erase it.")
ALWAYS = (
    KeptView(
        W("Addresses"),
        W("digests only"),
        W("Of tokens that may be used from so many addresses; else none."),
        W("For ever."),
    ),
    KeptView(
        W("Changes"),
        W("in the audit log"),
        W("What you changed, and what was changed of you."),
        W("For ever."),
    ),
)


class PrivacyPage(MemberPage):
    """`/me/privacy`"""

    async def draw(self, *path: str) -> bytes:
        services, here = self.services, self.services.sessions.id_of(self.session_cookie)
        rights = services.book.rights(caller_of(self.me).groups, services.wall())
        sessions = await services.sessions.of(self.me.id)
        view = PrivacyView(
            frame=self.frame,
            kept=(*self._about(), *await self._done()),
            nickname=self.me.nickname,
            email=self.me.email or "",
            mails=self.me.mails if services.settings.smtp_url is not None else None,
            language=self.me.language or self.languages[0],
            languages=self.languages,
            confirm=self.me.name,
            sessions=tuple(
                LoginSession(each.id, each.created_at, each.expires_at, this=each.id == here) for each in sessions
            ),
            content_days=rights.content_days,
            content_group=rights.content_group,
            content_readers=rights.content_readers,
            readings=await self._readings(),
        )
        return render_me.privacy_html(view)

    async def _readings(self) -> tuple[ReadingView, ...]:
        """Who has read texts of theirs, by name."""
        services = self.services
        found = await ContentCommands(services.store, services.changes, services.wall).readings(self.me.id)
        readers = [await services.store.person(each) for each in {it.actor for it in found}]
        names = {each.id: each.name for each in readers if each is not None}
        return tuple(ReadingView(names.get(it.actor, it.actor), it.at, it.group, it.texts) for it in found)

    async def nickname(self, form: Form) -> Done:
        """Be listed under this name; without one, not at all."""
        wanted = form.text("nickname") or None
        await self.services.people.set_nickname(self.me, wanted)
        return Done("nickname-set" if wanted else "nickname-removed", PRIVACY)

    async def mails(self, form: Form) -> Done:
        """Get mails about budgets, or none, and in which language."""
        person = await self.services.people.set_mails(self.me, form.ticked("mails"), form.text("language") or None)
        return Done("mails-on" if person.mails else "mails-off", PRIVACY)

    async def end_session(self, _: Form, session_id: str) -> Done:
        """Log out in one browser."""
        if not await self.services.sessions.end(self.me.id, session_id):
            raise FormError(W("That browser is logged out already."))
        return Done("session-ended", PRIVACY)

    async def end_sessions(self, _: Form) -> Done:
        """Log out everywhere, and begin a new session here for as long as the old one had."""
        sessions, visit = self.services.sessions, await self.visit()
        assert visit is not None, "the route requires a session"
        await sessions.close_all(self.me.id)
        cookie = await sessions.open(self.me.id, visit.sealed, visit.expires_at)
        self.keep(SESSION, cookie, sessions.seconds)
        self.session_cookie = cookie
        return Done("sessions-ended", PRIVACY)

    async def erase(self, form: Form) -> None:
        if form.needed("confirm") != self.me.name:
            raise FormError(W("Please type your name just as it stands there."))
        await self.services.privacy.erase(self.me.id, self.me.id)
        self.drop(SESSION)
        farewell = W("Your name, tokens and logins are gone. Your usage stays in sums without a name.")
        self.show(render.message_html(MessageView(self.plain_frame(), "", W("You are forgotten here"), farewell)))

    def _about(self) -> list[KeptView]:
        """The facts that are kept of the person. Unknown ones are left out."""
        me = self.me
        known = (
            (W("Name"), me.name, W("So that you and the administrators know whose usage it is.")),
            (W("E-mail"), me.email, W("It comes from your organisation’s login.")),
            (W("Login"), me.login, W("By this your organisation’s login knows you.")),
            (W("Groups"), ", ".join(me.groups), W("Your rights come from them.")),
            (W("Groups by your organisation"), ", ".join(me.claimed), W("They come from your last login.")),
            (
                W("Last login"),
                iso(me.last_login_at) if me.last_login_at else None,
                W("Tokens may rest when it is long ago."),
            ),
            (W("Nickname"), me.nickname, W("You wanted to be on the leaderboard.")),
            (W("Mails"), "" if me.mails else W("none"), W("You want none about your budgets.")),
            (W("Language of mails"), NAMES.get(me.language), W("You chose it.")),
            (W("Note"), me.note, W("An administrator wrote it.")),
        )
        return [KeptView(what, value, why, FOR_EVER) for what, value, why in known if value]

    async def _done(self) -> list[KeptView]:
        """The records that are kept of the person's use."""
        services, me = self.services, self.me
        (used,) = await services.store.sums(Days(person_id=me.id), ())
        tokens, passes = await services.store.tokens(me.id), await services.passes.issued(me.id)
        contents, days = await services.store.contents(me.id), services.settings.usage_days
        names = ", ".join(token.name for token in tokens) or W("none")
        cost = Written(words.money, used.cost_micro_usd)
        requests = W("%(requests)s for %(money)s", requests=used.requests, money=cost)
        rows = W("Single requests for %(days)s days, their sums for ever.", days=days) if days else W("For ever.")
        return [
            KeptView(W("Tokens"), names, W("Their names and digests; a digest opens nothing."), FOR_EVER),
            KeptView(
                W("Guest passes"),
                Written(words.grouped, len(passes)),
                W("What guests use counts as yours."),
                W("Until they expire."),
            ),
            KeptView(W("Requests"), requests, W("When, which model, how long, how many tokens; no text."), rows),
            KeptView(
                W("Prompts and answers"),
                Written(words.grouped, len(contents)),
                W("Only where a group wishes it."),
                W("See above."),
            ),
            *await self._messages(),
            *ALWAYS,
        ]

    async def _messages(self) -> list[KeptView]:
        """The messages to the person; an entry only if there are any."""
        found = await self.services.store.deliveries_before(self.me.id, None, MOST_COUNTED)
        why, until = W("Mails to you about budgets: which, when, and whether they arrived."), W("For 90 days.")
        return [KeptView(W("Messages"), Written(words.grouped, len(found)), why, until)] if found else []


class ExportFile(BrowserHandler):
    """`/me/export`: all of it as a file, in pieces."""

    async def get(self) -> None:
        visit = await self.visit()
        if visit is None:
            raise InvalidKey
        self.set_header("Content-Type", "application/json")
        self.set_header("Content-Disposition", 'attachment; filename="fairgate-me.json"')
        await stream(self, self.services.privacy.export(visit.person))
