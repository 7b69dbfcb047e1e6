"""No float ever touches money. This reads the source: one that sneaks in fails here before it costs anybody a cent."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[2] / "server"

# They count seconds, which are floats; money is none of their business.
OF_SECONDS = {"ratelimit.py", "headers.py", "standard_headers.py", "history.py", "summaries.py"}

# The formats of other programs: their JSON has dollars as a number, and it is made when it is printed, not before.
FOREIGN = "compat"

MONEY = re.compile(r"(^|_)(cost|micro|usd)(_|$)")

LEDGER = sorted(path for path in (SERVER / "ledger").glob("*.py") if path.name not in OF_SECONDS)
OURS = sorted(path for path in SERVER.rglob("*.py") if path.parent.name != FOREIGN)


def floats(tree: ast.AST) -> Iterator[int]:
    """The lines with a float literal, a true division or the word `float`."""
    for node in ast.walk(tree):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
        division = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
        word = isinstance(node, ast.Name) and node.id == "float"
        if literal or division or word:
            yield getattr(node, "lineno", 0)


def floats_in_money(tree: ast.AST) -> Iterator[int]:
    """The lines where something that is called money is made by a float, or divided."""
    for node in ast.walk(tree):
        if any(map(_is_money, _named(node))):
            yield from floats(node)
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and _mentions_money(node):
            yield node.lineno


def _named(node: ast.AST) -> list[str]:
    """What a function, an argument or an assignment gives a name to."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [node.name]
        case ast.arg() | ast.keyword():
            return [node.arg or ""]
        case ast.Assign():
            return [_name(target) for target in node.targets]
        case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
            return [_name(node.target)]
    return []


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_money(name: str) -> bool:
    return MONEY.search(name.lower()) is not None


def _mentions_money(tree: ast.AST) -> bool:
    return any(_is_money(_name(node)) for node in ast.walk(tree))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", LEDGER, ids=lambda path: path.name)
def test_the_ledger_knows_no_floats(path: Path) -> None:
    assert list(floats(_tree(path))) == []


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(SERVER)))
def test_what_is_called_money_is_made_of_no_float(path: Path) -> None:
    assert list(floats_in_money(_tree(path))) == []


@pytest.mark.parametrize(
    "source",
    [
        "def cost(usage): return 0.5 * usage",
        "row.cost_micro_usd = spent / 2",
        "cost_micro_usd: float = 0",
        "def settle(micro_usd: float): pass",
        "settle(cost=float(amount))",
        "share = row.cost_micro_usd / total",
        "spent_usd /= 3",
    ],
)
def test_the_reader_finds_a_float_in_money(source: str) -> None:
    assert list(floats_in_money(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "def cost(usage): return usage // 2",
        "row.cost_micro_usd = 5",
        "wait = seconds / 2",
        "settle(cost=amount, wait=0.5)",
    ],
)
def test_the_reader_leaves_other_floats_alone(source: str) -> None:
    assert not list(floats_in_money(ast.parse(source)))
