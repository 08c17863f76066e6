"""Functions, methods, classes and a few library objects in the state of an object.

What is found under its own name in its own module is that name, since both processes have loaded the same
program.
Any other function is its code with its default values and the variables that it closes over.
"""

import functools
import hashlib
import logging
import operator
import random
import re
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python.objects.states_content import UnknownStateError

_MISSING: Any = object()
_IGNORED_IN_CLASSES = frozenset(
    "__dict__ __weakref__ __module__ __qualname__ __doc__ __annotations__ __abstractmethods__ _abc_impl "
    "__firstlineno__ __static_attributes__ __annotations_cache__ __annotate_func__".split()
)
_Parts = tuple[Any, ...]


def class_name(kind: type) -> str | None:
    """Name of a class that is found under it; None for a class that was made while the program ran."""
    module, name = (type.__dict__[part].__get__(kind) for part in ("__module__", "__qualname__"))
    return f"{module}.{name}" if _found(module, name) is kind else None


def class_parts(kind: type) -> _Parts:
    """Parts of a class that was made while the program ran: its bases and everything in it."""
    content = dict(type.__dict__["__dict__"].__get__(kind))
    names = sorted(name for name in content if type(name) is str and name not in _IGNORED_IN_CLASSES)
    members = [content[name] for name in names]
    if any(type(member) is types.GetSetDescriptorType for member in members):
        raise UnknownStateError(kind.__name__)
    slots = [name for name in names if type(content[name]) is types.MemberDescriptorType]
    others = [name for name in names if name not in slots]
    bases = type.__dict__["__bases__"].__get__(kind)
    header = [type.__dict__["__qualname__"].__get__(kind), slots, others]
    return "class", header, type(kind), *bases, *(content[name] for name in others)


def object_parts(value: Any) -> _Parts | None:
    """Parts of a function, a method, a descriptor or a library object; None for anything else."""
    reader = _READERS.get(type(value))
    return None if reader is None else reader(value)


def _function(value: types.FunctionType) -> _Parts:
    name = f"{value.__module__}.{value.__qualname__}"
    if _found(value.__module__, value.__qualname__) is value:
        return "function", name
    defaults = (value.__defaults__, value.__kwdefaults__)
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    return "function", [name, _digest(value.__code__)], *defaults, dict(value.__dict__), *cells


def _builtin(value: Any) -> _Parts:
    owner = value.__self__
    if owner is None or type(owner) is types.ModuleType:
        return "builtin", f"{value.__module__}.{value.__qualname__}"
    return "builtin", value.__name__, owner


def _digest(code: types.CodeType) -> str:
    """Digest of everything that a code object does."""
    parts: list[Any] = [code.co_qualname, code.co_firstlineno, code.co_code.hex(), code.co_flags]
    parts += [
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_exceptiontable.hex(),
    ]
    for constant in code.co_consts:
        is_code = isinstance(constant, types.CodeType)
        is_set = isinstance(constant, frozenset)
        parts.append(
            _digest(constant) if is_code else sorted(map(repr, constant)) if is_set else repr(constant)
        )
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()


def _found(module: Any, name: Any) -> Any:
    """Value of a dotted name in a loaded module, without a call of any ``__getattr__``."""
    owner = sys.modules.get(module) if type(module) is str else None
    if type(owner) is not types.ModuleType or type(name) is not str:
        return _MISSING
    first, *rest = name.split(".")
    found = vars(owner).get(first, _MISSING)
    for part in rest:
        if not issubclass(type(found), type):
            return _MISSING
        found = type.__dict__["__dict__"].__get__(found).get(part, _MISSING)
        if type(found) in {staticmethod, classmethod}:
            found = found.__func__
    return found


def _partial(value: functools.partial[Any]) -> _Parts:
    reduced: Any = value.__reduce__()
    function, arguments, keywords, attributes = reduced[2]
    return "partial", None, function, arguments, keywords or {}, attributes or {}


def _recursive_lock(_: Any) -> _Parts:
    return "lock", None


def _weak(value: Any) -> _Parts:
    target = value()
    return ("weak", None) if target is None else ("weak", None, target)


def _generator_state(value: random.Random) -> _Parts:
    return "random", None, random.Random.getstate(value)


_READERS: dict[type, Callable[[Any], _Parts]] = {
    types.FunctionType: _function,
    types.BuiltinFunctionType: _builtin,
    types.MethodType: lambda value: ("method", None, value.__func__, value.__self__),
    types.MethodDescriptorType: lambda value: ("descriptor", value.__name__, value.__objclass__),
    types.WrapperDescriptorType: lambda value: ("descriptor", value.__name__, value.__objclass__),
    types.ClassMethodDescriptorType: lambda value: ("descriptor", value.__name__, value.__objclass__),
    types.MethodWrapperType: lambda value: ("wrapper", value.__name__, value.__self__),
    staticmethod: lambda value: ("static", None, value.__func__),
    classmethod: lambda value: ("class method", None, value.__func__),
    property: lambda value: ("property", None, value.fget, value.fset, value.fdel),
    functools.partial: _partial,
    operator.itemgetter: lambda value: ("getter", "item", value.__reduce__()[1]),
    operator.attrgetter: lambda value: ("getter", "attribute", value.__reduce__()[1]),
    slice: lambda value: ("slice", None, value.start, value.stop, value.step),
    types.MappingProxyType: lambda value: ("mapping", None, dict(value)),
    types.ModuleType: lambda value: ("module", types.ModuleType.__getattribute__(value, "__name__")),
    weakref.ref: _weak,
    random.Random: _generator_state,
    logging.Logger: lambda value: ("logger", value.name),
    logging.RootLogger: lambda value: ("logger", value.name),
    type(threading.Lock()): lambda value: ("lock", value.locked()),
    type(threading.RLock()): _recursive_lock,
    re.Match: lambda value: ("match", None, value.re, value.string, value.span(), value.pos, value.endpos),
}
