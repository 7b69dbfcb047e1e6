"""From claims to groups: what fits, what a file may say, and when a login was too long ago."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.policy.claims import (
    DAY_MS,
    MOST_GROUPS,
    ClaimRules,
    Condition,
    Rule,
    condition,
    found,
    lapsed,
    read_claims,
    withheld,
)
from server.policy.groups import NAME

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("student@fb-in.example.org", True),
        (["staff@x", "student@fb-in.example.org"], True),
        ("student@fb-in", False),
        ("Student@fb-in.example.org", False),
        ("a student@fb-in.example.org", False),
        ("student@fb-in.two\nlines", True),
        ({"student@fb-in.x": 1}, False),
        ([["student@fb-in.x"]], False),
        ("student@fb-in." + "x" * 2000, False),
        ([], False),
        (None, False),
    ],
    ids=repr,
)
def test_a_pattern_fits_a_whole_value_and_of_a_list_one(said: Any, fits: bool) -> None:
    assert bool(Condition("affiliation", ("student@fb-in.*",)).fitting({"affiliation": said})) is fits


def test_a_pattern_knows_no_other_sign_than_the_star() -> None:
    assert Condition("a", ("[x]?",)).fitting({"a": ["x", "[x]?", "[x]y"]}) == ["[x]?"]


def test_numbers_and_truth_are_texts() -> None:
    claims = {"level": 3, "verified": True}
    assert Condition("level", ("3",)).fitting(claims) == ["3"]
    assert Condition("verified", ("true",)).fitting(claims) == ["true"]


@pytest.mark.parametrize(
    ("claims", "path", "is_withheld"),
    [
        ({"_claim_names": {"groups": "src1"}}, "groups", True),
        ({"_claim_names": {"realm_access": "src1"}}, "realm_access.roles", True),
        ({"_claim_names": {"https://x.org/roles": "src1"}}, "https://x.org/roles", True),
        ({"hasgroups": True}, "groups", True),
        ({"hasgroups": "true"}, "groups", True),
        ({"hasgroups": False}, "groups", False),
        ({"hasgroups": True}, "roles", False),
        ({"_claim_names": {"groups": "src1"}}, "roles", False),
        ({"_claim_names": {"groups": "src1"}, "groups": []}, "groups", False),
        ({"_claim_names": ["groups"]}, "groups", False),
        ({"_claim_names": None}, "groups", False),
        ({}, "groups", False),
    ],
    ids=repr,
)
def test_a_claim_that_is_only_named_is_withheld(claims: dict[str, Any], path: str, is_withheld: bool) -> None:
    assert withheld(claims, path) is is_withheld


def test_a_dot_leads_into_a_claim_unless_it_is_part_of_its_name() -> None:
    claims = {"realm_access": {"roles": ["llm"], "a.b": 1}, "https://example.org/roles": "x", "text": "y"}
    assert found(claims, "realm_access.roles") == ["llm"]
    assert found(claims, "realm_access.a.b") == 1
    assert found(claims, "https://example.org/roles") == "x"
    for absent in ("roles", "realm_access.x", "text.roles", "realm_access.roles.0", ""):
        assert found(claims, absent) is None


RULES = ClaimRules(
    (
        Rule((Condition("affiliation", ("student@*", "member@*")),), ("students",)),
        Rule((Condition("groups", ("/llm-*",)), Condition("verified", ("true",))), ("staff", "{value}")),
    )
)


def test_all_conditions_of_a_rule_must_fit_and_the_groups_of_all_rules_that_fit_add_up() -> None:
    assert RULES.groups({"affiliation": "member@x"}) == ("students",)
    assert RULES.groups({"groups": ["/llm-a", "/other", "/llm-b"], "verified": False}) == ()
    everything = {"affiliation": "student@x", "groups": ["/llm-a", "/other", "/llm-b"], "verified": True}
    assert RULES.groups(everything) == ("students", "staff", "llm-a", "llm-b")
    assert RULES.claims == {"affiliation", "groups", "verified"}


def test_a_value_that_is_no_name_of_a_group_is_none_and_nobody_is_in_a_thousand() -> None:
    rules = ClaimRules((Rule((Condition("groups", ("*",)),), ("{value}",)),))
    assert rules.groups({"groups": ["ok", "<b>", "", "a\nb", "x" * 65, "\u202e"]}) == ("ok",)
    assert len(rules.groups({"groups": [f"g{number}" for number in range(1000)]})) == MOST_GROUPS


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_no_claim_breaks_the_rules(value: Any) -> None:
    rules = ClaimRules((Rule((Condition("a", ("*",)), Condition("a.b.c", ("x*",))), ("{value}",)),))
    assert all(NAME.fullmatch(group) for group in rules.groups({"a": value}))


def read(tmp_path: Path, text: str) -> tuple[ClaimRules, list[str]]:
    file = tmp_path / "claims.yaml"
    file.write_text(text)
    return read_claims(file)


def test_a_file_is_read(tmp_path: Path) -> None:
    text = """
rules:
  - when:
      affiliation: ["student@*", "member@*"]
    groups: [students]
  - when:
      groups: "/llm-*"
      verified: true
    groups: [staff, "{value}"]
"""
    assert read(tmp_path, text) == (RULES, [])


def test_the_file_of_the_documentation_does_what_is_said_there(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "login.md").read_text()
    rules, mistakes = read(tmp_path, page.split("```yaml\n")[1].split("```")[0])
    assert mistakes == []
    assert rules.groups({"affiliation": "student@fb-in.example.org"}) == ("students",)
    roles = {"realm_access": {"roles": ["/llm-a"]}, "email_verified": True}
    assert rules.groups(roles) == ()
    assert rules.groups({**roles, "realm_access": {"roles": ["llm-a"]}}) == ("staff", "llm-a")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("rules: {}", "CLAIMS_FILE: expected one field `rules` with a list"),
        ("[]", "CLAIMS_FILE: expected one field `rules` with a list"),
        ("rules: []\nmore: []", "CLAIMS_FILE: expected one field `rules` with a list"),
        ("rules:\n  - a\n  :", "CLAIMS_FILE line 3: expected YAML, and no field twice"),
        ("rules: []\nrules: []", "CLAIMS_FILE line 1: expected YAML, and no field twice"),
        ("rules: [a]", "rules[0]: expected the fields when and groups, and no other"),
        ("rules: [{when: {a: b}}]", "rules[0]: expected the fields when and groups, and no other"),
        ("rules: [{when: {}, groups: [g]}]", "rules[0].when: expected claims with their patterns"),
        ("rules: [{when: [a], groups: [g]}]", "rules[0].when: expected claims with their patterns"),
        (
            "rules: [{when: {a: b, c: []}, groups: [g]}]",
            "rules[0].when[1]: expected a claim with a pattern, or with a list of them",
        ),
        (
            "rules: [{when: {a: {b: c}}, groups: [g]}]",
            "rules[0].when[0]: expected a claim with a pattern, or with a list of them",
        ),
        (
            "rules: [{when: {a: b}, groups: ['<x>']}]",
            "rules[0].groups: expected names of 1 to 64 letters, digits, blanks and .@+/-_, or {value}",
        ),
        (
            "rules: [{when: {a: b}, groups: []}]",
            "rules[0].groups: expected names of 1 to 64 letters, digits, blanks and .@+/-_, or {value}",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, mistake: str) -> None:
    rules, mistakes = read(tmp_path, text)
    assert mistakes == [mistake]
    assert rules == ClaimRules()


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    assert read_claims(tmp_path / "none")[1] == ["CLAIMS_FILE: expected a readable text file in UTF-8"]


def test_a_condition_is_a_claim_and_a_pattern() -> None:
    assert condition("") is None
    assert condition("groups = llm-*") == Condition("groups", ("llm-*",))
    for wrong in ("groups", "groups=", "=x"):
        with pytest.raises(ValueError, match="expected a claim"):
            condition(wrong)


@pytest.mark.parametrize(
    ("last", "login", "days", "out"),
    [
        (0, "iss sub", 30, False),
        (-1, "iss sub", 30, True),
        (None, "iss sub", 30, True),
        (None, None, 30, False),
        (-DAY_MS * 1000, "iss sub", 0, False),
    ],
)
def test_who_has_not_logged_in_for_too_long_rests_if_they_come_from_the_provider(
    last: int | None, login: str | None, days: int, out: bool
) -> None:
    assert lapsed(last, login, 30 * DAY_MS, days) is out
