"""Objects of the test that a candidate may call, read and write in the judge's process.

A candidate gets the arguments of its calls and nothing else: no ``__dict__``, no global, no private name,
no record of a mock, nothing of a TestCase. What it must not have raises AttributeError over there.
"""

from __future__ import annotations

import functools
import operator
import sys
import types
import unittest
from typing import Any

from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.objects.tables import SPECIAL_METHODS

OWN_MODULES = frozenset({MODULE, "__main__"})
"""Values of ``__module__`` of what the test defines."""

_SHOWN_DUNDERS = frozenset({"__name__", "__qualname__", "__doc__", "__class__", "__module__"})
_TEXTS = frozenset({"__repr__", "__str__"})
_CODE = frozenset("__code__ __defaults__ __kwdefaults__ __globals__ __closure__ __func__ __self__".split())
_ASKED_OF_ANYTHING = frozenset(
    "_partialmethod _partialmethod_ __partialmethod__ __abstractmethods__ __isabstractmethod__ "
    "__text_signature__".split()
)
"""Attributes that functions of the library look for and that most objects do not have."""

_ASKED_BY_WRAPS = frozenset(
    {"__annotations__", "__type_params__", "__wrapped__", "__signature__", "__dict__"}
)
"""Attributes that ``functools.wraps`` copies if a function has them."""

_FUNCTION_TYPES = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    type(functools.lru_cache(max)),
)
_NAMED = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    _FUNCTION_TYPES[-1],
    type,
)
_NOTHING_TO_READ = (
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    types.TracebackType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.MappingProxyType,
    functools.partial,
    unittest.TestResult,
    unittest.TestSuite,
)
_LIBRARY_OBJECTS = frozenset(
    "_asyncio _csv _io _queue _random _sqlite3 _thread array asyncio.locks asyncio.queues builtins "
    "collections csv "
    "dataclasses datetime decimal fractions io itertools operator queue random re sqlite3 string tempfile "
    "threading types unittest.mock xml.etree.ElementTree zipfile numpy enum pathlib".split()
)
"""Modules whose instances a test may hand to a candidate."""

_MOCK_RECORDS = frozenset(
    "attach_mock call_args call_args_list call_count called configure_mock method_calls mock_add_spec "
    "mock_calls "
    "reset_mock return_value side_effect await_args await_count await_args_list mock".split()
)
_GENERATOR_METHODS = frozenset({"send", "throw", "close", "asend", "athrow", "aclose"})


class RefusedError(AttributeError):
    """Error for what a candidate must not have of the test's."""


def library_name(value: Any) -> str | None:
    """``module:name`` of a function or class that the library defines; None for anything else."""
    if not isinstance(value, _NAMED):
        return None
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(value, types.MethodDescriptorType):
        module = value.__objclass__.__module__
    if type(module) is not str or type(name) is not str or module in OWN_MODULES:
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is value else None


def parts_of(value: Any) -> tuple[type, tuple[Any, ...], tuple[tuple[str, Any], ...]] | None:
    """Class and arguments of a function object of the library; None for anything else."""
    kind = type(value)
    if kind is functools.partial:
        return kind, (value.func, *value.args), tuple(value.keywords.items())
    if kind in {operator.itemgetter, operator.attrgetter}:
        return kind, value.__reduce__()[1], ()
    return None


def is_mock(value: Any) -> bool:
    """Return whether a value is a mock of the library."""
    mock = sys.modules.get("unittest.mock")
    return mock is not None and isinstance(value, mock.NonCallableMock)


def check_call(target: Any) -> None:  # noqa: PLR0911 - a table
    """Check that a candidate may call an object of the test.

    Raises:
        RefusedError: it may not.
    """
    kind = type(target)
    if isinstance(target, type):
        if target.__module__ in OWN_MODULES and not issubclass(target, unittest.TestCase):
            return
        raise RefusedError(f"{target.__name__} is not called for the candidate")
    if isinstance(target, types.BuiltinFunctionType | types.MethodWrapperType):
        owner = target.__self__
        if owner is None or isinstance(owner, types.ModuleType | type):
            raise RefusedError(f"{target.__name__} is not called for the candidate")
        check_read(owner, target.__name__)
        return
    if isinstance(target, functools.partial):
        check_call(target.func)
        return
    if isinstance(target, types.MethodType):
        function = target.__func__
        if isinstance(function, types.FunctionType) and _is_own(function):
            return
        check_read(target.__self__, getattr(function, "__name__", "__call__"))
        return
    if isinstance(target, types.FunctionType):
        if _is_own(target) or is_mock(vars(target).get("mock")):
            return
        raise RefusedError(f"{target.__name__} is not called for the candidate")
    if isinstance(target, _FUNCTION_TYPES[-1]):
        check_call(target.__wrapped__)
        return
    if is_mock(target) or kind.__module__ in OWN_MODULES:
        return
    raise RefusedError(f"{kind.__name__} is not called for the candidate")


def _is_own(function: types.FunctionType) -> bool:
    return function.__globals__.get("__name__") in OWN_MODULES


def check_read(target: Any, name: Any) -> None:  # noqa: PLR0912 - a table
    """Check that a candidate may read an attribute of an object of the test.

    Raises:
        RefusedError: it may not.
    """
    if type(name) is not str:
        raise RefusedError("no name")
    if name in _ASKED_OF_ANYTHING:
        raise AttributeError(name)
    if name in _SHOWN_DUNDERS and not isinstance(target, unittest.TestCase):
        return
    if name[:2] == "__" and name not in _CODE and isinstance(target, _FUNCTION_TYPES):
        raise AttributeError(name)  # as functools.wraps expects it
    if name in _ASKED_BY_WRAPS and _is_callable_object(target):
        raise AttributeError(name)
    if name in _TEXTS and isinstance(target, type) and name not in vars(target):
        raise AttributeError(name)  # asked for before it is set
    if name[:1] == "_":
        raise RefusedError(name)
    if isinstance(target, unittest.TestCase) or (
        isinstance(target, type) and issubclass(target, unittest.TestCase)
    ):
        raise RefusedError(name)
    if isinstance(target, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType):
        if name in _GENERATOR_METHODS:
            return
        raise RefusedError(name)
    if isinstance(target, (*_NOTHING_TO_READ, *_FUNCTION_TYPES)):
        raise RefusedError(name)
    if is_mock(target):
        if name in _MOCK_RECORDS or name.startswith("assert"):
            raise RefusedError(name)
        return
    kind = target if isinstance(target, type) else type(target)
    if kind.__module__ not in OWN_MODULES and kind.__module__ not in _LIBRARY_OBJECTS:
        raise RefusedError(name)


def _is_callable_object(target: Any) -> bool:
    """Return whether a value is a mock, or an object of the test that can be called and holds nothing."""
    return is_mock(target) or (
        type(target).__module__ in OWN_MODULES
        and callable(target)
        and not getattr(target, "__dict__", target)
    )


def check_special(target: Any, name: Any) -> None:
    """Check that a candidate may have a special method of an object of the test called.

    Raises:
        RefusedError: it may not.
    """
    if name not in SPECIAL_METHODS:
        raise RefusedError(str(name))
    if name == "__call__":
        check_call(target)
    elif isinstance(target, type | types.ModuleType | unittest.TestCase) and name not in {
        "__repr__",
        "__str__",
        "__hash__",
        "__eq__",
        "__ne__",
    }:
        raise RefusedError(name)


def check_write(target: Any, name: Any) -> None:
    """Check that a candidate may set or delete an attribute of an object of the test.

    Raises:
        RefusedError: it may not.
    """
    if isinstance(target, type) and _is_new_in_class(target, name):
        return
    check_read(target, name)
    if isinstance(target, type) or is_mock(target) or type(target).__module__ not in OWN_MODULES:
        raise RefusedError(name)
    hidden = getattr(type(target), name, None)
    if callable(hidden):
        raise RefusedError(name)


def _is_new_in_class(target: type, name: Any) -> bool:
    """Return whether a class of the test lacks a name, which a decorator of the candidate's may add."""
    if (
        type(name) is not str
        or target.__module__ not in OWN_MODULES
        or issubclass(target, unittest.TestCase)
    ):
        return False
    if name in _TEXTS:
        return name not in vars(target)
    return name[:1] != "_" and not hasattr(target, name) and not hasattr(unittest.TestCase, name)
