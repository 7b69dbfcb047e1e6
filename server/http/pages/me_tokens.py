"""`/me/tokens`: one's own tokens, and passes for guests."""

from __future__ import annotations

from typing import Any

from server.admin.commands.guest_passes import PROMISED, IssuedPass, WantedPass
from server.admin.commands.tokens import WantedToken
from server.admin.consequences import of_revocation
from server.auth.accounts import MOST_LIVE
from server.auth.guest_passes import LONGEST_MS
from server.auth.token_terms import NORMAL
from server.http.pages.forms import Done, Form
from server.http.pages.me import MemberPage, caller_of
from server.http.pages.me_ledger import last_used, token_limits, token_view
from server.store.base import TokenTerms
from web import render_me
from web.view_me import NewSecret, PassView, TokensView
from web.wording import Wording

HOUR = 3600


class TokensPage(MemberPage):
    """`/me/tokens`"""

    async def draw(self, *path: str) -> bytes:
        services = self.services
        tokens = await services.store.tokens(self.me.id)
        limits, used = await token_limits(services, tokens), await last_used(services, tokens)
        living = [token for token in tokens if token.revoked_at is None]
        gone = [token for token in tokens if token.revoked_at is not None]
        view = TokensView(
            frame=self.frame,
            tokens=tuple(
                token_view(each, limits.get(each.id), used=used) for each in (*reversed(living), *reversed(gone))
            ),
            base_url=services.settings.public_url or self.origin(),
            most=MOST_LIVE,
            made=self.made,
            passes=PROMISED if self._host_group() is not None else None,
            issued=tuple(map(pass_view, await services.passes.issued(self.me.id))),
        )
        return render_me.tokens_html(view)

    async def make(self, form: Form) -> NewSecret:
        """A token of one's own, shown once."""
        token, secret = await self.services.tokens.create(self.maker, self.me.id, self.me.id, wanted(form))
        return NewSecret("token", token.name, secret)

    async def rotate(self, form: Form, token_id: str) -> NewSecret:
        """Another secret in a token's place; the old one works for so many hours more."""
        grace = form.whole("grace") * HOUR
        token, secret = await self.services.tokens.rotate(self.maker, self.me.id, token_id, self.me.id, grace)
        return NewSecret("token", token.name, secret)

    async def narrow(self, form: Form, token_id: str) -> Done:
        """Let a token do less. A field that is left empty changes nothing."""
        await self.services.tokens.narrow(self.me.id, token_id, narrowing(form), self.me.id)
        return Done("token-narrowed", "/me/tokens")

    async def revoke(self, form: Form, token_id: str) -> Done:
        consequences = await of_revocation(self.services.store, token_id, self.me.id)
        form.insist(Wording("Revoke this token?"), consequences.lines(), Wording("Revoke it"))
        await self.services.tokens.revoke(self.me.id, token_id, self.me.id)
        return Done("token-revoked", "/me/tokens")

    async def make_pass(self, form: Form) -> NewSecret:
        """A pass for a guest. For whom it is, only this page says."""
        guest = form.needed("name")
        asked = wanted_pass(form, self.services.wall(), self._host_group() or "")
        _, secret = await self.services.passes.issue(self.maker, self.me, asked)
        return NewSecret("guest pass", guest, secret)

    async def revoke_pass(self, _: Form, pass_id: str) -> Done:
        await self.services.passes.revoke(self.me.id, pass_id, self.me.id)
        return Done("pass-revoked", "/me/tokens")

    def _host_group(self) -> str | None:
        """The first of one's groups whose members may have guests."""
        known, now = self.services.book.groups, self.services.wall()
        mine = (known[name] for name in caller_of(self.me).groups if name in known)
        return next((group.name for group in mine if group.guests and group.lasts_at(now)), None)


def wanted_pass(form: Form, now: int, group: str = "") -> WantedPass:
    """The pass that a form asks for; `group` is the one of which nothing is said."""
    until, usd = form.needed_end("until"), form.needed_money("usd")
    seconds = min((until - now) // 1000, LONGEST_MS // 1000)
    return WantedPass(seconds, usd, form.text("group") or group, form.words("models"))


def pass_view(issued: IssuedPass) -> PassView:
    what = issued.what
    return PassView(what.id, what.group, what.usd, what.expires_at, what.models, issued.revoked)


def narrowing(form: Form) -> dict[str, Any]:
    """The new, narrower terms of a token; a field that is left empty stays."""
    said = {
        "kind": form.text("kind"),
        "models": form.words("models"),
        "networks": form.words("networks"),
        "addresses": form.whole("addresses"),
        "keepalive": form.text("keepalive"),
        "expires_at": form.ends("until"),
    }
    return {name: value for name, value in said.items() if value}


def wanted(form: Form, kind: str = NORMAL) -> WantedToken:
    """The token that a form asks for."""
    models, networks, alive = form.words("models"), form.words("networks"), form.text("keepalive")
    terms = TokenTerms(kind, models, networks, form.whole("addresses"), alive)
    return WantedToken(form.needed("name"), form.ends("until"), terms, form.money("usd"))
