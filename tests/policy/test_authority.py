"""What a credential may do, as a table, and that nothing which it makes is more than it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.policy.authority import (
    LIMITED,
    MOST,
    NOT_LASTING,
    OPERATOR,
    TOO_LONG,
    TOO_WEAK,
    Authority,
    Means,
    Power,
    authority_of,
)

CALL, READ, CHANGE, ADMINISTER = Power.CALL, Power.READ_OWN, Power.CHANGE_OWN, Power.ADMINISTER

# By means: of a person, of an administrator; and of an administrator's credential with terms, and with a limit.
POWERS = {
    Means.GUEST: (CALL, CALL, CALL, CALL),
    Means.HEADER: (READ, READ, READ, READ),
    Means.SHARED: (READ, READ, READ, READ),
    Means.BEARER: (CHANGE, ADMINISTER, READ, CHANGE),
    Means.TOKEN: (CHANGE, ADMINISTER, READ, CHANGE),
    Means.SESSION: (CHANGE, ADMINISTER, READ, CHANGE),
    Means.OPERATOR: (CHANGE, ADMINISTER, READ, CHANGE),
}

authorities = st.builds(
    authority_of,
    st.sampled_from(Means),
    admin=st.booleans(),
    narrowed=st.booleans(),
    limited=st.booleans(),
    ends_at=st.none() | st.integers(0, 10),
)


def test_the_table_is_total() -> None:
    assert set(POWERS) == set(MOST) == set(Means)


@pytest.mark.parametrize("means", Means)
def test_a_credential_may_what_its_means_and_its_terms_allow(means: Means) -> None:
    person, boss, narrowed, limited = (
        authority_of(means, admin=False),
        authority_of(means, admin=True),
        authority_of(means, admin=True, narrowed=True),
        authority_of(means, admin=True, limited=True),
    )
    assert tuple(each.power for each in (person, boss, narrowed, limited)) == POWERS[means]


@pytest.mark.parametrize(
    ("authority", "ends_at", "why_not"),
    [
        (authority_of(Means.TOKEN, admin=False), None, None),
        (authority_of(Means.TOKEN, admin=False, ends_at=5), 5, None),
        (authority_of(Means.TOKEN, admin=False, ends_at=5), 6, TOO_LONG),
        (authority_of(Means.TOKEN, admin=False, ends_at=5), None, TOO_LONG),
        (authority_of(Means.TOKEN, admin=False, limited=True), 1, LIMITED),
        (authority_of(Means.TOKEN, admin=True, narrowed=True), 1, TOO_WEAK),
        (authority_of(Means.HEADER, admin=True), 1, TOO_WEAK),
        (authority_of(Means.GUEST, admin=True), 1, TOO_WEAK),
        (authority_of(Means.SHARED, admin=False), 1, TOO_WEAK),
        (OPERATOR, None, None),
    ],
)
def test_what_is_made_ends_no_later_and_is_no_freer(
    authority: Authority, ends_at: int | None, why_not: str | None
) -> None:
    assert authority.against_making(ends_at) == why_not


def test_a_limited_credential_renews_itself_and_no_other_one() -> None:
    limited = authority_of(Means.TOKEN, admin=False, limited=True, ends_at=5)
    assert limited.against_renewing(5, itself=True) is None
    assert limited.against_renewing(6, itself=True) == TOO_LONG
    assert limited.against_renewing(5, itself=False) == LIMITED
    assert authority_of(Means.HEADER, admin=False).against_renewing(5, itself=True) == TOO_WEAK


def test_only_who_administers_for_good_makes_administrators() -> None:
    assert authority_of(Means.SESSION, admin=True).against_promoting() is None
    assert authority_of(Means.TOKEN, admin=True, ends_at=5).against_promoting() == NOT_LASTING
    assert authority_of(Means.TOKEN, admin=False).against_promoting() == TOO_WEAK


@given(authorities, st.booleans(), st.none() | st.integers(0, 10))
def test_no_chain_of_credentials_gets_further_than_its_first_one(
    first: Authority, admin: bool, ends_at: int | None
) -> None:
    """What a credential makes is of the same person, so it administers at most if the first one's person does."""
    if first.against_making(ends_at) is not None:
        return
    made = authority_of(Means.TOKEN, admin=admin and first.may(ADMINISTER), ends_at=ends_at)
    assert made.power <= first.power
    assert not first.limited
    assert first.ends_at is None or (made.ends_at is not None and made.ends_at <= first.ends_at)
