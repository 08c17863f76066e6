"""Whether a Python candidate has any means of forging the verdict of a test in its own interpreter.

An innocent program keeps to a part of the language in which it cannot reach what it was not given: no
frames, no interpreter internals, no other module's state, no attribute by a computed name, no module
beyond a few without side effects. What is left to it are operators of its own classes, which
``together`` puts to the proof. The check errs on the side of suspicion.
"""

import ast
import builtins
import re
import sys
from collections.abc import Iterator

_INNOCENT_MODULES = frozenset(
    "__future__ abc array bisect cmath collections copy dataclasses datetime decimal enum fractions "
    "functools heapq itertools json math numbers operator random re statistics string textwrap time "
    "typing".split()
)
_SUBMODULES = frozenset({"collections.abc"})
_OF_SYS = frozenset(
    {"maxsize", "setrecursionlimit", "getrecursionlimit", "float_info", "maxunicode", "exit"}
)
_MODULE_NAMES = (sys.stdlib_module_names - _INNOCENT_MODULES) | {"sys"}

_BANNED_NAMES = frozenset(
    "__builtins__ __import__ __loader__ __spec__ __build_class__ breakpoint compile delattr dir eval exec "
    "getattr globals help locals memoryview open setattr vars "
    "attrgetter methodcaller get_type_hints ForwardRef make_dataclass singledispatch "
    "new_class".split()
)
_BANNED_ATTRIBUTES = frozenset(
    "gi_frame gi_code cr_frame cr_code ag_frame ag_code tb_frame tb_next f_back f_globals f_locals f_builtins "
    "f_code co_consts co_code func_globals format_map mro with_traceback "
    "attrgetter methodcaller get_type_hints ForwardRef make_dataclass".split()
)
_SPECIAL_METHODS = frozenset(
    f"__{name}__"
    for name in (
        "init new repr str eq ne lt le gt ge hash len iter next getitem setitem delitem contains call enter "
        "exit bool int float index abs neg pos invert round add radd iadd sub rsub isub mul rmul imul truediv "
        "rtruediv floordiv rfloordiv mod rmod pow rpow and or xor rand ror rxor matmul divmod reversed missing "
        "post_init aiter anext aenter aexit await"
    ).split()
)
_SPECIAL_NAMES = frozenset({"__name__", "__doc__", "__slots__", "__all__", "__author__", "__version__"})
_DUNDER_IN_TEXT = re.compile(r"__\w")


def is_innocent(text: str) -> bool:
    """Whether a program, which compiles, keeps to the innocent part of the language."""
    try:
        tree = ast.parse(text)
        scrutiny = _Scrutiny(tree)
        return all(scrutiny.innocent(node) for node in ast.walk(tree))
    except (RecursionError, MemoryError):
        return False


class _Scrutiny:
    """Rules for single nodes of one program."""

    def __init__(self, tree: ast.Module) -> None:
        self._imported: set[str] = set()
        self._modules: set[str] = set()
        bound: set[str] = set()
        docstrings: set[int] = set()
        self._module_attributes: set[int] = set()
        self._calls: set[int] = set()
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=names):
                    self._modules |= {alias.asname or alias.name.split(".")[0] for alias in names}
                case ast.ImportFrom(names=names):
                    self._imported |= {alias.asname or alias.name for alias in names}
                case ast.Attribute(value=ast.Name() as base):
                    self._module_attributes.add(id(base))
                case ast.Call(func=ast.Name() as function):
                    self._calls.add(id(function))
            bound |= set(_bound_by(node))
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                docstrings.add(id(node.value))
        self._bound = bound | self._imported | self._modules
        self._docstrings = docstrings

    def innocent(self, node: ast.AST) -> bool:
        """Whether one node is allowed."""
        match node:
            case ast.Import(names=names):
                return all(alias.name in _INNOCENT_MODULES | {"sys"} | _SUBMODULES for alias in names)
            case ast.ImportFrom():
                return self._innocent_import(node)
            case ast.Name():
                return self._innocent_name(node)
            case ast.Attribute():
                return self._innocent_attribute(node)
            case ast.Constant(value=str() as text):
                return (
                    id(node) in self._docstrings or text == "__main__" or not _DUNDER_IN_TEXT.search(text)
                )
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                return not _is_special(name) or name in _SPECIAL_METHODS
            case ast.ClassDef(keywords=keywords):
                return all(_is_plain_metaclass(keyword) for keyword in keywords)
            case ast.Call(func=ast.Name(id="type"), args=arguments):
                return len(arguments) == 1
            case ast.keyword(arg=name):
                return name is None or not _is_special(name)
            case ast.arg(arg=name):
                return not _is_special(name)
        return True

    def _innocent_import(self, node: ast.ImportFrom) -> bool:
        names = {alias.name for alias in node.names}
        if node.level or "*" in names and node.module not in {"math", "typing", "collections"}:
            return False
        if node.module == "sys":
            return names <= _OF_SYS
        if node.module not in _INNOCENT_MODULES | _SUBMODULES:
            return False
        return not any(
            name in _MODULE_NAMES or name in _BANNED_NAMES or name.startswith("_") for name in names
        ) or (node.module == "__future__")

    def _innocent_name(self, node: ast.Name) -> bool:
        name = node.id
        if name in _BANNED_NAMES or (_is_special(name) and name not in _SPECIAL_NAMES):
            return False
        if isinstance(node.ctx, ast.Load):
            if name in self._modules:
                return id(node) in self._module_attributes  # never handed on under another name
            if name == "type":
                return id(node) in self._calls
            return name in self._bound or hasattr(builtins, name) or name in _SPECIAL_NAMES
        return name not in self._modules

    def _innocent_attribute(self, node: ast.Attribute) -> bool:
        name = node.attr
        if _is_special(name) or name in _BANNED_ATTRIBUTES:
            # Only a constructor or another operator of the class above may be called by its name.
            return name in _SPECIAL_METHODS and isinstance(node.ctx, ast.Load)
        base = node.value
        if isinstance(base, ast.Name) and base.id in self._modules:
            if not isinstance(node.ctx, ast.Load) or name.startswith("_") or name in _MODULE_NAMES:
                return False
            return base.id != "sys" or name in _OF_SYS
        if not isinstance(node.ctx, ast.Load):
            root = base
            while isinstance(root, (ast.Attribute, ast.Subscript)):
                root = root.value
            return not (isinstance(root, ast.Name) and root.id in self._modules | self._imported)
        if name == "format":  # a text can look into any object that it formats
            return isinstance(base, ast.Constant)
        return True


def _bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name):
            yield name
        case ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name):
            yield name
        case ast.MatchStar(name=str() as name) | ast.MatchMapping(rest=str() as name):
            yield name


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_plain_metaclass(keyword: ast.keyword) -> bool:
    return (
        keyword.arg == "metaclass"
        and isinstance(keyword.value, (ast.Name, ast.Attribute))
        and (getattr(keyword.value, "id", None) or getattr(keyword.value, "attr", None)) == "ABCMeta"
    )
