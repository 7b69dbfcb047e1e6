"""People come over from another proxy: files in the shapes that these projects write, a dry run, and a second time."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.admin.coming_over import named, of_fhswf, of_java, of_oai_reverse_proxy
from server.ledger.limits import LimitWindow, Unit
from server.policy.commands import CommandError
from tests.cli.test_ledger import in_store, place, refused, said

__all__ = ["place"]  # the fixture of a working directory
TOKEN = "7f9c1d6e-1111-2222-3333-444455556666"
ADA = {
    "token": TOKEN, "ip": ["1.2.3.4"], "nickname": "ada", "type": "special", "promptCount": 31,
    "tokenCounts": {"turbo": 400, "gpt4": {"input": 30, "output": 12}}, "tokenLimits": {"turbo": 1000, "gpt4": 0},
    "createdAt": 1700000000000, "lastUsedAt": 1700000900000, "maxIps": 2, "adminNote": "teaches\nalgebra",
}  # fmt: skip
BOB: dict[str, Any] = {"token": "b", "nickname": "bob", "disabledAt": 1700000000000, "disabledReason": "spam"}


def users(place: Path, content: object) -> Path:
    path = place / "users.json"
    path.write_text(json.dumps(content))
    return path


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)
    return path


def test_users_of_the_oai_reverse_proxy_come_with_their_terms_and_what_is_left(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    users(place, {"users": [ADA, BOB, {**ADA, "token": "x" * 36, "type": "normal"}]})
    tried = said(capsys, "import", "oai-reverse-proxy", "users.json", "--dry-run")
    assert (re.findall(r"^(\S+) +new", tried, re.M), "fg_" in tried) == (["ada", "bob", "ada-2"], False)
    assert in_store(lambda store: store.people()) == []
    found = json.loads(said(capsys, "import", "oai-reverse-proxy", "users.json", "--json"))
    assert [(each["person"], bool(each["token"])) for each in found] == [("ada", True), ("bob", False), ("ada-2", True)]
    people = {person.name: person for person in in_store(lambda store: store.people())}
    assert (people["ada"].note, people["bob"].disabled) == ("teaches algebra", True)
    (token,) = in_store(lambda store: store.tokens(people["ada"].id))
    assert (token.terms.kind, token.terms.addresses) == ("special", 2)
    limits = [each.body for each in in_store(lambda store: store.records("limit"))]
    assert {(each["family"], each["amount"]) for each in limits} == {("gpt-3.5*", 600)}
    before = in_store(lambda store: store.audits(None, 100))
    again = said(capsys, "import", "oai-reverse-proxy", "users.json")
    assert (again.count("is there already"), in_store(lambda store: store.audits(None, 100))) == (3, before)
    assert not any(TOKEN in repr(entry) for entry in before)


def test_every_shape_of_that_file_is_read_and_a_mistake_names_the_user_and_the_field(place: Path) -> None:
    for shape in ([ADA], {"users": [ADA]}, {TOKEN: ADA}):
        (one,) = of_oai_reverse_proxy(users(place, shape)).people
        assert (one.name, one.addresses, dict(one.tokens)) == ("ada", 2, {"gpt-3.5*": 600})
    fork = {"token": "temp-1", "alias": "eve", "type": "temporary", "promptLimit": 5}
    arrivals = of_oai_reverse_proxy(users(place, [fork, {**ADA, "tokenLimits": {"hal": 9}}]))
    assert arrivals.people[0].amount == (5, Unit.REQUESTS, LimitWindow.DAY)
    assert (arrivals.people[0].kind, len(arrivals.notes), "'hal'" in arrivals.notes[1]) == ("normal", 2, True)
    for wrong, words in (
        ({"a": {"token": 1}}, "user 1: expected an object with a `token`"),
        ([ADA, {**BOB, "type": "god"}], "user 2: `type`"),
        ([{**ADA, "maxIps": -1}], "`maxIps`"),
        ([{**ADA, "tokenLimits": [1]}], "`tokenLimits`"),
        ("users", "expected users"),
    ):
        with pytest.raises(CommandError, match=re.escape(words)):
            of_oai_reverse_proxy(users(place, wrong))


def test_the_flask_projects_people_keep_the_dollars_that_are_left(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    database(
        place / "proxy.db",
        """CREATE TABLE api_key_to_quota (api_key VARCHAR NOT NULL PRIMARY KEY, rem_quota FLOAT, req_count INTEGER);
        INSERT INTO api_key_to_quota VALUES ('ada_lovelace_0b0a', 12.5, 3), ('bob_77', -0.1, 900);""",
    )
    said(capsys, "import", "flask", "proxy.db")
    limits = [each.body["amount"] for each in in_store(lambda store: store.records("limit"))]
    assert sorted(limits) == [0, 12_500_000]
    assert {each.name for each in in_store(lambda store: store.people())} == {"ada_lovelace", "bob"}
    assert "no column name" in refused(capsys, "import", "java", "proxy.db")
    (place / "text.db").write_text("no database at all, but long enough to be looked at as one" * 20)
    assert "no SQLite database" in refused(capsys, "import", "flask", "text.db")
    assert "there is no file" in refused(capsys, "import", "flask", "nowhere.db")


def test_the_java_projects_users_and_prices_come_over(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    path = database(
        place / "openai-queries.db",
        """CREATE TABLE user (name varchar(255) NOT NULL, PRIMARY KEY (name));
        CREATE TABLE cost (id integer, per1kanswer_tokens float NOT NULL, per1kquery_tokens float NOT NULL,
          valid_from timestamp NOT NULL, model_name varchar(255) NOT NULL, PRIMARY KEY (id));
        INSERT INTO user VALUES ('ada');
        INSERT INTO cost VALUES (1, 0.03, 0.01, 1699228800000, 'gpt-4-1106-preview');""",
    )
    (price,) = of_java(path).prices
    assert (price.rates.input, price.rates.output, price.valid_from) == (10_000_000, 30_000_000, 1_699_228_800_000)
    assert "ada" in said(capsys, "import", "java", path.name)
    said(capsys, "import", "java", path.name)
    assert len(in_store(lambda store: store.records("price"))) == 1
    assert in_store(lambda store: store.tokens()) == []


def test_fhswfs_people_are_found_at_their_next_login(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    user = {"name": "Ada", "email": "ada@example.org", "sub": "42", "affiliations": {"example.org": ["member"]}}
    (one,) = of_fhswf([user, {"name": "no subject"}], "https://issuer.example").people
    assert (one.name, one.login, one.email) == ("Ada", "https://issuer.example 42", "ada@example.org")
    assert "OIDC_ISSUER" in refused(capsys, "import", "fhswf", "mongodb://127.0.0.1:1/accounting")
    assert [each.name for each in named([one, one, one])] == ["Ada", "Ada-2", "Ada-3"]
