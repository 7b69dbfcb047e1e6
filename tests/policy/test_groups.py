"""What groups give their members."""

from __future__ import annotations

import pytest

from server.policy.groups import LEFT, Group, Rights, group_body, group_of, rights_of

STUDENTS = Group(name="students", weight=1.0, models=("gpt-5-mini", "text-*"), running=2, batch=True)
STAFF = Group(name="staff", weight=4.0, models=("gpt-5*",), content_days=7)
COURSE = Group(name="course", since=100, until=200, models=("o3",))
GROUPS = {group.name: group for group in (STUDENTS, STAFF, COURSE)}


def test_who_is_in_no_group_may_use_everything() -> None:
    assert rights_of((), GROUPS, 0) == Rights()


def test_a_label_without_a_group_gives_nothing_and_takes_nothing() -> None:
    assert rights_of(("alumni",), GROUPS, 0) == Rights(groups=("alumni",))


def test_rights_add_up_to_the_best_of_each_group() -> None:
    rights = rights_of(("students", "staff"), GROUPS, 0)
    assert (rights.weight, rights.running, rights.batch) == (4.0, 0, False)
    assert [rights.may_use(model) for model in ("gpt-5-mini", "gpt-5", "text-embedding-3-small", "o3")] == [
        True, True, True, False,
    ]  # fmt: skip
    assert (rights.content_days, rights.content_group) == (7, "staff")


@pytest.mark.parametrize(("now", "lasts"), [(99, False), (100, True), (199, True), (200, False)])
def test_a_group_gives_something_from_its_beginning_to_its_end(now: int, lasts: bool) -> None:
    rights = rights_of(("course",), GROUPS, now)
    assert (rights.groups == ("course",)) is lasts
    assert rights.may_use("o3") is lasts
    assert not rights.may_use("gpt-5"), "the end of a group is no freedom from it"


def test_who_has_left_a_group_has_what_everyone_has_and_else_nothing() -> None:
    groups = {**GROUPS, "everyone": Group(name="everyone", models=("small",))}
    assert [rights_of((LEFT,), known, 0).may_use("small") for known in (groups, GROUPS)] == [True, False]
    assert rights_of((LEFT, "staff"), GROUPS, 0).may_use("gpt-5")
    assert rights_of((LEFT,), GROUPS, 0).groups == ()
    with pytest.raises(ValueError, match="name"):
        group_of(LEFT, {})


@pytest.mark.parametrize(
    ("names", "model", "payers"),
    [
        (("students", "staff"), "gpt-5-mini", ("students", "staff")),
        (("students", "staff"), "gpt-5", ("staff",)),
        (("students", "staff"), "o3", ()),
        (("staff", "students"), "text-embedding-3-small", ("students",)),
        (("alumni", "staff"), "gpt-5", ("staff",)),
        (("alumni",), "gpt-5", ("alumni",)),
        ((), "gpt-5", (None,)),
        (("course",), "o3", ()),
        ((LEFT,), "o3", ()),
    ],
)
def test_the_group_that_pays_is_one_that_allows_the_model(
    names: tuple[str, ...], model: str, payers: tuple[str | None, ...]
) -> None:
    assert rights_of(names, GROUPS, 300).payers(model) == payers


def test_the_group_everyone_is_of_those_who_are_in_no_other_one() -> None:
    groups = {**GROUPS, "everyone": Group(name="everyone", models=("small",))}
    assert not rights_of((), groups, 0).may_use("gpt-5")
    assert not rights_of(("course",), groups, 300).may_use("o3")
    assert not rights_of(("staff",), groups, 0).may_use("small")


def test_a_record_holds_all_of_a_group() -> None:
    for group in GROUPS.values():
        assert group_of(group.name, group_body(group)) == group


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"weight": 0}, "weight"), ({"weight": True}, "weight"), ({"weight": "2"}, "weight"),
        ({"models": "gpt-5"}, "models"), ({"models": [1]}, "models"), ({"running": -1}, "running"),
        ({"batch": 1}, "batch"), ({"content_days": 9999}, "content_days"), ({"since": 2, "until": 1}, "until"),
        ({"colour": "red"}, "unknown field"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named_and_not_repeated(body: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}"):
        group_of("g", body)


@pytest.mark.parametrize("name", ["", " g", "a" * 65, "a\nb", "<b>"])
def test_a_group_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"^name"):
        group_of(name, {})
