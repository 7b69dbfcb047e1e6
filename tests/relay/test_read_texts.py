"""Texts that a group keeps are read by those whom it names; each reading is noted, and the person sees it."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest

from server.admin.commands.contents import OPERATORS, READ, TEACHERS, ContentCommands
from server.config.specs import Secret
from server.policy.commands import CommandError, NotThere
from server.policy.groups import Group, group_of
from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway
from tests.pages.visitors import ADMIN_KEY, ada_at, ask, operator_at


@pytest.mark.gen_test
async def test_only_what_was_written_while_readers_were_named_is_read_and_its_writer_sees_by_whom() -> None:
    async with (
        FakeUpstream() as fake,
        gateway(fake, admin_key=Secret(ADMIN_KEY)) as running,
        ada_at(running) as ada,
        operator_at(running) as operator,
    ):
        services = running.services
        changes, store = services.changes, services.store
        person = await changes.person_named("ada")
        group = Group(name="lab", content_days=7)
        await changes.create_group("operator", group)
        await changes.put_in_group("operator", person.id, "lab")
        await services.take_effect()
        contents = ContentCommands(store, changes, services.wall)

        await ask(running, running.token)
        assert [each.readers for each in await store.contents(person.id)] == [""]
        for reader in (OPERATORS, TEACHERS):
            with pytest.raises(CommandError):
                await contents.read("operator", reader, "lab", "ada")
        for name in ("ada", "none of this name"):
            with pytest.raises(CommandError, match="no text of this person"):
                await contents.read("operator", OPERATORS, "lab", name)

        await changes.change_group("operator", replace(group, readers=(OPERATORS,)))
        await services.take_effect()
        with pytest.raises(CommandError):  # naming readers opens nothing of the past
            await contents.read("operator", OPERATORS, "lab", "ada")
        await ask(running, running.token)
        refused = await operator.send_once("/admin/groups/lab/texts", "/admin/groups/lab/texts", person="bob")
        assert refused.status == 400
        page = await operator.send_once("/admin/groups/lab/texts", "/admin/groups/lab/texts", person="ada")
        assert (page.status, page.text.count("<h2>Asked</h2>")) == (200, 1), page.text
        assert (await ada.get("/me/groups/lab/texts")).status == 404
        assert (await ada.get("/admin/groups/lab/texts")).status == 403
        privacy = (await ada.get("/me/privacy")).text
        assert ("Who has read your texts" in privacy, "administrators may read" in privacy) == (True, True)

        await changes.change_group("operator", replace(group, readers=(TEACHERS,), teachers=(person.id,)))
        await services.take_effect()
        await ask(running, running.token)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {running.token}"}) as program:
            url = f"{running.url}/api/me/groups/lab/texts"
            async with program.post(url, json={"person": "ada"}) as answer:
                (text,) = (await answer.json())["data"]
            async with program.get(f"{running.url}/api/me/readings") as answer:
                assert [each["by"] for each in (await answer.json())["data"]] == [person.id, "operator"]
            async with program.post(f"{running.url}/api/admin/groups/lab/texts", json={"person": "ada"}) as answer:
                assert answer.status == 403
        assert "messages" in text["asked"]
        noted = [each for each in await changes.audits(None, 50) if each.action == READ]
        assert [(each.actor, each.target, dict(each.after or {})["as"]) for each in noted] == [
            (person.id, person.id, TEACHERS),
            ("operator", person.id, OPERATORS),
        ]
        with pytest.raises(NotThere):
            await contents.read("operator", TEACHERS, "lab", "ada")


def test_readers_are_named_from_a_closed_list() -> None:
    assert group_of("lab", {}).readers == ()
    assert group_of("lab", {"readers": ["teachers"]}).readers == (TEACHERS,)
    for wrong in (["everyone"], "teachers", [1]):
        with pytest.raises(ValueError, match="readers"):
            group_of("lab", {"readers": wrong})
