"""What a run over mutants draws and how it counts: bench/mutants.py."""

from __future__ import annotations

from pathlib import Path

from bench.mutants import drawn, straightened, survivors, table

PATH = Path("keypool/pool.py")
NAMES = [f"keypool.pool.x_take__mutmut_{number}" for number in range(100)]
FOUND = {
    "keypool.pool.x_take__mutmut_1": "killed",
    "keypool.pool.x_take__mutmut_2": "timeout",
    "keypool.turn.x_next__mutmut_1": "survived",
    "server.wire.sse.x_feed__mutmut_1": "no tests",
}


def test_the_same_seed_draws_the_same_mutants_and_another_seed_others() -> None:
    assert drawn(PATH, NAMES, 8, 1) == drawn(PATH, NAMES, 8, 1) != drawn(PATH, NAMES, 8, 2)
    assert len(set(drawn(PATH, NAMES, 8, 1))) == 8


def test_of_a_small_module_all_mutants_are_drawn() -> None:
    assert set(drawn(PATH, NAMES[:3], 8, 1)) == set(NAMES[:3])


def test_the_score_is_of_each_module_of_each_package_and_of_all() -> None:
    assert table(FOUND)[2:] == [
        "| **all** | 4 | 2 | 50% |",
        "| **keypool** | 3 | 2 | 67% |",
        "| **server.wire** | 1 | 0 | 0% |",
        "| keypool.pool | 2 | 2 | 100% |",
        "| keypool.turn | 1 | 0 | 0% |",
        "| server.wire.sse | 1 | 0 | 0% |",
    ]


def test_what_no_test_reaches_has_survived() -> None:
    assert survivors(FOUND) == ["keypool.turn.x_next__mutmut_1", "server.wire.sse.x_feed__mutmut_1"]


def test_only_functions_with_a_drawn_mutant_take_the_detour() -> None:
    code = (
        "@_mutmut_mutated(mutants_x_take__mutmut)\ndef take() -> None: ...\n"
        "    @_mutmut_mutated(mutants_xǁPoolǁof__mutmut, is_classmethod = True)\n    def of(cls) -> None: ...\n"
    )
    lines = code.splitlines()  # each keeps its number: mutmut knows the functions by their lines
    assert straightened(code, ["keypool.pool.x_take__mutmut_3"]).splitlines() == [*lines[:2], "", lines[3]]
    assert straightened(code, ["keypool.pool.xǁPoolǁof__mutmut_1"]).splitlines() == ["", *lines[1:]]
    assert straightened(code, ["keypool.pool.x_take__mutmut_3", "keypool.pool.xǁPoolǁof__mutmut_1"]) == code
