"""People in and out as a table: all or nothing, and a second time changes nothing."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.admin.people_csv import COLUMNS, MOST_ROWS, Mistake, decoded, for_person, read_table, table
from server.http.api.table import LARGEST_FILE
from server.store.base import Person
from tests.admin.estate import Answer, Estate

FILE = """\
name,email,groups,admin,disabled,note,limits
mia,mia@example.org,maths; music,,,"plays, too","5 usd/day, 100 requests/minute"
noa,,maths,yes,no,,
"""


async def bring(place: Estate, text: str, query: str = "") -> Answer:
    return await place.ask("POST", f"/api/admin/people.csv{query}", body=text, **{"Content-Type": "text/csv"})


async def person(place: Estate, name: str) -> Person:
    found = await place.services.store.person_by_name(name)
    assert found is not None
    return found


@pytest.mark.gen_test
async def test_a_table_makes_people_and_again_changes_nothing(place: Estate) -> None:
    for group in ("maths", "music"):
        await place.ask("POST", "/api/admin/groups", body={"name": group})
    trial = await bring(place, FILE, "?trial=yes")
    assert trial.json == {"done": False, "added": 2, "changed": 0, "mistakes": []}
    assert await place.services.store.person_by_name("mia") is None
    assert (await bring(place, FILE)).json == {"done": True, "added": 2, "changed": 0, "mistakes": []}
    mia, noa = await person(place, "mia"), await person(place, "noa")
    assert (mia.email, set(mia.groups), mia.note, mia.admin) == (
        "mia@example.org",
        {"maths", "music"},
        "plays, too",
        False,
    )
    assert noa.admin
    limits = {
        str(limit.unit): limit.amount for limit in await place.services.changes.limits() if limit.subject == mia.id
    }
    assert limits == {"usd": 5_000_000, "requests": 100}
    before = await place.audited()
    assert (await bring(place, FILE)).json == {"done": True, "added": 0, "changed": 0, "mistakes": []}
    assert await place.audited() == before


@pytest.mark.gen_test
async def test_what_goes_out_comes_in_again_as_it_was(place: Estate) -> None:
    out = await place.ask("GET", "/api/admin/people.csv")
    assert out.headers["content-type"] == "text/csv; charset=utf-8"
    assert "operator" not in out.text
    before = await place.audited()
    assert (await bring(place, out.text)).json == {"done": True, "added": 0, "changed": 0, "mistakes": []}
    assert await place.audited() == before


@pytest.mark.gen_test
async def test_a_later_table_says_how_it_is_now(place: Estate) -> None:
    changed = FILE.replace("5 usd/day, 100 requests/minute", "7 usd/day").replace("noa,,maths,yes", "noa,,,")
    assert (await bring(place, changed)).json == {"done": True, "added": 0, "changed": 2, "mistakes": []}
    mia, noa = await person(place, "mia"), await person(place, "noa")
    limits = [
        (str(limit.unit), limit.amount) for limit in await place.services.changes.limits() if limit.subject == mia.id
    ]
    assert limits == [("usd", 7_000_000)]
    assert (noa.groups, noa.admin) == ((), False)


@pytest.mark.gen_test
async def test_a_column_that_is_not_there_changes_nothing(place: Estate) -> None:
    before = await place.services.store.person_by_name("mia")
    assert (await bring(place, "name\nmia\n")).json["changed"] == 0
    assert await place.services.store.person_by_name("mia") == before


@pytest.mark.gen_test
async def test_a_mistake_is_told_by_its_line_and_nothing_is_done(place: Estate) -> None:
    text = (
        "name,email,groups,limits\nola,,,\npia,no address,,\nquin,,nowhere,\nrex,,,5 euro/day\nola,,,\n operator ,,,\n"
    )
    answer = await bring(place, text)
    assert answer.status == 200
    assert (answer.json["done"], answer.json["added"]) == (False, 1)
    assert [each["line"] for each in answer.json["mistakes"]] == [3, 4, 5, 6, 7]
    assert await place.services.store.person_by_name("ola") is None
    assert "no group nowhere; create it first" in answer.text
    partial = await bring(place, text, "?partial=yes")
    assert (partial.json["done"], partial.json["added"], len(partial.json["mistakes"])) == (True, 1, 5)
    assert await place.services.store.person_by_name("ola") is not None
    assert await place.services.store.person_by_name("pia") is None


@pytest.mark.gen_test
async def test_what_is_no_text_is_refused(place: Estate) -> None:
    headers = {"Content-Type": "text/csv", "Authorization": f"Bearer {place.tokens['boss']}"}
    for content, refusal in (
        (b"name\n\xff\n", (400, "invalid_json", None)),
        (b"x" * (LARGEST_FILE + 1), (413, "request_too_large", None)),
    ):
        assert (await place.send("POST", "/api/admin/people.csv", io.BytesIO(content), headers)).refusal == refusal


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("email\nx@example.org\n", 1),
        ("name,name\n", 1),
        ("name,role\n", 1),
        ('name\n"open\n', 2),
        ("name,admin\nada,perhaps\n", 2),
        ("name,admin\nada\n", 2),
        ("name,limits\nada,\nbob,5 usd\n", 3),
    ],
)
def test_a_line_that_makes_no_sense_is_named(text: str, line: int) -> None:
    _, (mistake,) = read_table(text)
    assert mistake.line == line


def test_a_table_has_a_bound() -> None:
    text = "name\n" + "".join(f"p{number}\n" for number in range(MOST_ROWS + 1))
    assert read_table(text) == ([], [Mistake(MOST_ROWS + 2, f"expected at most {MOST_ROWS:,} people in a file")])


NAMES = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20).filter(
    lambda name: name == name.strip() and name.isprintable()
)
TEXTS = st.text(st.characters(categories=("L", "N", "P", "S")), max_size=20)


@settings(max_examples=100, deadline=None)
@given(
    name=NAMES,
    email=st.none() | st.just("a@example.org"),
    groups=st.lists(st.sampled_from(["maths", "music 2"]), unique=True),
    flags=st.tuples(st.booleans(), st.booleans()),
    note=TEXTS,
)
def test_whatever_somebody_is_called_is_read_back(
    name: str, email: str | None, groups: list[str], flags: tuple[bool, bool], note: str
) -> None:
    admin, disabled = flags
    person = Person("usr_1", name, disabled, 0, groups=tuple(groups), admin=admin, email=email, note=note)
    limit = for_person(read_table('name,limits\nx,"5 usd/day gpt-*"\n')[0][0].limits[0], "usr_1")  # type: ignore[index]  # it is there
    (row,), mistakes = read_table(table([person], [limit]).decode())
    assert mistakes == []
    assert row.name == name
    assert row.wishes == {
        "email": email,
        "groups": tuple(groups),
        "admin": admin,
        "disabled": disabled,
        "note": note,
    }
    assert row.limits is not None
    assert [for_person(each, "usr_1") for each in row.limits] == [limit]


def test_no_cell_is_a_formula() -> None:
    person = Person("usr_1", '=HYPERLINK("//evil")', False, 0, note="+1")
    head, line = table([person], []).decode().splitlines()
    assert head == ",".join(COLUMNS)
    assert line == '"\'=HYPERLINK(""//evil"")",,,,,\'+1,'


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_is_read_whatever_stands_between_its_columns_in_whatever_order(mark: str) -> None:
    lines = [["E-Mail", "groups", " Name "], ["a@example.org", "maths|music", "Ada"], ["", "", "Bob"]]
    text = "\ufeff" + "\r\n".join(mark.join(cells) for cells in lines)
    rows, mistakes = read_table(text)
    assert mistakes == []
    assert [(row.name, dict(row.wishes)) for row in rows] == [
        ("Ada", {"email": "a@example.org", "groups": ("maths", "music")}),
        ("Bob", {"email": None, "groups": ()}),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_is_read_as_spreadsheets_write_it(encoding: str) -> None:
    assert decoded("name\r\nMüller\r\n".encode(encoding)) == "name\r\nMüller\r\n"
