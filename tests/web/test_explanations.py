"""Each way in which a request can end is explained."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.http.api.table import NotPossible
from server.ledger.usage import Outcome
from server.wire import errors
from server.wire.errors import Refusal
from web.explanations import AFTER_SENDING, OF_CODES, OF_OUTCOMES, OF_TOKENS, of_ended, of_refusal


def refusals(of: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in of.__subclasses__():
        yield each
        yield from refusals(each)


def test_every_outcome_is_explained() -> None:
    assert OF_OUTCOMES.keys() == {each.value for each in Outcome}


def test_every_code_of_a_relayed_request_is_explained() -> None:
    codes = {each.code for each in refusals(Refusal) if each.__module__ == errors.__name__ and hasattr(each, "code")}
    assert OF_CODES.keys() == codes
    assert NotPossible.code not in codes  # a refusal of the administration's, which relays nothing


def test_a_request_that_was_sent_is_explained_by_the_code_that_its_client_received() -> None:
    assert OF_CODES.keys() >= AFTER_SENDING
    assert of_ended("failed", "upstream_timeout") == OF_CODES["upstream_timeout"]
    for status, error in (("failed", ""), ("rejected", "queue_full"), ("cut", "rate_limit_exceeded"), ("cut", "new")):
        assert of_ended(status, error) == OF_OUTCOMES[status], "a provider's code is none of ours"


def test_what_the_header_says_is_promised_only_where_there_is_one() -> None:
    promised = {code for code, said in OF_CODES.items() if "Retry-After" in said.advice}
    have_it = {each.code for each in refusals(Refusal) if each.retry_after is not None}
    assert promised <= have_it


@pytest.mark.parametrize("reason", OF_TOKENS)
def test_a_token_that_does_not_count_says_why(reason: str) -> None:
    assert of_refusal("invalid_api_key", reason).what == OF_TOKENS[reason]


def test_a_limit_and_a_field_are_named() -> None:
    assert "12 requests per minute" in of_refusal("rate_limit_exceeded", "12 requests per minute").what
    assert of_refusal("invalid_value", "max_tokens").what.endswith("It is about: max_tokens.")


def test_a_code_of_a_later_version_is_no_error() -> None:
    assert of_refusal("something_new", "").advice
