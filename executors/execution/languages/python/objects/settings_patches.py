"""Library functions and names of the candidate's module that a test has replaced.

What counts as replaced is found by identity, in a fixed list of functions and in the targets that the text
of the test names. The replacement crosses as a handle. Putting the original back undoes it there.
"""

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
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from testbudget.executors.execution.languages.python.interpreter import MODULE

_MISSING: Any = object()
_MODULE_NAMES = frozenset({MODULE, "__main__"})
_IMMUTABLE_TYPE = 1 << 8  # flag of classes whose attributes cannot be set
_import_module = importlib.import_module  # which a test may replace in its module
_MAX_TARGET = 200
_SHADOWED = ("input", "print", "open")
_CARRIED_ELSEWHERE = frozenset(
    {"sys.stdin", "sys.stdout", "sys.stderr", "sys.argv", "os.environ", "sys.modules"}
)
_WATCHED: tuple[tuple[Any, Sequence[str]], ...] = tuple(
    (module, names.split())
    for module, names in (
        (builtins, "input print open abs len max min round sorted sum"),
        (
            random,
            "betavariate choice choices gauss getrandbits normalvariate randint random randrange sample "
            "seed shuffle triangular uniform getstate setstate Random",
        ),
        (time, "time sleep perf_counter monotonic process_time time_ns localtime gmtime strftime ctime"),
        (datetime, "datetime date"),
        (uuid, "uuid1 uuid4"),
        (os, "getcwd getenv getpid listdir makedirs mkdir remove rename system urandom walk"),
        (os.path, "exists getsize isdir isfile"),
        (math, "sqrt floor ceil"),
        (sys, "exit"),
    )
)


_REPLACES_BY_NAME = frozenset(
    "patch setattr delattr monkeypatch MonkeyPatch mock __dict__ __setattr__ vars globals locals exec "
    "eval".split()
)
"""Names of which a test uses one if it may replace what its text does not name as an attribute."""


class _Spot:
    __slots__ = ("first", "known", "name", "path", "values")

    def __init__(self, owner: Any, path: list[str], name: str) -> None:
        self.values = vars(owner)
        self.path = path
        self.name = name
        self.first = self.known = self.values.get(name, _MISSING)


class PatchWatch:
    """Functions of the judge's process that a test replaces, and names of the candidate's module.

    Args:
        encode: function that gives the JSON form of one value.
        targets: dotted names that the test may patch.
        solution: names of the module that the test imports the candidate from. One that is bound to
            something else than in ``test_names`` is patched.
        test_names: names of the test, and of the candidate as the test sees them.
        used: names that the text of the test uses; None if unknown.
    """

    def __init__(
        self,
        encode: Callable[[Any], Any],
        targets: Sequence[str],
        solution: Mapping[str, Any],
        test_names: Mapping[str, Any],
        used: Set[str] | None = None,
    ) -> None:
        self._encode = encode
        self._solution = solution
        self._known = dict(solution)
        self._patched: set[str] = set()
        self._test_names = test_names
        self._shadows: dict[tuple[str, str], Any] = {("shadow", name): _MISSING for name in _SHADOWED}
        knows_all = used is not None and used.isdisjoint(_REPLACES_BY_NAME)
        spots = [
            _Spot(module, [module.__name__, ""], name)
            for module, names in _WATCHED
            for name in names
            if not knows_all or (used is not None and name in used)
        ]
        watched = {(id(spot.values), spot.name) for spot in spots}
        for target in dict.fromkeys(targets):
            first, _, rest = target.partition(".")
            if first == "__main__" and rest in test_names:
                self._shadows["name", rest] = test_names[rest]
            spot = None if target in _CARRIED_ELSEWHERE else self._spot(target)
            if spot is not None and (id(spot.values), spot.name) not in watched:
                watched.add((id(spot.values), spot.name))
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
        for (kind, name), known in self._shadows.items():
            value = self._test_names.get(name, _MISSING)
            if kind == "shadow" and not callable(value):
                value = _MISSING  # a variable of the test, which is not the candidate's to see
            if value is not known:
                self._shadows[kind, name] = value
                found.append(self._piece(kind, name, value))
        if list(map(id, self._solution.values())) != list(map(id, self._known.values())):
            found += self._names()
        return found

    def _names(self) -> list[list[Any]]:
        """Pieces for names of the candidate's module that are bound to something else than before."""
        found = []
        now = dict(self._solution)
        for name in sorted(now.keys() | self._known.keys()):
            value = now.get(name, _MISSING)
            if value is self._known.get(name, _MISSING) or name[:1] == "_":
                continue
            if value is not self._test_names.get(name, _MISSING):
                self._patched.add(name)
                found.append(self._piece("name", name, value))
            elif name in self._patched:
                self._patched.remove(name)
                found.append(["name", name])
        self._known = now
        return found

    def _piece(self, kind: str, name: str, value: Any) -> list[Any]:
        return [kind, name] if value is _MISSING else [kind, name, self._encode(value)]

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
            elif isinstance(owner, type):
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
            owner: Any = _import_module(module)
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


def patch_targets(code: types.CodeType) -> tuple[str, ...]:
    """Dotted names of the library that a test may patch or assign, as far as its code names them.

    These are dotted texts, if the test uses a name with "patch" or ``setattr``, and for each module that
    the test names every member that it names or that is one of its texts, and those of its classes.
    """
    names, texts = _words(code)
    targets = []
    if any("patch" in name or name == "setattr" for name in names):
        targets = [
            text for text in sorted(texts) if "." in text and all(map(str.isidentifier, text.split(".")))
        ]
    for name in sorted(names):
        module = sys.modules.get(name)
        if type(module) is types.ModuleType and name not in _MODULE_NAMES:
            members = vars(module)
            for word in sorted(names | texts):
                member = members.get(word)
                if callable(member):
                    targets.append(f"{name}.{word}")
                if word in names and isinstance(member, type) and not member.__flags__ & _IMMUTABLE_TYPE:
                    inside = vars(member).keys() & (names | texts)
                    targets += [f"{name}.{word}.{inner}" for inner in sorted(inside)]
    return tuple(targets)


def _words(code: types.CodeType) -> tuple[set[str], set[str]]:
    """Names in a program, and texts among its constants."""
    names: set[str] = set()
    texts: set[str] = set()
    pending: list[Any] = [code]
    while pending:
        part = pending.pop()
        if isinstance(part, types.CodeType):
            names.update(part.co_names)
            pending += part.co_consts
        elif isinstance(part, tuple):
            pending += part
        elif isinstance(part, str) and len(part) < _MAX_TARGET:
            texts.add(part)
    return names, texts
