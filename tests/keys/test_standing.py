"""What the operator reads about a key: why it stands so, what comes next, and what is left of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from keypool import verdict
from keypool.domains import Left
from keypool.health import KeyEvent, KeyState
from keypool.keys import Key
from keypool.limits import LimitMeasure
from keypool.pool import Ask, Pool
from keypool.snapshot import DomainSnapshot, KeySnapshot, PoolSnapshot
from keypool.trouble import LEADS_TO, KeyCheck, ModelTrouble, Trouble
from keypool.verdict import DROPPED, NO_MONEY, REFUSED, UNREACHABLE, Verdict
from server.keys import standing
from server.keys.standing import KeyMoney, KeyStanding, standing_of
from server.keys.words import words_about_key, words_of
from server.workers.codec import snapshot_in
from server.workers.frames import packed

NOW, WALL = 10_000.0, 1_790_000_000_000
BAD = (KeyState.COOLING, KeyState.EXHAUSTED, KeyState.REVOKED)
KEY = KeySnapshot("k1", "openai", KeyState.READY, NOW - 60, 1, 8)


def said(seen: KeySnapshot | None, *domains: DomainSnapshot, spent: KeyMoney = standing.NO_MONEY) -> KeyStanding:
    return standing_of(seen, domains, spent, NOW, WALL)


@pytest.mark.parametrize("state", KeyState)
@pytest.mark.parametrize("event", [None, *KeyEvent])
def test_every_state_has_its_reason_and_what_comes_next(state: KeyState, event: KeyEvent | None) -> None:
    trouble = None if event is None else Trouble(event, NOW - 30, status=503, words="It is over.")
    found = said(replace(KEY, state=state, until=NOW + 90, trouble=trouble, next_check=NOW + 600))
    assert found.why[0] == standing.WHOLE[state]
    causes = event is not None and LEADS_TO.get(event) is state
    if state in BAD:
        assert ("It said: “It is over.”." in found.why) == causes
        assert (standing.ELSEWHERE in found.why) != causes
    else:
        assert len(found.why) == 1
    assert bool(found.next)
    assert (state is KeyState.PAUSED) != ("The next test is in 10 min." in found.next)
    assert all(line.endswith(".") for line in (*found.why, *found.next))


@pytest.mark.parametrize(
    ("changed", "next_"),
    [
        ({"until": NOW + 90}, "One request tries it in 1 min."),
        ({"until": NOW - 1}, "The next request tries it."),
        ({"until": NOW - 1, "trial": True}, "A request tries it now."),
    ],
)
def test_a_rest_ends_with_a_trial(changed: dict[str, float], next_: str) -> None:
    resting = replace(KEY, state=KeyState.COOLING, **changed)  # type: ignore[arg-type]
    assert said(resting).next[0] == next_


def test_a_key_whose_provider_was_not_reached_is_not_said_to_be_accepted_now() -> None:
    found = said(replace(KEY, checked=KeyCheck(NOW - 7, "unreachable", "")))
    assert found.why == (standing.ACCEPTED,)


def test_a_model_that_rests_is_named_with_its_reason() -> None:
    trouble = Trouble(KeyEvent.NO_SUCH_MODEL, NOW - 5, "gpt-9", 404, words="model_not_found")
    found = said(replace(KEY, resting=(ModelTrouble("gpt-9", KeyState.COOLING, NOW + 3600, trouble),)))
    assert found.why[1:] == (
        "gpt-9 rests: it is tried again in 1 h 0 min.",
        "5 s ago, the provider had no such model for this key (404).",
        "It was asked for gpt-9.",
        "It said: “model_not_found”.",
    )


def test_a_suspected_key_says_that_nothing_is_proven_and_what_happened_last() -> None:
    found = said(replace(KEY, suspected=True, doubt=Trouble(KeyEvent.FAILED, NOW - 5, "m", 500)))
    assert found.why[1:] == (standing.SUSPECTED, "5 s ago, the provider failed (500).", "It was asked for m.")


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (None, "Not tested yet."),
        (
            KeyCheck(NOW - 180, "ready", "let in", models=61, status=200),
            "Tested 3 min ago: the provider accepts it. It lists 61 models.",
        ),
        (
            KeyCheck(NOW, "revoked", "", words="Incorrect API key: ***", status=401),
            "Tested 0 s ago: the provider does not know this key (401). It said: “Incorrect API key: ***”.",
        ),
        (
            KeyCheck(NOW, "ready", "let in", "; azure answers there: `kind: azure` fits", models=1),
            "Tested 0 s ago: the provider accepts it. It lists 1 model."
            " Its kind or its address may be wrong: azure answers there: `kind: azure` fits.",
        ),
    ],
)
def test_the_last_test_is_a_sentence_with_its_hint(check: KeyCheck | None, sentence: str) -> None:
    assert " ".join(said(replace(KEY, checked=check)).check) == sentence


def test_money_and_limits_are_what_is_left_of_the_fullest_capacity() -> None:
    full = DomainSnapshot("a", {LimitMeasure.REQUESTS: Left(60, 60, 0)}, 0, 8)
    scarce = DomainSnapshot("b", {LimitMeasure.REQUESTS: Left(60, 6, 54)}, 0, 8)
    strange = DomainSnapshot("c", {LimitMeasure.REQUESTS: Left(60, 0, 60)}, 0, 8)
    found = said(
        replace(KEY, domains=("a", "b")),
        full,
        scarce,
        strange,
        spent=KeyMoney(1_500_000, 1, ((5, 20_000_000, 86400.0),)),
    )
    assert found.left == (
        "Today $1.50 for 1 request.",
        "$20.00 of $20.00 are left under the cap of its upstream.",
        "The cap begins anew in 1 d 0 h.",
        "6 of 60 requests a minute are left.",
        "All of it is there in 54 s.",
    )


def test_a_key_that_the_pool_does_not_have_yet_says_so() -> None:
    found = said(None)
    assert (found.state, found.why, found.slots) == ("unchecked", (standing.UNHEARD,), None)


# --- the pool remembers why


def failing(*verdicts: Verdict) -> KeySnapshot:
    """The key after requests of as many persons have failed with these verdicts."""
    pool = Pool([Key("k1", "openai", frozenset({"openai"}), frozenset({"m"}), 8)])
    for number, each in enumerate(verdicts):
        person = f"p{number}"
        ticket, _ = pool.submit(Ask(person, person, "m", "openai", 9, 9, 99.0), float(number))
        pool.failed(ticket, each, float(number))
    return pool.snapshot(len(verdicts) - 1.0).keys[0]


def test_what_two_persons_meet_is_the_reason_and_what_one_meets_is_a_doubt() -> None:
    refused = replace(REFUSED, status=401, words="no")
    alone, both = failing(refused), failing(refused, refused)
    assert (alone.state, alone.trouble) == (KeyState.UNCHECKED, None)
    assert (both.state, both.trouble) == (KeyState.REVOKED, Trouble(KeyEvent.KEY_REFUSED, 1.0, "m", 401, "", "no"))


def test_a_lack_of_money_and_a_lost_connection_are_known_at_once() -> None:
    broke = failing(replace(NO_MONEY, status=429))
    assert broke.trouble is not None
    assert broke.trouble.explains(KeyState.EXHAUSTED)
    away = failing(UNREACHABLE).resting
    assert [(each.model, each.trouble.cause if each.trouble else "") for each in away] == [("m", UNREACHABLE.cause)]
    assert failing(DROPPED).resting == ()


def test_all_causes_and_events_have_words() -> None:
    verdicts = (each for each in vars(verdict).values() if isinstance(each, Verdict))
    assert {each.cause for each in verdicts if each.cause} == set(standing.CAUSES)
    assert set(standing.HAPPENED) == set(LEADS_TO)
    assert set(standing.LEFT) == set(LimitMeasure)


def test_a_key_that_is_trusted_anew_has_no_past() -> None:
    pool = Pool([Key("k1", "openai", frozenset({"openai"}), frozenset({"m"}), 8)])
    pool.learn("k1", KeyEvent.KEY_REFUSED, 1.0)
    assert pool.snapshot(1.0).keys[0].trouble == Trouble(KeyEvent.KEY_REFUSED, 1.0, checked=True)
    pool.learn("k1", KeyEvent.RESUME, 2.0)
    assert pool.snapshot(2.0).keys[0].trouble is None


# --- the provider's words


SECRET = "sk-proj-abcdefghijkl"


def error(**fields: str) -> bytes:
    return json.dumps({"error": fields}).encode()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, error(message=f"Incorrect API key provided: {SECRET}"), "Incorrect API key provided: ***"),
        (429, error(message="No quota\n left", code="insufficient_quota"), "No quota left"),
        (500, error(message="Cannot parse: my diary", code="server_error"), "server_error"),
        (404, error(message="my diary", code="my diary", type="not_found_error"), "not_found_error"),
        (402, b"<html>", ""),
        (403, error(message="my diary", type="content_filter"), "content_filter"),
    ],
)
def test_only_what_is_about_the_key_is_repeated_and_masked(status: int, body: bytes, words: str) -> None:
    assert words_about_key(status, body) == words


@pytest.mark.parametrize("body", [b"", b"[", b"null", b'{"error": 7}', b'{"error": {"message": 7}}', b"\xff\xfe"])
def test_what_is_no_error_has_no_words(body: bytes) -> None:
    assert words_of(body) == ""


def test_a_long_message_is_cut() -> None:
    assert len(words_of(b'{"error": {"message": "' + b"word " * 999 + b'"}}')) == 240


def test_a_worker_reads_the_same_of_a_key_as_the_pool_process() -> None:
    trouble = Trouble(KeyEvent.NO_SUCH_MODEL, 1.5, "m", 404, words="no")
    resting = (ModelTrouble("m", KeyState.COOLING, 9.0, trouble), ModelTrouble("n", KeyState.EXHAUSTED, 9.0))
    key = replace(KEY, trouble=trouble, doubt=trouble, resting=resting, domains=("a",), next_check=7.0)
    key = replace(key, checked=KeyCheck(1.0, "ready", "let in", models=3, status=200))
    domain = DomainSnapshot("a", {LimitMeasure.REQUESTS: Left(60, 6, 54)}, 0, 8, 5.0)
    picture = PoolSnapshot((), (key,), (domain,))
    assert snapshot_in(json.loads(packed([picture]))[0]) == picture
