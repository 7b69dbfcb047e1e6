"""Who has the disk after an erasure finds nobody there: the bytes of all files are searched."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.admin.changes import OPERATOR
from server.admin.commands.tokens import WantedToken
from server.admin.makers import THE_OPERATOR
from server.store.base import Content
from server.store.sqlite.store import database_path
from tests.admin.estate import Estate, estate

WORDS = (
    "Quillfeather",
    "quill@feather.example",
    "Inkpot",
    "owes me a pencil",
    "their old laptop",
    "Goosewing",
    "my secret",
)


def found(folder: Path) -> dict[str, list[str]]:
    """Which words stand in which files."""
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {word: [path.name for path, content in files.items() if word.encode() in content] for word in WORDS}


async def lived(place: Estate) -> str:
    """Somebody under two names, with an address, a nickname, a note, a token and a kept prompt; returns their id."""
    services = place.services
    person = await services.people.create(OPERATOR, "Quillfeather", "quill@feather.example", note="owes me a pencil")
    await services.people.set_nickname(person, "Inkpot")
    await services.tokens.create(THE_OPERATOR, OPERATOR, person.id, WantedToken("their old laptop"))
    await services.people.change(OPERATOR, person.id, {"name": "Goosewing"})
    now = services.wall()
    content = Content("req_x", person.id, "staff", now, now + 10**9, b"my secret " * 1_000, b"")
    await services.store.keep_content(content)
    return person.id


@pytest.mark.gen_test
async def test_nothing_that_somebody_was_called_is_left_on_the_disk() -> None:
    async with estate() as place:
        folder = database_path(place.services.settings.store_url).parent
        person_id = await lived(place)
        assert all(found(folder).values()), "it is searched where it stands"
        assert (await place.ask("POST", f"/api/admin/people/{person_id}/erase")).status == 204
        assert found(folder) == {word: [] for word in WORDS}
        entries = [entry for entry in await place.services.changes.audits(None, 100) if entry.target == person_id]
        assert [entry.action for entry in entries] == [
            "person.erase", "person.name", "person.change", "person.create",
        ]  # fmt: skip
        assert entries[-1].after == {"name": "***", "email": "***", "note": "***", "groups": []}
