"""Description of a class, from which another process makes a mirror."""

from __future__ import annotations

import enum
import sys
import types
from typing import Any

from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.objects.tables import (
    ABSTRACT_CLASSES,
    OPAQUE_TYPES,
    PLAIN_BASES,
    SPECIAL_METHODS,
    is_dunder,
    plain_base,
)

EXCEPTION_SLOTS = (
    "errno strerror filename filename2 name path value code obj encoding object start end reason msg "
    "lineno offset text end_lineno end_offset"
).split()
"""Attributes that exceptions of the library hold outside of their ``__dict__``."""

_OWN_MODULES = frozenset({MODULE, "__main__", "testbudget"})
_METHOD_TYPES = (types.FunctionType, types.MethodDescriptorType)
_ABSTRACT_KEYS = {kind: key for key, kind in ABSTRACT_CLASSES.items()}
_STOPS = frozenset({*PLAIN_BASES, BaseException, Exception, object})
_mro: Any = type.__dict__["__mro__"]


def carried_bases(kind: type) -> list[type]:
    """Bases of a class that its mirror derives from."""
    return [
        base
        for base in kind.__bases__
        if base is not object
        and base is not type
        and (base.__module__ not in {"abc", "enum", "typing"} or plain_base(base))
    ]


def describe(kind: type) -> dict[str, Any]:
    """Describe a class by names and flags.

    Returns:
        ``n`` name, ``b`` plain base, ``x`` exception, ``s`` special methods (``-hash`` if it has no hash),
        ``m`` further methods, ``e`` enumeration, ``d`` docstring, ``a`` abstract classes that it is an
        instance of, ``i`` its class overrides isinstance, ``ma`` names for ``match``, ``init`` it defines
        ``__init__``, ``p`` package that it is of, unless that is the standard library.
    """
    base = plain_base(kind)
    special = _special_methods(kind)
    described: dict[str, Any] = {"n": kind.__name__, "q": kind.__qualname__}
    if base is not None:
        described["b"] = base.__name__
    if issubclass(kind, BaseException):
        described["x"] = 1
    described["s"] = special
    described["m"] = [
        name
        for name, value in vars(kind).items()
        if type(name) is str and isinstance(value, _METHOD_TYPES) and not is_dunder(name)
    ]
    if isinstance(kind, enum.EnumMeta):
        described["e"] = 1
    if type(kind.__doc__) is str:
        described["d"] = kind.__doc__
    if abstract := [_ABSTRACT_KEYS[one] for one in kind.__mro__ if one in _ABSTRACT_KEYS]:
        described["a"] = abstract
    if type(kind).__instancecheck__ is not type.__instancecheck__:
        described["i"] = 1
    arguments = getattr(kind, "__match_args__", None)
    if type(arguments) is tuple and all(type(name) is str for name in arguments):
        described["ma"] = list(arguments)
    if type(vars(kind).get("__init__")) is types.FunctionType:
        described["init"] = 1
    if package := _package(kind):
        described["p"] = package
    return described


def _package(kind: type) -> str | None:
    """Package whose module holds a class under its name; None for a class that only says so."""
    module = kind.__module__
    root = module.partition(".")[0] if type(module) is str else ""
    own = root in sys.stdlib_module_names or root in _OWN_MODULES
    held = not own and getattr(sys.modules.get(module), kind.__name__, None) is kind
    return root if held else None


def _special_methods(kind: type) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()
    for one in _mro.__get__(kind):
        if one in _STOPS or one.__module__ == "builtins":
            break
        for name, value in vars(one).items():
            if name in SPECIAL_METHODS and name not in seen:
                seen.add(name)
                if value is not None:
                    found.append(name)
                elif name == "__hash__":
                    found.append("-hash")
    return found


def describe_opaque(key: str) -> dict[str, Any] | None:
    """Describe a library type of the table of opaque types; None if the table does not hold it."""
    kind = OPAQUE_TYPES.get(key)
    if kind is None:
        return None
    members = [item for one in kind.__mro__[:-1] for item in vars(one).items()]
    special = [name for name, _ in members if name in SPECIAL_METHODS]
    methods = [name for name, value in members if isinstance(value, _METHOD_TYPES) and not is_dunder(name)]
    return {"n": kind.__name__, "q": kind.__qualname__, "s": special, "m": methods}
