"""`--where "fast < slow"`: a condition on parameters, read as a tree of harmless kinds, never run as code."""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.errors import UsageError

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.Not: operator.not_}
_LENGTH_MAX = 500

Evaluate = Callable[[Mapping[str, Any]], Any]


class Where:
    """Conditions that a combination must meet, all of them. Raises `UsageError` for what is no condition."""

    def __init__(self, texts: Sequence[str], names: Sequence[str]) -> None:
        self._conditions = [(text, _read(text, names)) for text in texts]

    def __call__(self, values: Mapping[str, Any]) -> bool:
        """Return whether a combination meets every condition; raises `UsageError` if one does not apply."""
        for text, condition in self._conditions:
            try:
                if not condition(values):
                    return False
            except (TypeError, ArithmeticError) as error:
                shown = ", ".join(f"{name}={value!r}" for name, value in values.items())
                raise UsageError(f"--where {text!r} with {shown}: {error}") from error
        return True


def _read(text: str, names: Sequence[str]) -> Evaluate:
    try:
        if len(text) > _LENGTH_MAX:
            raise UsageError(f"--where: at most {_LENGTH_MAX} characters")
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f'--where {text!r}: expected a condition such as "fast < slow"') from error
    return _compiled(tree.body, text, names)


def _compiled(node: ast.expr, text: str, names: Sequence[str]) -> Evaluate:
    def inner(child: ast.expr) -> Evaluate:
        return _compiled(child, text, names)

    match node:
        case ast.Constant(value=value) if isinstance(value, int | float | str):
            return lambda _values: value
        case ast.Name(id=name):
            if name not in names:
                raise UsageError(f"--where {text!r}: no parameter {name!r}; it has {', '.join(names)}")
            return lambda values: values[name]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            apply, one = _UNARY[type(op)], inner(operand)
            return lambda values: apply(one(values))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            combine, first, second = _BINARY[type(op)], inner(left), inner(right)
            return lambda values: combine(_number(first(values)), _number(second(values)))
        case ast.BoolOp(op=op, values=parts):
            tests, decide = [inner(part) for part in parts], all if isinstance(op, ast.And) else any
            return lambda values: decide(test(values) for test in tests)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARED for op in ops):
            sides = [inner(side) for side in (left, *others)]
            tests_of = [_COMPARED[type(op)] for op in ops]
            return lambda values: _chain([side(values) for side in sides], tests_of)
    raise UsageError(
        f"--where {text!r}: {ast.unparse(node)!r} is not allowed; parameters, numbers, texts, + - * / // %, "
        "comparisons, and, or, not are"
    )


def _number(value: Any) -> Any:
    # Text times a number would be a longer text: no condition needs it.
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return value


def _chain(values: Sequence[Any], tests: Sequence[Callable[[Any, Any], bool]]) -> bool:
    return all(test(values[index], values[index + 1]) for index, test in enumerate(tests))
