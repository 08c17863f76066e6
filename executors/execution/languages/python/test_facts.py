"""Facts about a Python test, found in one walk over its syntax tree."""

import ast
from collections.abc import Callable
from typing import Any, NamedTuple

from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.interpreting_calls import InterpretingCalls
from testbudget.executors.execution.languages.python.library_tables import (
    FORGOTTEN_IMPORTS,
    FORGOTTEN_NAMES,
    PLAIN_DUNDERS,
    PLAIN_MEMBERS,
    PLAIN_MODULES,
    STATEFUL_MEMBERS,
    STATEFUL_METHODS,
    STATEFUL_NAMES,
)
from testbudget.executors.execution.languages.python.syntax import (
    BUILTINS,
    is_singleton,
    names_in,
    pytest_names,
    top_level_functions,
)

_TAKES_A_CLASS = frozenset(
    "isinstance issubclass assertIsInstance assertNotIsInstance assertRaises assertRaisesRegex "
    "raises".split()
)
_SECOND_IS_A_CLASS = frozenset("isinstance issubclass assertIsInstance assertNotIsInstance".split())
_NO_NODES = frozenset({"ctx", "op", "ops", "type_comment", "kind", "conversion"})
_FIELDS: dict[type, tuple[str, ...]] = {}  # that may hold nodes, by class of node
_PROTOCOL_FIXTURES = frozenset("capsys capfd caplog monkeypatch recwarn tmp_path tmpdir".split())


class FactsOfTest(NamedTuple):
    """Facts about a test.

    Attributes:
        plain_calls: True if the test seems to exchange only plain data with the candidate.
        functions: names that it calls and does not define.
        other_names: names that it uses in other ways and does not define, or may replace.
        uncalled: functions that pytest would call and the test does not, and ``check`` if it is not called.
        forgotten: modules that it uses without importing them, as (name, module).
        caveat: sentence that says why a pass is not confirmed; empty if it is.
    """

    plain_calls: bool
    functions: tuple[str, ...]
    other_names: tuple[str, ...]
    uncalled: tuple[str, ...]
    forgotten: tuple[tuple[str, str], ...]
    caveat: str


def find_facts(tree: ast.Module, entry_point: str | None, *, shares_names: bool = False) -> FactsOfTest:
    """Find the facts about a test.

    Args:
        tree: its syntax tree.
        entry_point: name of the function or class under test; None if unknown.
        shares_names: True if the test is written to run in the namespace of the candidate, where a variable
            of its own may be meant to replace one of the candidate's.
    """
    walk = _Walk(entry_point)
    for statement in tree.body:
        walk.visit(statement)
    facts = walk.facts(tree)
    replaced = walk.replaced() if shares_names else set()
    return facts._replace(other_names=tuple(sorted(replaced.union(facts.other_names))))


class _Scope:
    """Names of one function, class or module."""

    __slots__ = ("bound", "declared_global", "is_class", "loaded", "parent")

    def __init__(self, parent: "_Scope | None", *, is_class: bool = False) -> None:
        self.parent = parent
        self.is_class = is_class
        self.bound: set[str] = set()
        self.loaded: set[str] = set()
        self.declared_global: set[str] = set()


class _Walk:
    """Walk over the syntax tree of a test."""

    def __init__(self, entry_point: str | None) -> None:
        self._entry_point = entry_point
        self._plain = True
        self._module = _Scope(None)
        self._scope = self._module
        self._called: set[str] = set()
        self._attributes: dict[str, set[str]] = {}  # by the name that they are attributes of
        self._taken_as_objects: set[str] = set()
        self._from_module: set[str] = set()
        self._imported: dict[str, str] = {}  # name -> module or module.member
        self._interpreting = InterpretingCalls(self._imported)

    def facts(self, tree: ast.Module) -> FactsOfTest:
        """All facts, after the visit of each statement."""
        scope = self._module
        uncalled = tuple(name for name in pytest_names(tree) if name not in scope.loaded)
        if "check" in uncalled and self._entry_point:
            scope.loaded.add(self._entry_point)  # its argument
        forgotten = {
            name: FORGOTTEN_IMPORTS[name]
            for name in scope.loaded - scope.bound
            if name in FORGOTTEN_IMPORTS and name != self._entry_point and self._is_module(name)
        }
        bound = scope.bound | forgotten.keys()
        builtin = BUILTINS - {self._entry_point}
        free = (scope.loaded - bound - builtin) | self._from_module
        called = self._called | ({self._entry_point} if self._entry_point else set())
        functions = free & called
        others = (free - functions) | (free & (self._taken_as_objects | self._attributes.keys()))
        forgotten_names = (free & FORGOTTEN_NAMES) - {self._entry_point} - self._from_module
        plain = self._plain and self._entry_point not in others and not forgotten_names
        # A function in place of a builtin may be meant for the candidate, such as ``input``.
        plain = plain and BUILTINS.isdisjoint(top_level_functions(tree))
        return FactsOfTest(
            plain,
            tuple(sorted(functions - others)),
            tuple(sorted(others)),
            uncalled,
            tuple(sorted(forgotten.items())),
            self._interpreting.caveat(scope.bound | {str(self._entry_point)}),
        )

    def replaced(self) -> set[str]:
        """Names that the test binds for its whole module, but does not import."""
        return self._module.bound - self._imported.keys()

    def _is_module(self, name: str) -> bool:
        """Return whether a name is used as the module in the table: for members that the module has."""
        members = self._attributes.get(name)
        if not members or name in self._called:
            return False
        module = FORGOTTEN_IMPORTS[name]
        if module not in PLAIN_MODULES:
            self._plain = False
        try:
            found = __import__(module)
        except ImportError:
            return False
        return all(hasattr(found, member) for member in members)

    def visit(self, node: ast.AST) -> None:
        """Note a node and all nodes in it."""
        (_HANDLERS.get(node.__class__) or _Walk.visit_children)(self, node)

    def visit_children(self, node: ast.AST) -> None:
        """Visit the nodes that a node consists of."""
        kind = node.__class__
        names = _FIELDS.get(kind)
        if names is None:
            names = _FIELDS[kind] = tuple(name for name in node._fields if name not in _NO_NODES)
        for name in names:
            value = getattr(node, name, None)
            if value.__class__ is list:
                for item in value:
                    if item.__class__ is not str and item is not None:
                        self.visit(item)
            elif isinstance(value, ast.AST):
                self.visit(value)

    def _visit_all(self, nodes: list[Any]) -> None:
        for node in nodes:
            if node is not None:
                (_HANDLERS.get(node.__class__) or _Walk.visit_children)(self, node)

    def _expression(self, node: ast.Expr) -> None:
        self.visit(node.value)

    def _sequence(self, node: Any) -> None:
        self._visit_all(node.elts)

    def _constant(self, node: ast.Constant) -> None:
        pass

    def _name(self, node: ast.Name) -> None:
        name = node.id
        if node.ctx.__class__ is ast.Load:
            self._scope.loaded.add(name)
            if name in STATEFUL_NAMES:
                self._plain = False
            self._interpreting.note_name(node)
        else:
            self._bind(name)

    def _bind(self, name: str) -> None:
        scope = self._scope
        (self._module if name in scope.declared_global else scope).bound.add(name)

    def _attribute(self, node: ast.Attribute) -> None:
        attribute, value = node.attr, node.value
        if attribute in STATEFUL_METHODS or (attribute[:2] == "__" and attribute not in PLAIN_DUNDERS):
            self._plain = False
        if value.__class__ is ast.Name:
            base = value.id
            self._attributes.setdefault(base, set()).add(attribute)
            self._note_member(base, attribute)
            if node.ctx.__class__ is not ast.Load and base in self._imported:
                self._plain = False
        self._interpreting.note_attribute(node)
        self.visit(value)

    def _note_member(self, base: str, attribute: str) -> None:
        module = self._imported.get(base)
        if module is None:
            return
        allowed = PLAIN_MEMBERS.get(module)
        if (allowed is not None and attribute not in allowed) or attribute in STATEFUL_MEMBERS.get(
            module, ()
        ):
            self._plain = False

    def _call(self, node: ast.Call) -> None:
        function, arguments = node.func, node.args
        called = ""
        if function.__class__ is ast.Name:
            called = function.id
            self._called.add(called)
        elif function.__class__ is ast.Attribute:
            called = function.attr
        if called in _TAKES_A_CLASS:
            classes = arguments[1:2] if called in _SECOND_IS_A_CLASS else arguments[:1]
            self._taken_as_objects.update(names_in(classes))
        elif called in {"assertIs", "assertIsNot"} and not any(map(is_singleton, arguments[:2])):
            self._plain = False
        self._interpreting.note_call(node)
        self.visit(function)
        self._visit_all(arguments)
        for keyword in node.keywords:
            self.visit(keyword.value)

    def _compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        if any(operator.__class__ in {ast.Is, ast.IsNot} for operator in node.ops) and not any(
            map(is_singleton, operands)
        ):
            self._plain = False
        self._visit_all(operands)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.partition(".")[0] not in PLAIN_MODULES:
                self._plain = False
            base = alias.name.partition(".")[0]
            for member in alias.name.split(".")[1:]:
                if member in STATEFUL_MEMBERS.get(base, ()):
                    self._plain = False
            self._bind(alias.asname or base)
            self._imported[alias.asname or base] = alias.name if alias.asname else base

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = node.module or "."
        if module == MODULE:
            names = [alias.name for alias in node.names if alias.name != "*"]
            self._from_module.update(names)
            self._called.update(names)
            # The use of an alias cannot be followed by name.
            if any(alias.asname not in {None, alias.name} for alias in node.names):
                self._plain = False
            return
        base, _, rest = module.partition(".")
        if base not in PLAIN_MODULES or rest.partition(".")[0] in STATEFUL_MEMBERS.get(base, ()):
            self._plain = False
        for alias in node.names:
            name = alias.asname or alias.name
            self._bind(name)
            self._imported[name] = f"{module}.{alias.name}"
            if alias.name == "*":
                self._interpreting.note_import(module)
                self._plain = False
            allowed = PLAIN_MEMBERS.get(module)
            if (allowed is not None and alias.name not in allowed and alias.name != "*") or (
                alias.name in STATEFUL_MEMBERS.get(module, ()) or alias.name in STATEFUL_METHODS
            ):
                self._plain = False

    def _function(self, node: Any) -> None:
        if node.__class__ is ast.AsyncFunctionDef:
            self._plain = False
        self._bind(node.name)
        self._visit_all(node.decorator_list)
        if node.returns is not None:
            self.visit(node.returns)
        self._enter(node.args, node.body)

    def _lambda(self, node: ast.Lambda) -> None:
        self._enter(node.args, [node.body])

    def _enter(self, arguments: ast.arguments, body: list[Any]) -> None:
        self._visit_all([*arguments.defaults, *arguments.kw_defaults])
        parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        parameters += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
        self._visit_all([parameter.annotation for parameter in parameters])
        scope = self._open()
        names = [parameter.arg for parameter in parameters]
        scope.bound.update(names)
        if not _PROTOCOL_FIXTURES.isdisjoint(names):
            self._plain = False
        self._visit_all(body)
        self._close()

    def _open(self, *, is_class: bool = False) -> _Scope:
        self._scope = _Scope(self._scope, is_class=is_class)
        return self._scope

    def _close(self) -> None:
        """Leave a scope: what it loads and does not bind belongs to the function or module around it."""
        scope = self._scope
        outer = scope.parent
        assert outer is not None
        self._scope = outer
        free = scope.loaded - scope.bound
        if scope.is_class:  # it reads a global of the same name before it binds it
            free |= scope.loaded & {self._entry_point}
        self._module.loaded.update(scope.declared_global & scope.loaded)
        while outer.is_class and outer.parent is not None:
            outer = outer.parent
        outer.loaded.update(free - scope.declared_global)

    def _class(self, node: ast.ClassDef) -> None:
        self._bind(node.name)
        self._taken_as_objects.update(names_in(node.bases))
        self._visit_all(node.decorator_list)
        self._visit_all(node.bases)
        for keyword in node.keywords:
            self.visit(keyword.value)
        self._open(is_class=True)
        self._visit_all(node.body)
        self._close()

    def _comprehension(self, node: Any) -> None:
        self._open()
        self.visit_children(node)
        self._close()

    def _assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def _named(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._bind(node.target.id)

    def _global(self, node: ast.Global) -> None:
        self._scope.declared_global.update(node.names)
        self._module.bound.update(node.names)

    def _handler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name)
        if node.type is not None:
            self._taken_as_objects.update(names_in([node.type]))
            self.visit(node.type)
        self._visit_all(node.body)

    def _capture(self, node: Any) -> None:
        if node.name:
            self._bind(node.name)
        self.visit_children(node)

    def _match_class(self, node: ast.MatchClass) -> None:
        self._taken_as_objects.update(names_in([node.cls]))
        self.visit_children(node)


_HANDLERS: dict[type, Callable[[_Walk, Any], None]] = {
    ast.Constant: _Walk._constant,
    ast.Expr: _Walk._expression,
    ast.List: _Walk._sequence,
    ast.Tuple: _Walk._sequence,
    ast.Name: _Walk._name,
    ast.Assign: _Walk._assign,
    ast.Attribute: _Walk._attribute,
    ast.Call: _Walk._call,
    ast.Compare: _Walk._compare,
    ast.Import: _Walk._import,
    ast.ImportFrom: _Walk._import_from,
    ast.FunctionDef: _Walk._function,
    ast.AsyncFunctionDef: _Walk._function,
    ast.Lambda: _Walk._lambda,
    ast.ClassDef: _Walk._class,
    ast.ListComp: _Walk._comprehension,
    ast.SetComp: _Walk._comprehension,
    ast.DictComp: _Walk._comprehension,
    ast.GeneratorExp: _Walk._comprehension,
    ast.NamedExpr: _Walk._named,
    ast.Global: _Walk._global,
    ast.ExceptHandler: _Walk._handler,
    ast.MatchAs: _Walk._capture,
    ast.MatchStar: _Walk._capture,
    ast.MatchClass: _Walk._match_class,
}
