"""The operator's verbs about people on the command line: more for one of them, and invitations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_ledger import place, refused, said

__all__ = ["place"]  # a fixture


def test_one_person_gets_more_for_a_while_and_the_others_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "user", "create", "ada")
    said(capsys, "limit", "set", "--everyone", "20 usd/month")
    raised = said(capsys, "user", "raise", "ada", "10", "usd/month", "--until", "2099-12-31")
    assert raised.startswith("ada may use 30.00 USD a month until ")
    assert said(capsys, "limit", "list").count("20.00 USD a month") == 2, "for each person, and theirs with an increase"
    audited = said(capsys, "audit", "--kind", "limit", "--what", "ada")
    assert audited.count("limit.set") == 1
    assert said(capsys, "audit", "--who", "ada") == ""
    assert "no such limit holds" in refused(capsys, "user", "raise", "ada", "10", "usd/day", "--until", "2099-12-31")
    assert "expected" in refused(capsys, "user", "raise", "ada", "ten", "usd/month", "--until", "2099-12-31")


def test_links_are_printed_once_and_end(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "people.csv").write_bytes("Name;E-Mail\r\nMüller;m@example.org\r\n".encode("cp1252"))
    imported = said(capsys, "user", "import", "people.csv", "--invite")
    assert "added 1, changed 0" in imported
    assert "Müller,m@example.org,http" in imported
    assert "/invitation?code=fg_" in said(capsys, "user", "invite", "Müller")
    said(capsys, "user", "withdraw", "Müller")
    assert "has no invitation" in refused(capsys, "user", "withdraw", "Müller")
    assert "code=" not in said(capsys, "user", "import", "people.csv", "--invite"), "only who is added is invited"
    (place / "people.csv").write_text("name;groups\nBo;physics\n")
    assert "line 2: groups: there is no group physics; create it first" in refused(
        capsys, "user", "import", "people.csv"
    )
