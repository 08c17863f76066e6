"""Static check that a Python program is side-effect free: unable to change anything but its own objects.

A side-effect-free program uses a subset of the language in which it cannot reach objects that it was not
given: no frames, no interpreter internals, no attribute by a computed name, only those parts of the library
that `safety_rules` lists, and no library class as a value that could be changed. Another program can follow
in its process, and a test in the same interpreter is not tampered with, provided that the program names
nothing that the test defines (`shared_process` checks this). The operators of its own classes remain
(`operator_checks` checks these). In doubtful cases the program counts as not side-effect free.

Most programs pass by their code objects: no classes, no attributes set, no name that is dangerous anywhere.
The others are checked node by node, and at the end by rules that depend on names which may be bound later.
"""

import ast
import dis
import re
import sys
import types
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python import safety_rules
from testbudget.executors.execution.languages.python.safety_rules import (
    ASSIGNABLE,
    BANNED_ATTRIBUTES,
    BANNED_NAMES,
    CALLS_NOTHING,
    LOOKS_LIKE_A_CLASS,
    READABLE,
    SPECIAL_METHODS,
    TAKES_CLASSES,
    ExpressionPlace,
    UnsafeProgramError,
    asks_for_class,
    base_name,
    is_of_class,
    is_special,
    is_type,
    require,
    require_attribute,
    require_part,
    require_path,
)

# Names that need the check by node, whether variables, attributes or modules.
_NEED_NODE_CHECK = (
    (sys.stdlib_module_names - safety_rules.CONSTANT_MODULES)
    | safety_rules.names_leading_out()
    | BANNED_NAMES
    | BANNED_ATTRIBUTES
    | {"type", "format", "register", "wraps", "total_ordering", "cached_property"}
)
_IMPORT = dis.opmap["IMPORT_NAME"]
_SUSPECT = ("LOAD_BUILD_CLASS", "STORE_ATTR", "DELETE_ATTR", "MATCH_CLASS", "IMPORT_STAR")
_SUSPECT_OPERATIONS = re.compile(b"[%b]" % re.escape(bytes(dis.opmap[name] for name in _SUSPECT)))


def is_side_effect_free(text: str, code: types.CodeType) -> bool:
    """Return whether a program is side-effect free.

    Args:
        text: the program.
        code: its code object.
    """
    if _is_plain(code):
        return True
    try:
        _SideEffectCheck().check(ast.parse(text))
    except (UnsafeProgramError, RecursionError, MemoryError):
        return False
    return True


def _is_plain(code: types.CodeType) -> bool:
    """Return whether a program needs no check by node."""
    names = code.co_names
    if not _NEED_NODE_CHECK.isdisjoint(names):
        return False
    for name in names:
        if (name[:1] == "_" and name != "_") or name[:6] == "assert":
            return False
    operations = code.co_code[::2]
    if _SUSPECT_OPERATIONS.search(operations):
        return False
    if _IMPORT in operations:
        if len(names) > 256:  # the number of a name could then take more than a byte
            return False
        numbers = code.co_code[1::2]
        imports = (number for step, number in zip(operations, numbers, strict=True) if step == _IMPORT)
        if not safety_rules.CONSTANT_MODULES.issuperset(names[number] for number in imports):
            return False
    return all(_is_plain(part) for part in code.co_consts if type(part) is types.CodeType)


class _SideEffectCheck:
    """Check of one program, node by node."""

    def __init__(self) -> None:
        self._stack: list[tuple[ast.AST, ExpressionPlace]] = []
        self._modules: dict[str, str] = {}
        self._imported: dict[str, tuple[str, str]] = {}
        self._defined: set[str] = set()  # names of functions and classes
        self._bound: set[str] = set()  # names bound in any other way
        self._named: defaultdict[ExpressionPlace, set[str]] = defaultdict(set)
        self._trusted: set[str] = set()  # names taken for what they are everywhere else
        self._attributes: list[tuple[str, list[str], ExpressionPlace, bool]] = []  # True: it is read
        self._used: set[str] = set()  # attributes by whatever name
        self._set_on: set[str] = set()
        self._registered_with: set[str] = set()
        self._private_of: set[str] = set()
        self._parents: set[str] = set()
        self._called_widely: set[str] = set()
        self._opens = self._has_classes = self._hands_on_types = False

    def check(self, tree: ast.Module) -> None:
        """Check all nodes.

        Raises:
            UnsafeProgramError: a rule is broken.
        """
        stack = self._stack
        stack.append((tree, ExpressionPlace.VALUE))
        while stack:
            node, place = stack.pop()
            handler = _HANDLERS.get(type(node), _SideEffectCheck._anything)
            handler(self, node, place)
        self._conclude()

    def _push(self, content: object, place: ExpressionPlace = ExpressionPlace.VALUE) -> None:
        if type(content) is list:
            self._stack += [(node, place) for node in content if isinstance(node, ast.AST)]
        elif isinstance(content, ast.AST):
            self._stack.append((content, place))

    def _anything(self, node: ast.AST, _: ExpressionPlace) -> None:
        for field in _FIELDS[type(node)]:
            self._push(getattr(node, field))

    def _nothing(self, _: ast.AST, __: ExpressionPlace) -> None:
        pass

    def _collection(self, node: ast.AST, place: ExpressionPlace) -> None:
        if place not in {ExpressionPlace.TYPE, ExpressionPlace.COMPARED}:
            place = ExpressionPlace.VALUE
        for field in _FIELDS[type(node)]:
            self._push(getattr(node, field), place)

    def _name(self, node: ast.Name, place: ExpressionPlace) -> None:
        name = node.id
        if type(node.ctx) is not ast.Load:
            self._bind(name)
            return
        if name[:2] == "__" and name[-2:] == "__":
            require(name in READABLE)
        require(name not in BANNED_NAMES)
        require(name != "type" or place in {ExpressionPlace.TYPE, ExpressionPlace.COMPARED})
        self._named[place].add(name)

    def _attribute(self, node: ast.Attribute, place: ExpressionPlace) -> None:
        name, base, reads = node.attr, node.value, type(node.ctx) is ast.Load
        self._used.add(name)
        require_attribute(node, place)
        if name == "register":
            self._registered_with.add(base_name(base))
        elif name[0] == "_":
            self._private_of.add(base_name(base))
        if not reads:
            require(not is_of_class(base))
            self._set_on.add(base_name(base))
        path, inner = [name], base
        while type(inner) is ast.Attribute:
            path.append(inner.attr)
            inner = inner.value
        if type(inner) is ast.Name:
            self._attributes.append((inner.id, path, place, reads))
        self._push(base, ExpressionPlace.BASE)

    def _call(self, node: ast.Call, place: ExpressionPlace) -> None:
        function, arguments, keywords = node.func, node.args, node.keywords
        name = function.id if type(function) is ast.Name else ""
        starred = any(type(one) is ast.Starred for one in arguments) or any(not one.arg for one in keywords)
        self._push([self._stream_itself(one) if name == "print" else one for one in keywords])
        if name == "type":
            require(len(arguments) == 1 and not starred and not keywords)
            self._hands_on_types |= place in {ExpressionPlace.VALUE, ExpressionPlace.READ}
        elif name == "getattr":
            require(len(arguments) > 1 and type(arguments[1]) is ast.Constant)
            attribute = ast.Attribute(arguments[0], str(arguments[1].value), ast.Load())  # type: ignore[attr-defined]
            self._push([attribute, *arguments[2:]])
            return
        elif name == "open":
            self._opens = True
        elif name in TAKES_CLASSES:
            self._trusted.add(name)
            first = name != "defaultdict"
            self._push(arguments[:first])
            self._push(arguments[first:], ExpressionPlace.TYPE)
            return
        else:
            if asks_for_class(function):
                # With one argument or three, the class of a class would be asked for a class.
                require(
                    not starred and (len(arguments) in {0, 2} or (len(arguments) == 1 and bool(keywords)))
                )
            if starred or len(arguments) > 2:
                self._called_widely.add(name)
            wraps = (name or getattr(function, "attr", "")) == "wraps"
            wrapping = wraps and len(arguments) == 1 and not starred and not keywords
            self._push(function, ExpressionPlace.WRAPPING if wrapping else ExpressionPlace.CALLED)
        self._push(arguments)

    def _compare(self, node: ast.Compare, _: ExpressionPlace) -> None:
        operands = [node.left, *node.comparators]
        names: set[str] = set()
        types_only = any(map(asks_for_class, operands)) and all(is_type(one, names) for one in operands)
        self._trusted |= names if types_only else set()
        self._push(operands, ExpressionPlace.COMPARED if types_only else ExpressionPlace.VALUE)

    def _subscript(self, node: ast.Subscript, place: ExpressionPlace) -> None:
        name = node.value.id if type(node.value) is ast.Name else ""
        type_only = place is ExpressionPlace.TYPE or name in safety_rules.ALIASES
        if name in safety_rules.ALIASES:
            self._trusted.add(name)
        require(type_only or name != "type")
        reads = ExpressionPlace.READ if type(node.ctx) is ast.Load else ExpressionPlace.VALUE
        self._push(node.value, ExpressionPlace.TYPE if type_only else reads)
        self._push(node.slice, ExpressionPlace.TYPE if type_only else ExpressionPlace.VALUE)

    def _class(self, node: ast.ClassDef, _: ExpressionPlace) -> None:
        self._has_classes = True
        self._define(node.name)
        for keyword in node.keywords:
            metaclass = getattr(keyword.value, "id", None) or getattr(keyword.value, "attr", None)
            require(keyword.arg == "metaclass" and metaclass == "ABCMeta")
            self._parents.add(base_name(keyword.value))
        for parent in node.bases:
            require(base_name(parent) != "type" and not asks_for_class(parent))
            self._parents.add(base_name(parent))
        self._push([*node.bases, *node.decorator_list], ExpressionPlace.TYPE)
        self._push(node.body)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, _: ExpressionPlace) -> None:
        self._define(node.name)
        self._push(node.decorator_list, ExpressionPlace.TYPE)
        self._push(node.returns, ExpressionPlace.TYPE)
        self._push(node.args)
        self._push(node.body)

    def _define(self, name: str) -> None:
        require(not is_special(name) or name in SPECIAL_METHODS)
        self._defined.add(name)

    def _bind(self, name: str | None) -> None:
        if name is not None:
            require(not is_special(name) or name in ASSIGNABLE)
            self._bound.add(name)

    def _argument(self, node: ast.arg, _: ExpressionPlace) -> None:
        self._bind(node.arg)
        self._push(node.annotation, ExpressionPlace.TYPE)

    def _annotated(self, node: ast.AnnAssign, _: ExpressionPlace) -> None:
        self._push(node.annotation, ExpressionPlace.TYPE)
        self._push(node.target)
        self._push(node.value)

    def _caught(self, node: ast.ExceptHandler, _: ExpressionPlace) -> None:
        self._bind(node.name)
        self._push(node.type, ExpressionPlace.TYPE)
        self._push(node.body)

    def _declared(self, node: ast.Global | ast.Nonlocal, _: ExpressionPlace) -> None:
        for name in node.names:
            self._bind(name)

    def _shown(self, node: ast.FormattedValue, _: ExpressionPlace) -> None:
        self._push(node.value, ExpressionPlace.SHOWN)
        self._push(node.format_spec)

    def _keyword(self, node: ast.keyword, _: ExpressionPlace) -> None:
        require(node.arg is None or not is_special(node.arg))
        self._push(node.value)

    def _stream_itself(self, node: ast.keyword) -> ast.keyword:
        """Node to check instead of ``file=sys.stdout``, the only place where a stream may be a value."""
        value = node.value
        if node.arg == "file" and type(value) is ast.Attribute and value.attr in {"stdout", "stderr"}:
            self._trusted.add("print")
            return ast.keyword("file", ast.Attribute(value, "write", ast.Load()))
        return node

    def _match_class(self, node: ast.MatchClass, _: ExpressionPlace) -> None:
        self._push(node.cls, ExpressionPlace.TYPE)
        for name in node.kwd_attrs:
            self._used.add(name)
            require(name[0] != "_" and name not in BANNED_ATTRIBUTES and name[:6] != "assert")
        self._push(node.patterns)
        self._push(node.kwd_patterns)

    def _match_name(self, node: ast.MatchAs | ast.MatchStar, _: ExpressionPlace) -> None:
        self._bind(node.name)
        self._push(getattr(node, "pattern", None))

    def _match_mapping(self, node: ast.MatchMapping, _: ExpressionPlace) -> None:
        self._bind(node.rest)
        self._push(node.keys)
        self._push(node.patterns)

    def _import(self, node: ast.Import, _: ExpressionPlace) -> None:
        for alias in node.names:
            first = alias.name.partition(".")[0]
            require(alias.name in safety_rules.ALLOWED and first in safety_rules.ALLOWED)
            local, module = (alias.asname, alias.name) if alias.asname else (first, first)
            require(not is_special(local) and self._modules.setdefault(local, module) == module)

    def _import_from(self, node: ast.ImportFrom, _: ExpressionPlace) -> None:
        module = node.module or ""
        require(node.level == 0 and module in safety_rules.ALLOWED)
        for alias in node.names:
            local, inner = alias.asname or alias.name, f"{module}.{alias.name}"
            if alias.name == "*":
                names = safety_rules.names_for_all(module)
                require(names <= safety_rules.ALLOWED[module] | BANNED_NAMES)
                self._imported.update({name: (module, name) for name in names})
            elif inner in safety_rules.ALLOWED:
                require(not is_special(local) and self._modules.setdefault(local, inner) == inner)
            else:
                require(alias.name in safety_rules.ALLOWED[module] and not is_special(local))
                origin = (module, alias.name)
                require(self._imported.setdefault(local, origin) == origin)

    def _conclude(self) -> None:
        """Apply the rules that need to know all names."""
        modules, imported = self._modules.keys(), self._imported.keys()
        origins = {*self._modules.values(), *(module for module, _ in self._imported.values())}
        own = self._bound | self._defined
        require(modules.isdisjoint(own | imported))
        require(self._trusted.isdisjoint(self._bound))
        require(
            self._defined.isdisjoint(name for name in self._trusted if not LOOKS_LIKE_A_CLASS.match(name))
        )
        require(self._set_on <= own | {""} and self._set_on.isdisjoint(imported))
        for place, names in self._named.items():
            require(place is ExpressionPlace.BASE or names.isdisjoint(modules))
            for name in names & imported:
                require_part(self._imported[name][1], place)
        for name, path, place, reads in self._attributes:
            if name in modules:
                require(reads)
                require_path(self._modules[name], path, place)
        if self._registered_with:  # or else numbers could be made to count as sequences
            require(self._registered_with.isdisjoint(modules | imported))
            require(self._parents.isdisjoint(modules | imported))
        for key, attributes in safety_rules.FORBIDDEN_WITH.items():
            if key in origins or (key == "open" and self._opens):
                require(attributes.isdisjoint(self._used))
        if not safety_rules.WITH_PRIVATE_STATE.isdisjoint(origins):
            require(self._private_of <= {"self", "cls"})
        if self._hands_on_types:
            # With these it could change or create a class.
            require(not (origins or self._set_on or self._has_classes))
            require(self._called_widely <= CALLS_NOTHING - own)


_UNINTERESTING = frozenset({"ctx", "op", "ops", "type_comment", "type_ignores", "is_async", "conversion"})
_FIELDS = {
    kind: tuple(field for field in kind._fields if field not in _UNINTERESTING)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
_HANDLERS: dict[type, Callable[[Any, Any, ExpressionPlace], None]] = {
    ast.AnnAssign: _SideEffectCheck._annotated,
    ast.AsyncFunctionDef: _SideEffectCheck._function,
    ast.Attribute: _SideEffectCheck._attribute,
    ast.BinOp: _SideEffectCheck._collection,
    ast.Call: _SideEffectCheck._call,
    ast.ClassDef: _SideEffectCheck._class,
    ast.Compare: _SideEffectCheck._compare,
    ast.Constant: _SideEffectCheck._nothing,
    ast.ExceptHandler: _SideEffectCheck._caught,
    ast.FormattedValue: _SideEffectCheck._shown,
    ast.FunctionDef: _SideEffectCheck._function,
    ast.Global: _SideEffectCheck._declared,
    ast.Import: _SideEffectCheck._import,
    ast.ImportFrom: _SideEffectCheck._import_from,
    ast.List: _SideEffectCheck._collection,
    ast.MatchAs: _SideEffectCheck._match_name,
    ast.MatchClass: _SideEffectCheck._match_class,
    ast.MatchMapping: _SideEffectCheck._match_mapping,
    ast.MatchStar: _SideEffectCheck._match_name,
    ast.Name: _SideEffectCheck._name,
    ast.Nonlocal: _SideEffectCheck._declared,
    ast.Set: _SideEffectCheck._collection,
    ast.Starred: _SideEffectCheck._collection,
    ast.Subscript: _SideEffectCheck._subscript,
    ast.Tuple: _SideEffectCheck._collection,
    ast.arg: _SideEffectCheck._argument,
    ast.keyword: _SideEffectCheck._keyword,
}
