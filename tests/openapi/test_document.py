"""What `/openapi.json` promises is what is there, and what is there stands in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from server.config.openapi import Description, document
from server.config.shapes import Flag, Instant, Many, Maybe, Number, Text, Thing, Whole, Word, read_text
from server.http.access import Role
from server.http.api.docs import ALL, described
from server.http.routes import OPERATIONS, routes
from server.wire.errors import InvalidValue, MissingParameter, Refusal
from tests.admin.estate import Estate, estate
from tests.openapi.conversation import COVERED, opened, talk


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return described("fairgate")


@pytest.mark.gen_test
async def test_everybody_reads_the_document_and_its_page() -> None:
    async with estate() as place:
        answer = await place.ask("GET", "/openapi.json", None)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json["openapi"] == "3.1.0"
        page = await place.ask("GET", "/api/docs", None)
        assert page.status == 200
        for description in ALL:
            assert f"{description.method} {description.path}" in page.text
            assert escape(description.summary) in page.text
        assert_is_complete(place)


def assert_is_complete(place: Estate) -> None:
    """Every route under /api is in the document, with the role that the table enforces."""
    enforced = {
        (method, str(route.pattern).replace("\\", "")): role
        for route in routes(place.services)
        for method, role in route.roles.items()
        if str(route.pattern).startswith("/api/") and route.pattern != "/api/docs"
    }
    promised = {(each.method, each.path) for each in ALL if each.path.startswith("/api/")}
    bare = {(method, re.sub(r"\([^)]*\)", "{}", pattern)): role for (method, pattern), role in enforced.items()}
    assert {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in promised} == set(bare)
    for each in ALL:
        if each.path.startswith("/api/"):
            assert bare[each.method, re.sub(r"\{\w+\}", "{}", each.path)] is Role(each.role), each.path


def test_every_operation_tells_how_it_may_be_refused(told: dict[str, Any]) -> None:
    for operation in OPERATIONS:
        responses = told["paths"][operation.description.path][operation.description.method.lower()]["responses"]
        assert {"400", "401", "403", "405", "429", "503"} <= set(responses)
        assert ("404" in responses) >= ("{" in operation.description.path)
        assert ({"413", "415"} <= set(responses)) == operation.description.has_body


def test_operations_have_names_of_their_own(told: dict[str, Any]) -> None:
    names = [operation["operationId"] for path in told["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names) == len(ALL)


def test_every_schema_that_is_named_is_there(told: dict[str, Any]) -> None:
    named = set(re.findall(r"#/components/schemas/(\w+)", str(told)))
    assert named == set(told["components"]["schemas"])


def test_no_answer_but_of_what_is_made_has_room_for_a_secret(told: dict[str, Any]) -> None:
    rooms = {name for name, schema in told["components"]["schemas"].items() if "secret" in schema.get("properties", {})}
    assert rooms == {"NewToken", "NewPass", "NewKey"}
    assert "secret" not in told["components"]["schemas"]["Key"]["properties"]


THING = Thing(
    {"name": Text(5), "many": Many(Whole(1, 9), 2)},
    {
        "at": Maybe(Instant()),
        "on": Flag(),
        "word": Word(("a", "b")),
        "share": Number(0, 1),
        "more": Thing({"x": Flag()}),
    },
)
GOOD: dict[str, Any] = {"name": "ada", "many": [1, 9.0], "at": "1970-01-01T00:00:01Z", "share": 1, "more": {"x": True}}


def test_a_thing_is_read_as_the_house_means_it() -> None:
    assert THING.read(GOOD) == {"name": "ada", "many": (1, 9), "at": 1000, "share": 1.0, "more": {"x": True}}
    assert THING.read({"name": "a", "many": [], "at": None}) == {"name": "a", "many": (), "at": None}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "adalove"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": 5}, "name"),
        ({"many": [0]}, "many"),
        ({"many": [True]}, "many"),
        ({"many": [1.5]}, "many"),
        ({"many": [1, 2, 3]}, "many"),
        ({"many": "12"}, "many"),
        ({"at": "2026-11-21T06:05:00"}, "at"),
        ({"at": 5}, "at"),
        ({"on": 1}, "on"),
        ({"word": "c"}, "word"),
        ({"share": 1.1}, "share"),
        ({"share": True}, "share"),
        ({"more": {"x": 1}}, "x"),
        ({"more": {"x": True, "y": 1}}, "y"),
        ({"role": "admin"}, "role"),
        ({"<script>": 1}, "body"),
    ],
)
def test_what_does_not_fit_is_named_and_not_repeated(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        THING.read({**GOOD, **change})
    assert caught.value.param == named


def test_what_is_missing_is_named() -> None:
    with pytest.raises(MissingParameter) as caught:
        THING.read({"name": "ada"})
    assert caught.value.param == "many"


def test_numbers_of_a_query_are_read_from_their_digits() -> None:
    assert read_text(Whole(1, 9), "limit", "5") == 5
    for text in ("0", "-1", "1e1", "٥", ""):
        with pytest.raises(Refusal):
            read_text(Whole(1, 9), "limit", text)


def test_a_description_becomes_an_operation() -> None:
    described = Description(
        method="PUT", path="/x/{id}", summary="Do it", role="admin", body=Thing({"a": Flag()}, name="A"), status=201
    )
    told = document("t", [described])
    operation = told["paths"]["/x/{id}"]["put"]
    assert operation["security"] == [{"token": []}]
    assert operation["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/A"}
    assert set(operation["responses"]) == {"201", *map(str, (400, 401, 403, 404, 405, 409, 413, 415, 429, 503))}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_schemathesis_finds_nothing_that_the_document_does_not_tell(tmp_path: Path) -> None:
    with opened() as (_, place):
        heard = talk(place, tmp_path, 3, covered=COVERED)
    assert heard.code == 0, heard.said
    assert asked(heard.said) > 300


@pytest.mark.gen_test
async def test_without_a_credential_every_operation_but_the_public_ones_refuses() -> None:
    async with estate() as place:
        before = len(place.services.book.groups)
        for number, operation in enumerate(ALL):
            path = re.sub(r"\{\w+\}", "x", operation.path)
            origin = {"X-Forwarded-For": f"10.0.0.{number}"}  # one address would soon be refused as too fast
            answer = await place.ask(operation.method, path, None, {} if operation.body else None, **origin)
            assert answer.status == (200 if operation.role == "public" else 401), (operation.method, path)
        assert len(place.services.book.groups) == before


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_schemathesis_gets_nowhere_without_a_credential(tmp_path: Path) -> None:
    checks = "not_a_server_error,status_code_conformance,response_schema_conformance"
    with opened() as (_, place):
        before = len(place.services.book.groups)
        heard = talk(place, tmp_path, 1, "nonsense", checks)
        assert len(place.services.book.groups) == before
    assert heard.code == 0, heard.said


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_schemathesis_finds_nothing_in_ten_thousand_examples(tmp_path: Path) -> None:
    with opened() as (_, place):
        heard = talk(place, tmp_path, 170)
    assert heard.code == 0, heard.said
    assert asked(heard.said) >= 10_000


def asked(said: str) -> int:
    """How many things it asked."""
    found = re.search(r"(\d+) generated", said)
    assert found, said
    return int(found[1])
