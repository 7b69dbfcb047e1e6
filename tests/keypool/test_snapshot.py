"""What the outside sees where several models share keys: every request and every key counts once."""

from __future__ import annotations

import pytest

from keypool.health import KeyEvent
from keypool.pool import Pool
from keypool.snapshot import ModelSnapshot
from tests.keypool.making import a_key, an_ask


def a_pool() -> Pool:
    """One key for `m` and `n`, one for `n` and `o`: all three share by one counter, m and o have no key in common."""
    return Pool([a_key("k1", 2, models=("m", "n")), a_key("k2", 4, models=("n", "o"))])


def seen(pool: Pool) -> dict[str, ModelSnapshot]:
    return {model.name: model for model in pool.snapshot(1.0).models}


def ask(pool: Pool, model: str, count: int, person: str = "ann") -> None:
    for number in range(count):
        pool.submit(an_ask(f"{model}{person}{number}", person, model), 0.0)


def test_a_request_counts_for_its_own_model_only() -> None:
    pool = a_pool()
    ask(pool, "m", 5)
    ask(pool, "o", 3)
    models = seen(pool)
    assert [(models[name].waiting, models[name].running) for name in "mno"] == [(3, 2), (0, 0), (0, 3)]
    assert sum(model.waiting + model.running for model in models.values()) == len(pool.tickets)
    assert sum(model.running for model in models.values()) == sum(key.running for key in pool.snapshot(1.0).keys)


def test_a_model_shows_what_other_models_take_of_its_keys() -> None:
    pool = a_pool()
    ask(pool, "m", 5)
    models = seen(pool)
    assert [(models[name].held, models[name].slots) for name in "mno"] == [(2, 2), (2, 6), (0, 4)]
    assert [models[name].competing for name in "mno"] == [3, 3, 0]


def test_the_keys_have_each_slot_once_though_the_models_do_not() -> None:
    pool = a_pool()
    shot = pool.snapshot(1.0)
    assert sum(key.slots for key in shot.keys) == 6
    assert sum(model.slots for model in shot.models) == 12


@pytest.mark.parametrize(
    ("event", "slots"),
    [
        (KeyEvent.KEY_REFUSED, [0, 4, 4]),
        (KeyEvent.PAUSE, [0, 4, 4]),
        (KeyEvent.OUT_OF_QUOTA, [0, 4, 4]),
        (KeyEvent.FAILED, [2, 6, 4]),  # it rests for a second
        (KeyEvent.LISTED, [2, 6, 4]),
    ],
)
def test_the_slots_of_a_key_that_serves_nothing_are_none(event: KeyEvent, slots: list[int]) -> None:
    pool = a_pool()
    pool.learn("k1", event, 0.5)
    assert [seen(pool)[name].slots for name in "mno"] == slots


def test_a_key_that_is_let_in_again_brings_its_slots_back() -> None:
    pool = a_pool()
    pool.learn("k1", KeyEvent.PAUSE, 0.5)
    pool.learn("k1", KeyEvent.RESUME, 0.6)
    assert seen(pool)["m"].slots == 2


def test_a_model_lives_while_a_key_of_those_groups_does() -> None:
    pool = Pool([a_key("k1", groups=("staff",)), a_key("k2")])
    staff, others = frozenset({"staff"}), frozenset[str]()
    pool.learn("k2", KeyEvent.KEY_REFUSED, 0.5)
    assert (pool.keyring.lives("m", "openai", staff), pool.keyring.lives("m", "openai", others)) == (True, False)
    assert not pool.keyring.lives("m", "anthropic", staff)
    pool.learn("k1", KeyEvent.OUT_OF_QUOTA, 0.6)
    assert pool.keyring.lives("m", "openai", staff), "it comes back by itself"
    pool.learn("k1", KeyEvent.PAUSE, 0.7)
    assert not pool.keyring.lives("m", "openai", staff)


def test_the_gap_and_its_bound_are_those_of_all_who_share() -> None:
    """A bound by the slots of the model's own keys would be broken by who runs on the others."""
    pool = a_pool()
    for person in ("ann", "bob"):
        for model in "mno":
            ask(pool, model, 9, person)
    models = seen(pool)
    assert len({(model.gap, model.bound, model.largest, model.jain) for model in models.values()}) == 1
    assert models["m"].bound == (1 + 2 * 6) * models["m"].largest
    assert 0.0 <= models["m"].gap <= models["m"].bound


def test_a_forecast_knows_that_a_free_key_is_free_though_others_wait_for_another() -> None:
    pool = a_pool()
    ask(pool, "m", 5)
    assert pool.admission.forecast(an_ask("x", "bob", "o"), 1.0).position == 0
    assert pool.admission.forecast(an_ask("x", "bob", "m"), 1.0).position > 0
    ticket, decisions = pool.submit(an_ask("x", "bob", "o"), 1.0)
    assert ticket.key is not None
    assert len(decisions) == 1
