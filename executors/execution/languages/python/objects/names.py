"""Names of a candidate, as a test sees them, and names that each side binds later."""

from __future__ import annotations

import builtins
import collections
import dis
import sys
import types
import unittest
from collections.abc import Callable, Container
from typing import Any

from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.library_tables import (
    FORGOTTEN_IMPORTS,
    FORGOTTEN_NAMES,
)
from testbudget.executors.execution.languages.python.objects import mirrors, tables
from testbudget.executors.execution.languages.python.programs import used_names

_STORES = frozenset({dis.opmap["STORE_NAME"], dis.opmap["STORE_GLOBAL"]})
_GLOBAL_STORES = frozenset({dis.opmap["STORE_GLOBAL"]})
_EXTENDED = dis.opmap["EXTENDED_ARG"]

CANDIDATE_MODULE = 0
"""Number of the candidate's module."""

_LIBRARY = frozenset(
    "abc argparse array asyncio base64 bisect calendar cmath collections collections.abc contextlib "
    "copy csv "
    "dataclasses datetime decimal difflib enum fractions functools glob hashlib heapq inspect io "
    "itertools json "
    "logging math numbers numpy operator os os.path pathlib pprint queue random re shutil sqlite3 "
    "statistics "
    "string struct sys tempfile textwrap threading time types typing unittest unittest.mock uuid warnings "
    "weakref xml.etree.ElementTree zipfile zlib".split()
)
_ALIASES = {"np": "numpy", "ET": "xml.etree.ElementTree", "dt": "datetime", "mock": "unittest.mock"}
_EXCEPTIONS = frozenset(
    "ArithmeticError AssertionError AttributeError BaseException Exception IndexError KeyError LookupError "
    "NameError NotImplementedError OverflowError RuntimeError StopIteration TypeError ValueError "
    "ZeroDivisionError".split()
)
"""Exceptions that a program has no reason to define anew."""

_PUBLIC = (
    {"approx"}
    | FORGOTTEN_NAMES
    | _EXCEPTIONS
    | frozenset(
        name
        for module in (builtins, collections)
        for name in vars(module)
        if name[0] != "_" and not name.endswith(("Error", "Exception", "Warning"))
    )
)

_FORGOTTEN_MODULES = frozenset({*FORGOTTEN_IMPORTS, *_ALIASES, "pd", "pandas", "pytest", "asyncio"})
_LIFETIMES = frozenset({"weakref", "gc", "__del__", "getrefcount"})
_TEST_MODULES = frozenset({MODULE, "__main__"})
_VALUE, _MEMBER, _MODULE = "v", "m", "M"


class CandidateNames:
    """Global names of a candidate in its own process.

    Attributes:
        reads: names that the candidate's code reads.

    Args:
        module: the candidate's module.
        code: its code.
    """

    def __init__(self, module: types.ModuleType, code: types.CodeType) -> None:
        self._names = vars(module)
        self._known = dict(self._names)
        self.reads = tuple(sorted(used_names(code) - vars(builtins).keys()))

    def first(self) -> list[tuple[str, str, Any]]:
        """All names at load, each as a value, a member of a library module, or a module."""
        return [self._described(name, value) for name, value in self._names.items() if name[:2] != "__"]

    def _described(self, name: str, value: Any) -> tuple[str, str, Any]:
        if isinstance(value, types.ModuleType):
            return name, _MODULE, value.__name__
        module = getattr(value, "__module__", None) if not isinstance(value, tables.PLAIN_BASES) else None
        if type(module) is str and module != MODULE:
            module = _EXPORTED_FROM.get(module, module)
            if vars(sys.modules.get(module, builtins)).get(name) is value:
                return name, _MEMBER, module
        return name, _VALUE, value

    def changed(self) -> list[tuple[str, Any]]:
        """Names bound to another value since the last call."""
        names, known = self._names, self._known
        if list(map(id, names.values())) == list(map(id, known.values())):
            return []
        found = [
            (name, value)
            for name, value in names.items()
            if known.get(name, _MISSING) is not value and name[:2] != "__"
        ]
        self._known = dict(names)
        return [pair for pair in found if not isinstance(pair[1], types.ModuleType)]

    def bind(self, name: str, value: Any) -> None:
        """Bind a class of the test that the candidate lacks."""
        self._names.setdefault(name, value)
        self._known = dict(self._names)


_MISSING: Any = object()
_EXPORTED_FROM = {
    "_collections_abc": "collections.abc",
    "_heapq": "heapq",
    "_bisect": "bisect",
    "_decimal": "decimal",
}


def _bound_names(code: types.CodeType, operations: frozenset[int]) -> set[str]:
    """Names that a program binds at its top level or declares global below; ``dis`` is ten times slower."""
    found = set()
    text, high = code.co_code, 0
    for place in range(0, len(text), 2):
        operation, argument = text[place], high | text[place + 1]
        high = argument << 8 if operation == _EXTENDED else 0
        if operation in operations:
            found.add(code.co_names[argument])
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _bound_names(constant, _GLOBAL_STORES)
    return found


class SolutionModule(types.ModuleType):
    """Module that the test imports the candidate from.

    ``import *`` gives what the candidate defines, but nothing in place of what the test has bound itself.

    Args:
        test_names: names of the test, which the module shows where the candidate has none.
        bound: names that the test binds.
    """

    def __init__(self, test_names: dict[str, Any], bound: Container[str]) -> None:
        super().__init__(MODULE)
        vars(self)["_test_names"] = test_names
        vars(self)["_bound"] = bound

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            held, bound = vars(self)["_test_names"], vars(self)["_bound"]
            return [
                one
                for one, value in vars(self).items()
                if one[0] != "_" and not (one in bound and held.get(one, value) is not value)
            ]
        if name[:2] != "__" and name in vars(self)["_test_names"]:
            return vars(self)["_test_names"][name]
        raise AttributeError(f"module {MODULE!r} has no attribute {name!r}")


class JudgeNames:
    """Names of the candidate and of the test in the judge's process.

    Attributes:
        module: the module whose namespace the test runs in.
        solution: the module that it imports the candidate from.
        seed: bytes that depend on the test alone, which the candidate does not know.
        doubts: sentences on names of the candidate that stand for something else than the test means.

    Args:
        test: code of the test.
        entry_point: name that the candidate must define.
    """

    def __init__(self, test: types.CodeType, entry_point: str | None) -> None:
        self.module = types.ModuleType(MODULE)
        self.bound = _bound_names(test, _STORES)
        self.solution = SolutionModule(vars(self.module), self.bound)
        self.doubts: list[str] = []
        self.used = used_names(test)
        self.seed = test.co_code + " ".join(sorted(self.used)).encode(errors="replace")
        self._entry_point = entry_point
        self._plain: set[str] = set()
        self._own: set[str] = set()
        self._sent: dict[str, Any] = {}
        self._read: frozenset[str] = frozenset()

    def load(self, described: Any, reads: Any) -> None:
        """Bind the names of the candidate.

        Args:
            described: its names, as `CandidateNames.first` gives them.
            reads: names that its code reads.

        Raises:
            ValueError: these are no names.
        """
        if not all(type(name) is str for name in reads):
            raise ValueError("no name")
        self._read = frozenset(reads)
        self._own = {name for name, kind, _ in described if kind == _VALUE}
        for name, kind, value in described:
            if type(name) is not str or name[:2] == "__" or not name.isidentifier():
                raise ValueError("no name")
            if kind == _VALUE:
                self.bind(name, value)
            elif kind == _MODULE:
                self._bind_module(name, value)
            elif name in vars(builtins):
                continue  # a test that uses the name means the builtin
            elif kind == _MEMBER and value in _LIBRARY and name in self.used:
                found = vars(sys.modules.get(value, builtins)).get(name, _MISSING)
                if found is not _MISSING:
                    vars(self.module)[name] = vars(self.solution)[name] = found

    def _bind_module(self, name: str, module: str) -> None:
        if (
            module in _LIBRARY
            and name in self.used
            and _ALIASES.get(name, name) in {module, module.partition(".")[0]}
        ):
            found = sys.modules.get(_ALIASES.get(name, name))
            if found is not None:
                vars(self.module)[name] = vars(self.solution)[name] = found

    def bind(self, name: str, value: Any) -> None:
        """Bind a name of the candidate to a value, unless the test has bound it itself."""
        self._check(name, value)
        names, solution = vars(self.module), vars(self.solution)
        if name in self.bound and name in names and names[name] is not solution.get(name, _MISSING):
            solution[name] = value
            return
        names[name] = solution[name] = value
        if not isinstance(value, mirrors.Proxy | mirrors.MirrorMeta):
            self._plain.add(name)

    def rebound(self, name: str, value: Any) -> None:
        """Bind a name that the candidate has bound while the test ran."""
        if type(name) is not str or name[:2] == "__" or not name.isidentifier():
            raise ValueError("no name")
        if vars(self.solution).get(name, _MISSING) is value:
            return  # the test has bound it so
        if name not in self._own and name in self.used and name not in self.bound:
            self.doubts.append(f"The candidate has bound {name} while the test ran.")
        self.bind(name, value)

    def _check(self, name: str, value: Any) -> None:
        if name not in self.used or name == self._entry_point:
            return
        if self._entry_point is None and self._own <= _PUBLIC and len(self._own & self.used) == 1:
            return  # the one name of its own that the test uses is what is tested
        is_own = isinstance(value, mirrors.Proxy | mirrors.MirrorMeta)
        builtin = vars(builtins).get(name, _MISSING)
        if (
            name not in self.bound
            and value is not builtin
            and (name in _PUBLIC or (builtin is not _MISSING and not is_own))
        ):
            self.doubts.append(f"{name} is the candidate's own, under a name of the library.")
        elif tables.broad_exception(value) and getattr(value, "__name__", "") != name:
            self.doubts.append(f"{name} stands for an exception that catches failed assertions.")
        elif name in _FORGOTTEN_MODULES and is_own and name not in self.bound:
            self.doubts.append(f"{name} is the candidate's own, under the name of a module.")

    def pieces(self, encode: Callable[[Any], Any]) -> list[list[Any]]:
        """Classes of the test that the candidate's code names and does not define."""
        names = vars(self.module)
        found = []
        for name in sorted(self._read & self.bound - self._own - self._sent.keys()):
            value = names.get(name)
            if isinstance(value, type) and not issubclass(value, unittest.TestCase):
                self._sent[name] = value
                found.append(["global", name, encode(value)])
        return found

    def is_class_of_test(self, kind: Any) -> bool:
        """Return whether the test takes a class of the candidate for a class, by all names that it uses."""
        names = [name for name, value in vars(self.solution).items() if value is kind and name in self.used]
        return bool(names) and all(name[0].isupper() for name in names)

    def was_given(self, kind: Any) -> bool:
        """Return whether a class was given to the candidate because its code names it."""
        return any(kind is value for value in self._sent.values())

    def rebinding_doubts(self) -> list[str]:
        """Sentences on plain globals that the candidate reads and the test has bound anew."""
        names, solution = vars(self.module), vars(self.solution)
        return [
            f"The test binds {name}, which the candidate reads."
            for name in sorted(self._own & self.bound & self._read)
            if names.get(name) is not solution.get(name)
            and (name in self._plain or getattr(names.get(name), "__module__", None) not in _TEST_MODULES)
        ]

    def concerns_lifetimes(self) -> bool:
        """Return whether the test or the candidate may notice the end of an object."""
        return not _LIFETIMES.isdisjoint(self.used | self._read)

    def hides_helpers(self) -> bool:
        """Return whether the test has bound a name of the candidate's anew that the candidate reads."""
        names, solution = vars(self.module), vars(self.solution)
        return any(
            names.get(name) is not solution.get(name) for name in self._own & self.bound & self._read
        )
