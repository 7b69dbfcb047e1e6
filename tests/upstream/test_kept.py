"""Kept connections: by their place, the last one first, within bounds and not for ever."""

from __future__ import annotations

from server.httpclient.kept import KeptConnections


def test_the_one_that_was_used_last_is_taken_first_and_only_for_its_place() -> None:
    kept: KeptConnections[str] = KeptConnections(60.0)
    for name in ("a1", "a2", "b1"):
        assert kept.keep(name[0], name, 0.0)
    assert [kept.take("a"), kept.take("a"), kept.take("a"), kept.take("c")] == ["a2", "a1", None, None]
    assert len(kept) == 1


def test_there_are_only_so_many_of_each_place_and_in_all() -> None:
    kept: KeptConnections[str] = KeptConnections(60.0, most_each=2, most=3)
    assert [kept.keep("a", f"a{number}", 0.0) for number in range(3)] == [True, True, False]
    assert [kept.keep("b", f"b{number}", 0.0) for number in range(2)] == [True, False]
    assert len(kept) == 3


def test_they_end_when_they_are_old_and_sooner_where_the_server_says_so() -> None:
    kept: KeptConnections[str] = KeptConnections(60.0)
    kept.keep("a", "long", 0.0)
    kept.keep("a", "short", 0.0, 4.0)
    kept.keep("a", "bold", 0.0, 9_999.0)
    assert kept.expired(3.9) == []
    assert kept.expired(4.0) == ["short"]
    assert kept.expired(60.0) == ["long", "bold"]
    assert (len(kept), kept.take("a")) == (0, None)


def test_all_of_them_can_be_had_at_the_end() -> None:
    kept: KeptConnections[str] = KeptConnections(60.0)
    kept.keep("a", "a1", 0.0)
    kept.keep("b", "b1", 0.0)
    assert (kept.all(), len(kept), kept.all()) == (["a1", "b1"], 0, [])
