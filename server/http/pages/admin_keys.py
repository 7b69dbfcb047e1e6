"""`/admin/keys`: the upstream keys, which go in here and never come out."""

from __future__ import annotations

from typing import Any

from server.admin.consequences import of_key_removal
from server.config.specs import UpstreamSpec
from server.config.upstream_kinds import KINDS
from server.http.key_standings import standings, tested
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form, FormError, sentence
from server.keys.standing import KeyStanding
from server.keys.wishes import ListedKey
from server.ledger.money import usd
from server.policy.aliases import Alias
from web import render_admin
from web.view_admin import KeyRow, KeysView
from web.wording import Wording

KEYS = "/admin/keys"


class KeysPage(AdminPage):
    """`/admin/keys`"""

    async def draw(self, *path: str) -> bytes:
        office = self.services.keys
        listed = await office.keys()
        found = await standings(self.services, listed)
        view = KeysView(
            frame=self.frame,
            keys=tuple(self._row(key, found[key.id]) for key in listed),
            upstreams=tuple(dict.fromkeys(key.spec.name for key in listed)),
            may_add=office.may_add(),
            kinds=tuple(KINDS),
            aliases=tuple((each.name, each.model, each.listed) for each in await self.services.changes.aliases()),
        )
        return render_admin.keys_html(view)

    async def add(self, form: Form) -> Done:
        """One more key of an upstream that is there, or the first one of a new upstream, which has a dialect."""
        upstream = form.text("upstream")
        whose = {"upstream": upstream} if upstream else {"dialect": form.text("dialect"), "name": form.text("name")}
        texts = {name: form.text(name) for name in ("organisation", "owner", "monthly_cap_usd", "kind", "api_version")}
        numbers = {name: form.whole(name) for name in ("slots", "rpm", "tpm", "itpm", "otpm", "rpd")}
        lists = {"models": list(form.words("models")), "groups": list(form.names("groups"))}
        lists |= {
            "names": list(form.words("names")),
            "headers": [text.strip() for text in form.text("headers").split(" | ") if text.strip()],
        }
        terms = {**whose, "base_url": form.text("base_url"), **texts, **numbers, **lists}
        wanted: dict[str, Any] = {name: value for name, value in terms.items() if value}
        wanted |= {"untested": True} if form.text("untested") else {}
        added = await self.services.keys.add(self.me.id, form.needed("secret"), wanted)
        return Done("key-added", f"{KEYS}#key-{added.id}")

    async def change(self, form: Form, key_id: str) -> Done:
        """Other terms for an added key; an empty field is none."""
        terms: dict[str, Any] = {name: form.text(name) for name in ("organisation", "owner", "monthly_cap_usd")}
        terms |= {name: form.whole(name) or None for name in ("slots", "rpm", "tpm", "itpm", "otpm", "rpd")}
        terms |= {"groups": list(form.names("groups"))}
        if models := list(form.words("models")):
            terms["models"] = models
        await self.services.keys.change(self.me.id, key_id, terms)
        return Done("key-changed", f"{KEYS}#key-{key_id}")

    async def pause(self, _: Form, key_id: str) -> Done:
        await self.services.keys.pause(self.me.id, key_id)
        return Done("key-paused", KEYS)

    async def resume(self, _: Form, key_id: str) -> Done:
        await self.services.keys.resume(self.me.id, key_id)
        return Done("key-resumed", KEYS)

    async def recheck(self, _: Form, key_id: str) -> Done:
        """Test a key; the page shows the result."""
        done = await tested(self.services, self.me.id, key_id)
        return Done("key-tested" if done else "key-rechecked", f"{KEYS}#key-{key_id}")

    async def remove(self, form: Form, key_id: str) -> Done:
        services = self.services
        consequences = of_key_removal(await services.keys.keys(), key_id, await services.everywhere.live())
        form.insist(Wording("Remove this key?"), consequences.lines(), Wording("Remove the key"))
        await self.services.keys.remove(self.me.id, key_id)
        return Done("key-removed", KEYS)

    async def set_alias(self, form: Form) -> Done:
        """A name for a model."""
        name, model = form.needed("name"), form.needed("model")
        try:
            alias = Alias(name, model, listed=form.text("listed") != "no")
        except ValueError as error:
            raise FormError(sentence(error)) from None
        await self.services.changes.set_alias(self.me.id, alias)
        return Done("alias-set", KEYS)

    async def remove_alias(self, _: Form, name: str) -> Done:
        await self.services.changes.remove_alias(self.me.id, name)
        return Done("alias-removed", KEYS)

    def _row(self, key: ListedKey, standing: KeyStanding) -> KeyRow:
        known = self.services.dispatcher.keyring.keys.get(key.id)
        return KeyRow(
            id=key.id,
            hint=key.hint.removeprefix("…"),
            upstream=key.spec.name,
            state=standing.state,
            since_ms=standing.since_ms,
            models=tuple(sorted(known.models if known else key.spec.models)),
            running=standing.running,
            slots=key.spec.slots if standing.slots is None else standing.slots,
            added=key.added,
            paused=key.paused,
            owner=key.spec.owner or "",
            kind=key.spec.row.name,
            address=key.spec.base_url,
            why=standing.why,
            next=standing.next,
            check=standing.check,
            left=standing.left,
            terms=_terms(key.spec) if key.added else {},
        )


def _terms(spec: UpstreamSpec) -> dict[str, str]:
    """The terms of a key as its form shows them."""
    numbers = {name: getattr(spec, name) for name in ("slots", "rpm", "tpm", "itpm", "otpm", "rpd")}
    cap = spec.monthly_cap_micro_usd
    return {
        **{name: "" if value is None else str(value) for name, value in numbers.items()},
        "models": " ".join(spec.models),
        "groups": ", ".join(spec.groups),
        "organisation": spec.organisation or "",
        "owner": spec.owner or "",
        "monthly_cap_usd": "" if cap is None else usd(cap),
    }
