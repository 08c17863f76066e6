"""Whether a Python candidate is innocent: unable to change anything but what it has made itself.

An innocent program keeps to a part of the language in which it cannot get hold of what it was not given:
no frames, no interpreter internals, no attribute by a computed name, no module but a few without state, no
class of those modules as a value that could be changed. So another program can follow in its process
undisturbed, and a test that shares its interpreter is not tampered with. What is left to it are operators
of its own classes, which ``together`` puts to the proof. The check errs on the side of suspicion.
"""

import ast
import builtins
import re
import sys
from collections.abc import Iterator

_MODULES = frozenset(
    "__future__ abc array bisect cmath collections collections.abc copy dataclasses datetime "
    "enum fractions functools heapq itertools json math numbers operator random re statistics "
    "string textwrap time typing".split()
)
_OF_SYS = frozenset("maxsize setrecursionlimit getrecursionlimit float_info maxunicode exit".split())
_MODULE_NAMES = (sys.stdlib_module_names - _MODULES) | {"sys"}
_BANNED_NAMES = frozenset(
    "breakpoint compile delattr dir eval exec getattr globals help locals memoryview open "
    "setattr vars attrgetter methodcaller get_type_hints ForwardRef make_dataclass".split()
)
_BANNED_ATTRIBUTES = _BANNED_NAMES | frozenset(
    "gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_await ag_frame ag_code tb_frame "
    "tb_next tb_lasti f_back f_globals f_locals f_builtins f_code f_trace co_consts co_code "
    "format_map mro with_traceback register".split()
)
_SPECIAL_METHODS = frozenset(
    f"__{name}__"
    for name in (
        "init new repr str eq ne lt le gt ge hash len iter next getitem setitem delitem contains "
        "call enter exit  bool int float index abs neg pos invert round add radd iadd sub rsub isub "
        "mul rmul imul truediv rtruediv  floordiv rfloordiv mod rmod pow rpow and or xor rand ror "
        "rxor matmul divmod reversed missing post_init  aiter anext aenter aexit await"
    ).split()
)
_SPECIAL_NAMES = frozenset({"__name__", "__doc__", "__slots__", "__all__"})
_SPECIAL_IN_TEXT = re.compile(r"__\w")
_LOOKS_LIKE_A_CLASS = re.compile(r"_*[A-Z]")


def is_innocent(tree: ast.Module) -> bool:
    """Whether a program keeps to the innocent part of the language."""
    try:
        scrutiny = _Scrutiny(tree)
        return all(scrutiny.allows(node) for node in scrutiny.nodes)
    except RecursionError:
        return False


class _Scrutiny:
    """Rules for single nodes of one program."""

    def __init__(self, tree: ast.Module) -> None:
        self.nodes = list(ast.walk(tree))
        self._modules: set[str] = set()
        self._imported: set[str] = set()
        self._bound: set[str] = set()
        self._harmless: set[int] = set()  # nodes in places where a value is not handed on
        for node in self.nodes:
            self._note(node)
        self._bound |= self._imported | self._modules

    def allows(self, node: ast.AST) -> bool:  # noqa: PLR0911 - a table
        """Whether one node is innocent."""
        match node:
            case ast.Name():
                return self._allows_name(node)
            case ast.Attribute():
                return self._allows_attribute(node)
            case ast.Constant(value=str() as text):
                return id(node) in self._harmless or text == "__main__" or not _SPECIAL_IN_TEXT.search(text)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                return not _is_special(name) or name in _SPECIAL_METHODS
            case ast.Import(names=names):
                return all(alias.name in _MODULES or alias.name == "sys" for alias in names)
            case ast.ImportFrom():
                return _allows_import(node)
            case ast.ClassDef(keywords=keywords):
                return all(_is_abstract_metaclass(keyword) for keyword in keywords)
            case ast.Call(func=ast.Name(id="type"), args=arguments):
                return len(arguments) == 1 and id(node) in self._harmless
            case ast.keyword(arg=str() as name) | ast.arg(arg=name):
                return not _is_special(name)
            case ast.MatchClass():
                return False
        return True

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Import(names=names):
                self._modules |= {alias.asname or alias.name.split(".")[0] for alias in names}
            case ast.ImportFrom(names=names):
                self._imported |= {alias.asname or alias.name for alias in names}
            case ast.Expr(value=ast.Constant() as text):
                self._harmless.add(id(text))
            case ast.Attribute(value=base):
                self._harmless.add(id(base))
            case ast.Call(func=function, args=arguments):
                self._harmless.add(id(function))
                if isinstance(function, ast.Name) and function.id in {
                    "isinstance",
                    "issubclass",
                    "defaultdict",
                }:
                    self._harmless.update(map(id, _inside(arguments)))
            case ast.Compare(left=left, comparators=others):
                self._harmless.update(map(id, [left, *others]))
            case ast.ClassDef(bases=bases, decorator_list=decorators):
                self._harmless.update(map(id, [*bases, *decorators]))
            case ast.ExceptHandler(type=ast.expr() as caught):
                self._harmless.update(map(id, _inside([caught])))
            case ast.arg(annotation=ast.expr() as annotation) | ast.AnnAssign(annotation=annotation):
                self._harmless.update(map(id, _inside([annotation])))
            case ast.Subscript(value=base):  # List[int], and the like
                self._harmless.add(id(base))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._harmless.update(map(id, node.decorator_list))
            self._harmless.update(map(id, _inside([node.returns] if node.returns else [])))
        self._bound.update(_bound_by(node))

    def _allows_name(self, node: ast.Name) -> bool:
        name = node.id
        if name in _BANNED_NAMES or (_is_special(name) and name not in _SPECIAL_NAMES):
            return False
        if not isinstance(node.ctx, ast.Load):
            return name not in self._modules
        if name in self._modules or name == "type":
            return id(node) in self._harmless
        if name in self._imported:
            return id(node) in self._harmless or not _LOOKS_LIKE_A_CLASS.match(name)
        return name in self._bound or hasattr(builtins, name) or name in _SPECIAL_NAMES

    def _allows_attribute(self, node: ast.Attribute) -> bool:
        name, base = node.attr, node.value
        loads = isinstance(node.ctx, ast.Load)
        if name in _BANNED_ATTRIBUTES or _is_special(name):
            # Only an operator or a constructor may be called by its name.
            return loads and name in _SPECIAL_METHODS
        if isinstance(base, ast.Name) and base.id in self._modules:
            if not loads or name.startswith("_") or name in _MODULE_NAMES:
                return False
            if base.id == "sys":
                return name in _OF_SYS
            return id(node) in self._harmless or not _LOOKS_LIKE_A_CLASS.match(name)
        if not loads:
            return isinstance(base, (ast.Name, ast.Attribute, ast.Subscript)) and self._is_own(base)
        # A text can look into any object that it formats.
        return name != "format" or isinstance(base, ast.Constant)

    def _is_own(self, node: ast.expr) -> bool:
        while isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        return isinstance(node, ast.Name) and node.id not in self._modules | self._imported


def _allows_import(node: ast.ImportFrom) -> bool:
    names = {alias.name for alias in node.names}
    if node.level or node.module not in _MODULES | {"sys"}:
        return False
    if node.module == "sys":
        return names <= _OF_SYS
    if "*" in names:
        return node.module in {"math", "typing", "itertools"}
    return node.module == "__future__" or not any(
        name in _MODULE_NAMES or name in _BANNED_NAMES or name.startswith("_") for name in names
    )


def _bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name):
            yield name
        case ast.MatchStar(name=str() as name) | ast.MatchMapping(rest=str() as name):
            yield name
        case ast.ImportFrom(module=str() as module, names=[ast.alias(name="*")]):
            yield from vars(sys.modules[module]) if module in sys.modules else ()


def _inside(expressions: list[ast.expr]) -> Iterator[ast.AST]:
    for expression in expressions:
        yield from ast.walk(expression)


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_abstract_metaclass(keyword: ast.keyword) -> bool:
    name = getattr(keyword.value, "id", None) or getattr(keyword.value, "attr", None)
    return keyword.arg == "metaclass" and name == "ABCMeta"
