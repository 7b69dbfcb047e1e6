"""`/admin/tokens`: the tokens of all people, to be found and revoked."""

from __future__ import annotations

from dataclasses import replace

from server.admin.consequences import of_revocation
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form
from server.http.pages.me_ledger import last_used, token_limits, token_view
from server.http.pages.me_tokens import HOUR, narrowing, pass_view
from server.store.base import Token
from web import render_admin
from web.view_admin import AdminTokensView
from web.view_me import NewSecret, TokenView
from web.wording import Wording

TOKENS = "/admin/tokens"
PAGE = 50


class AdminTokensPage(AdminPage):
    """`/admin/tokens?q=&after=`, the newest first; the cursor is the id of the last one seen."""

    async def draw(self, *path: str) -> bytes:
        query, after, names = self.asked("q"), self.asked("after"), await self.names()
        wanted = query.casefold()
        found = [
            token
            for token in reversed(await self.services.store.tokens())
            if wanted in f"{names.get(token.person_id, '')}\n{token.name}\n{token.hint}".casefold()
        ]
        begin = next((place + 1 for place, token in enumerate(found) if token.id == after), 0)
        page = found[begin : begin + PAGE]
        limits, used = await token_limits(self.services, page), await last_used(self.services, page)

        def seen(token: Token) -> TokenView:
            return token_view(token, limits.get(token.id), names.get(token.person_id, token.person_id), used)

        more = page[-1].id if len(found) > begin + PAGE else None
        passes = tuple(
            replace(pass_view(each), owner=names.get(each.what.issuer, each.what.issuer))
            for each in reversed(await self.services.passes.issued())
            if wanted in f"{names.get(each.what.issuer, '')}\n{each.what.id}".casefold()
        )
        view = AdminTokensView(self.frame, tuple(map(seen, page)), query, more, self.made, passes)
        return render_admin.admin_tokens_html(view)

    async def rotate(self, form: Form, token_id: str) -> NewSecret:
        """Another secret in a token's place; the old one works for so many hours more."""
        grace = form.whole("grace") * HOUR
        token, secret = await self.services.tokens.rotate(self.maker, self.me.id, token_id, grace_seconds=grace)
        return NewSecret("token", token.name, secret)

    async def narrow(self, form: Form, token_id: str) -> Done:
        await self.services.tokens.narrow(self.me.id, token_id, narrowing(form))
        return Done("token-narrowed", TOKENS)

    async def revoke_pass(self, _: Form, pass_id: str) -> Done:
        await self.services.passes.revoke(self.me.id, pass_id)
        return Done("pass-revoked", TOKENS)

    async def revoke(self, form: Form, token_id: str) -> Done:
        consequences = await of_revocation(self.services.store, token_id)
        form.insist(Wording("Revoke this token?"), consequences.lines(), Wording("Revoke it"))
        await self.services.tokens.revoke(self.me.id, token_id)
        return Done("token-revoked", TOKENS)
