"""Library functions and names of the candidate's module that a test has replaced.

What counts as replaced is found by identity, in a fixed list of functions and in the targets that the text
of the test names. The replacement crosses as a handle. Putting the original back undoes it there.
"""

import ast
import builtins
import datetime
import importlib
import math
import os
import os.path
import random
import sys
import time
import types
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from testbudget.executors.execution.languages.python.interpreter import MODULE

_MISSING: Any = object()
_MODULE_NAMES = frozenset({MODULE, "__main__"})
_SHADOWED = ("input", "print", "open")
_CARRIED_OTHERWISE = frozenset(
    {"sys.stdin", "sys.stdout", "sys.stderr", "sys.argv", "os.environ", "sys.modules"}
)
_WATCHED: tuple[tuple[Any, str], ...] = (
    (builtins, "input print open abs len max min round sorted sum"),
    (
        random,
        "betavariate choice choices gauss getrandbits normalvariate randint random randrange sample seed "
        "shuffle triangular uniform getstate setstate Random",
    ),
    (time, "time sleep perf_counter monotonic process_time time_ns localtime gmtime strftime ctime"),
    (datetime, "datetime date"),
    (uuid, "uuid1 uuid4"),
    (os, "getcwd getenv getpid listdir makedirs mkdir remove rename system urandom walk"),
    (os.path, "exists getsize isdir isfile"),
    (math, "sqrt floor ceil"),
    (sys, "exit"),
)


class _Spot:
    __slots__ = ("first", "known", "name", "path", "values")

    def __init__(self, owner: Any, path: list[str], name: str) -> None:
        self.values = vars(owner)
        self.path = path
        self.name = name
        self.first = self.known = self.values.get(name, _MISSING)


class _Name:
    __slots__ = ("kind", "known", "name", "values")

    def __init__(self, kind: str, name: str, values: Mapping[str, Any]) -> None:
        self.kind = kind
        self.name = name
        self.values = values
        self.known = values.get(name, _MISSING)


class PatchWatch:
    """Functions of the judge's process that a test replaces, and names of the candidate's module.

    Args:
        encode: function that gives the JSON form of one value.
        targets: dotted names that the test patches.
        solution: names of the module that the test imports the candidate from.
        test_names: names of the test.
    """

    def __init__(
        self,
        encode: Callable[[Any], Any],
        targets: Sequence[str],
        solution: Mapping[str, Any],
        test_names: Mapping[str, Any],
    ) -> None:
        self._encode = encode
        self._solution = solution
        self._names = [_Name("shadow", name, test_names) for name in _SHADOWED]
        spots = [
            _Spot(module, [module.__name__, ""], name)
            for module, names in _WATCHED
            for name in names.split()
        ]
        watched = {(id(spot.values), spot.name) for spot in spots}
        for target in dict.fromkeys(targets):
            first, _, rest = target.partition(".")
            if first in _MODULE_NAMES and rest.isidentifier():
                self._names.append(_Name("name", rest, solution))
            elif target not in _CARRIED_OTHERWISE:
                spot = self._spot(target)
                if spot is not None and (id(spot.values), spot.name) not in watched:
                    spots.append(spot)
        self._spots = spots

    def pieces(self) -> list[list[Any]]:
        """Replacements since the last call, and those that were undone."""
        found: list[list[Any]] = []
        for spot in self._spots:
            value = spot.values.get(spot.name, _MISSING)
            if value is not spot.known:
                spot.known = value
                piece = ["patch", *spot.path, spot.name]
                found.append(
                    piece if value is spot.first or value is _MISSING else [*piece, self._encode(value)]
                )
        for one in self._names:
            value = one.values.get(one.name, _MISSING)
            if value is not one.known:
                one.known = value
                piece = [one.kind, one.name]
                found.append(piece if value is _MISSING else [*piece, self._encode(value)])
        return found

    def _spot(self, target: str) -> _Spot | None:
        """Place of a target in a library; None if no library has it."""
        first, *rest = target.split(".")
        if first in _MODULE_NAMES and rest:
            owner = self._solution.get(rest[0], _MISSING)
            if type(owner) is types.ModuleType:
                return self._spot(".".join([owner.__name__, *rest[1:]]))
            first, *rest = rest
        if not rest:
            return None
        try:
            owner = importlib.import_module(first)
        except Exception:  # not installed: the test fails there, too
            return None
        module = first
        inner: list[str] = []
        for part in rest[:-1]:
            if type(owner) is types.ModuleType and not hasattr(owner, part):
                try:
                    importlib.import_module(f"{module}.{part}")
                except Exception:
                    return None
            owner = getattr(owner, part, None)
            if type(owner) is types.ModuleType:
                module, inner = owner.__name__, []
            elif type(owner) is type:
                inner.append(part)
            else:
                return None
        return _Spot(owner, [module, ".".join(inner)], rest[-1])


class Patches:
    """Replacements of the test in the candidate's process.

    Args:
        decode: function that gives the value of a JSON form.
    """

    def __init__(self, decode: Callable[[Any], Any]) -> None:
        self._decode = decode
        self._own: dict[tuple[str, ...], Any] = {}
        self._shadows: set[str] = set()

    def apply(self, kind: str, content: list[Any]) -> None:
        """Replace a function or a name, or put the original back.

        A name that stands for a built-in function is set only in a candidate that does not define it.
        """
        if kind == "patch":
            module, inner, name, *value = content
            owner: Any = importlib.import_module(module)
            for part in inner.split(".") if inner else ():
                owner = getattr(owner, part)
            self._set_attribute(owner, (module, inner, name), value)
            return
        name, *value = content
        names = vars(sys.modules[MODULE])
        if kind == "shadow":
            if name in names and name not in self._shadows:
                return
            self._shadows.add(name)
        self._set_name(names, name, value)

    def _set_attribute(self, owner: Any, place: tuple[str, ...], value: list[Any]) -> None:
        name = place[-1]
        if value:
            self._own.setdefault(place, vars(owner).get(name, _MISSING))
            setattr(owner, name, self._decode(value[0]))
        elif place in self._own:
            original = self._own.pop(place)
            if original is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, original)

    def _set_name(self, names: dict[str, Any], name: str, value: list[Any]) -> None:
        if value:
            self._own.setdefault((name,), names.get(name, _MISSING))
            names[name] = self._decode(value[0])
        elif (name,) in self._own:
            original = self._own.pop((name,))
            if original is _MISSING:
                names.pop(name, None)
            else:
                names[name] = original


def patch_targets(tree: ast.AST) -> tuple[str, ...]:
    """Dotted names that a test patches or assigns, as far as its text names them.

    These are first arguments of functions whose name contains "patch", the two of ``patch.object`` and
    ``setattr``, and assigned or deleted attributes of what the test imports. Names are resolved to those of
    the modules.
    """
    origins: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                origins[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return tuple(dict.fromkeys(_targets(tree, origins)))


def _targets(tree: ast.AST, origins: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            owner = _dotted(node.value, origins)
            if owner is not None:
                yield f"{owner}.{node.attr}"
        elif isinstance(node, ast.Call):
            yield from _call_targets(node, origins)


def _call_targets(node: ast.Call, origins: dict[str, str]) -> Iterator[str]:
    function = ast.unparse(node.func)
    if "patch" not in function and not function.endswith("setattr"):
        return
    constants = [item.value for item in node.args[:2] if isinstance(item, ast.Constant)]
    texts = [value for value in constants if isinstance(value, str)]
    if node.args and (owner := _dotted(node.args[0], origins)) is not None:
        yield from (f"{owner}.{text}" for text in texts)
        yield from (f"{owner}.{keyword.arg}" for keyword in node.keywords if keyword.arg)
    named = [
        item.value.value
        for item in node.keywords
        if item.arg == "target" and isinstance(item.value, ast.Constant)
    ]
    for text in [*texts, *named]:
        if isinstance(text, str) and "." in text and all(part.isidentifier() for part in text.split(".")):
            yield text


def _dotted(node: ast.expr, origins: dict[str, str]) -> str | None:
    """Dotted name of an expression whose first name is imported; None for any other."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in origins:
        return None
    return ".".join([origins[node.id], *reversed(parts)])
