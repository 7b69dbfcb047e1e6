"""The older projects' documents, made of our figures."""

from __future__ import annotations

import pytest

from keypool.domains import Bucket
from server.http.compat.fhswf import dashboard
from server.http.compat.flask import basic_password
from server.http.compat.java import left_json, model_json, moment, price_in, usage_json
from server.ledger.prices import cost
from server.ledger.reports import Sum
from server.wire.errors import InvalidValue, MissingParameter
from server.wire.usage import Usage

PRICE = {"validFrom": "2023-11-06T00:00:00Z", "per1KQueryTokens": 0.01, "per1KAnswerTokens": 0.03}


def test_the_readmes_price_comes_back_as_it_was_written() -> None:
    price = price_in(PRICE, "gpt-4-1106-preview")
    assert model_json("gpt-4-1106-preview", [price]) == {"name": "gpt-4-1106-preview", "costs": [PRICE]}


def test_the_readmes_queries_cost_what_they_cost_there() -> None:
    price = price_in(PRICE, "gpt-4-1106-preview")
    assert cost(price, Usage(input=3243, output=1399)) == 74_400
    assert cost(price, Usage(input=1218, output=477)) == 26_490


@pytest.mark.parametrize("name", sorted(PRICE))
def test_a_price_needs_all_its_parts(name: str) -> None:
    with pytest.raises(MissingParameter, match="MissingParameter") as caught:
        price_in({key: value for key, value in PRICE.items() if key != name}, "m")
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("validFrom", "2023-11-06T00:00:00"),
        ("validFrom", "yesterday"),
        ("validFrom", 7),
        ("per1KQueryTokens", -1),
        ("per1KQueryTokens", True),
        ("per1KQueryTokens", "0.01"),
        ("per1KAnswerTokens", 1e-12),
        ("per1KAnswerTokens", 1e30),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidValue) as caught:
        price_in({**PRICE, name: value}, "m")
    assert caught.value.param == name


def test_the_average_of_no_queries_is_nothing() -> None:
    assert usage_json([]) == {
        "numQueries": 0,
        "queryTokens": 0,
        "answerTokens": 0,
        "cost": 0,
        "averageCostPerQuery": 0,
    }


def test_sums_are_in_dollars() -> None:
    assert usage_json([Sum(requests=2, input=4461, output=1876, cost_micro_usd=100_890)]) == {
        "numQueries": 2,
        "queryTokens": 4461,
        "answerTokens": 1876,
        "cost": 0.10089,
        "averageCostPerQuery": 0.050445,
    }


def test_instants_are_written_as_java_writes_them() -> None:
    assert moment(1_699_228_800_000) == "2023-11-06T00:00:00Z"
    assert moment(1_706_188_685_205) == "2024-01-25T13:18:05.205Z"


def test_limits_are_added_up_and_refill_while_nobody_asks() -> None:
    limits = [Bucket(600, 10, level, at=0.0).left(10.0) for level in (300, 600)]
    assert left_json(limits, 0) == {"maximum": 1200, "remaining": 1000, "reset": "1970-01-01T00:00:20Z"}
    assert left_json([], 0) is None


def test_the_dashboard_counts_each_request_once() -> None:
    sums = [
        Sum(key=("2026-11-20", "student@cs.example.org"), requests=2),
        Sum(key=("2026-11-21", "member@cs.example.org"), requests=3),
        Sum(key=("2026-12-01", "physics"), requests=5),
        Sum(key=("2027-01-01", "student@cs.example.org"), requests=1),
        Sum(key=("2026-11-21", None), requests=7),
    ]
    (facets,) = dashboard(sums)
    assert facets["byScope"] == [
        {
            "_id": 2026,
            "months": [
                {"month": 11, "scopes": [{"scope": "cs.example.org", "count": 5}]},
                {"month": 12, "scopes": [{"scope": "physics", "count": 5}]},
            ],
        },
        {"_id": 2027, "months": [{"month": 1, "scopes": [{"scope": "cs.example.org", "count": 1}]}]},
    ]
    assert facets["byRole"][0]["months"] == [
        {"month": 11, "roles": [{"role": "member", "count": 3}, {"role": "student", "count": 2}]},
        {"month": 12, "roles": [{"role": "member", "count": 5}]},
    ]


def test_an_empty_dashboard_is_a_dashboard() -> None:
    assert dashboard([]) == [{"byScope": [], "byRole": []}]


@pytest.mark.parametrize(
    ("header", "password"),
    [
        ("Basic YWRtaW46c2VjcmV0", "secret"),
        ("basic YWRtaW46YTpi", "a:b"),
        ("Basic ???", ""),
        ("Basic /w==", ""),
        ("Bearer x", None),
        ("", None),
    ],
)
def test_a_password_is_read_from_http_basic(header: str, password: str | None) -> None:
    assert basic_password(header) == password
