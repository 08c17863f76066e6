"""Calls of special methods as Python makes them, and values in the arguments of a call."""

from __future__ import annotations

import decimal
import fractions
from typing import Any

from testbudget.executors.execution.languages.python.objects.tables import SPECIAL_METHODS

_LEAVES = frozenset(
    {str, int, float, complex, bytes, tuple, frozenset, decimal.Decimal, fractions.Fraction}
)
_WALKED = frozenset({list, tuple})
_MAX_LEAVES = 64


def leaves_of(arguments: Any) -> list[Any]:
    """Immutable values in the arguments of a call, in an order that both processes find."""
    found: list[Any] = []
    pending = list(arguments)
    for value in pending:  # grows during the loop
        kind = type(value)
        if kind in _LEAVES:
            found.append(value)
        if kind in _WALKED:
            pending += value
        elif kind is dict:
            pending += value.values()
        if len(pending) > _MAX_LEAVES:
            break
    return found


def special_call(target: Any, name: str, arguments: list[Any]) -> Any:
    """Call a special method as Python would."""
    if name in _FUNCTIONS:
        return _FUNCTIONS[name](target, *arguments)
    if name not in SPECIAL_METHODS:
        raise AttributeError(name)
    return getattr(type(target), name)(target, *arguments)


_FUNCTIONS: dict[str, Any] = {
    "__next__": next,
    "__iter__": iter,
    "__str__": str,
    "__repr__": repr,
    "__format__": format,
    "__len__": len,
    "__reversed__": reversed,
    "__hash__": hash,
    "__bool__": bool,
    "__dir__": dir,
    "__int__": int,
    "__float__": float,
    "__complex__": complex,
    "__instancecheck__": lambda kind, value: isinstance(value, kind),
    "__getitem__": lambda target, key: target[key],
    "__contains__": lambda target, item: item in target,
}
