"""Which key had a conversation: for five minutes, for so many conversations, and without knowing a word of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.affinity import CAPACITY, SECONDS, Affinity, Home
from server.wire.conversation import DIGEST, bind, conversation_of

ONE, TWO = Home("k1", "org/m"), Home("k2", "org/m")


def test_a_conversation_goes_home_for_five_minutes_and_not_a_moment_longer() -> None:
    affinity = Affinity()
    affinity.remember(b"a", ONE, 10.0)
    assert SECONDS == 300.0
    assert affinity.home(b"a", 10.0) == ONE
    assert affinity.home(b"a", 309.999) == ONE
    assert affinity.home(b"a", 310.0) is None


def test_a_conversation_that_was_never_served_has_no_home() -> None:
    assert Affinity().home(b"a", 0.0) is None


def test_every_turn_makes_the_home_last_again() -> None:
    affinity = Affinity()
    affinity.remember(b"a", ONE, 0.0)
    affinity.remember(b"a", ONE, 299.0)
    assert affinity.home(b"a", 598.0) == ONE


def test_asking_for_a_home_does_not_make_it_last() -> None:
    affinity = Affinity()
    affinity.remember(b"a", ONE, 0.0)
    assert affinity.home(b"a", 299.0) == ONE
    assert affinity.home(b"a", 301.0) is None


def test_a_conversation_that_moved_has_its_last_home() -> None:
    affinity = Affinity()
    affinity.remember(b"a", ONE, 0.0)
    affinity.remember(b"a", TWO, 1.0)
    assert affinity.home(b"a", 2.0) == TWO
    assert len(affinity) == 1


def test_when_it_is_full_the_one_longest_not_served_is_forgotten() -> None:
    affinity = Affinity(capacity=2)
    affinity.remember(b"a", ONE, 0.0)
    affinity.remember(b"b", ONE, 1.0)
    affinity.remember(b"a", ONE, 2.0)
    affinity.remember(b"c", ONE, 3.0)
    assert [name for name in (b"a", b"b", b"c") if affinity.home(name, 3.0)] == [b"a", b"c"]


def test_what_has_expired_is_not_kept_until_the_capacity_is_reached() -> None:
    affinity = Affinity()
    for number in range(100):
        affinity.remember(number.to_bytes(2, "big"), ONE, float(number))
    affinity.remember(b"late", TWO, 350.0)
    assert len(affinity) == 50
    affinity.remember(b"later", TWO, 10_000.0)
    assert len(affinity) == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0.0, 200.0)), max_size=60), st.integers(1, 5))
def test_it_never_remembers_more_than_its_capacity_nor_longer_than_its_time(
    turns: list[tuple[int, float]], capacity: int
) -> None:
    affinity, now, last = Affinity(capacity=capacity), 0.0, dict[bytes, float]()
    for number, pause in turns:
        now += pause
        name = bytes([number])
        affinity.remember(name, ONE, now)
        last[name] = now
        recent = sorted((name for name in last if now - last[name] < SECONDS), key=lambda name: -last[name])[:capacity]
        assert len(affinity) <= capacity
        assert all(affinity.home(name, now) is None for name in last if now - last[name] > SECONDS)
        assert affinity.home(name, now) == ONE
        assert sum(affinity.home(name, now) is not None for name in last) == len(recent)


def test_it_is_bounded_from_the_start() -> None:
    assert Affinity()._capacity == CAPACITY == 50_000


def test_it_is_given_digests_of_one_length_and_never_text() -> None:
    """However long a conversation is, what is kept of it is as short as the digest, and holds none of its words."""
    secret = "the patient's name is Ann"
    affinity = Affinity()
    for repeats in (1, 1000):
        document = {"messages": [{"role": "user", "content": secret * repeats}]}
        affinity.remember(bind(conversation_of("chat", document, None), "ann", "m"), ONE, 0.0)
    assert {len(name) for name in affinity._homes} == {DIGEST}
    assert all(word.encode() not in name for name in affinity._homes for word in secret.split())
    assert "patient" not in repr(vars(affinity))
