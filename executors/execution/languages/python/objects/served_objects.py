"""Requests of a candidate for the objects of a test that it was handed."""

from __future__ import annotations

import types
import unittest
from typing import Any

from testbudget.executors.execution.languages.python.caveats import caveats_of_numbers
from testbudget.executors.execution.languages.python.objects import access
from testbudget.executors.execution.languages.python.objects.contents import NotCarriedError
from testbudget.executors.execution.languages.python.objects.names import JudgeNames
from testbudget.executors.execution.languages.python.objects.operator_requests import OperatorRequests
from testbudget.executors.execution.languages.python.objects.python_calls import special_call
from testbudget.executors.execution.languages.python.objects.settings import JudgeSettings
from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError, Pipe
from testbudget.executors.execution.languages.python.reasons import shown

_EMPTY = frozenset({bool, int, float, str, list, dict, set, tuple})
_COMPARES = frozenset({"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__"})


class ObjectServer(OperatorRequests):
    """Peer of a judge that serves the candidate's requests, within the rules of ``access``."""

    def __init__(self, pipe: Pipe, names: JudgeNames) -> None:
        super().__init__(pipe, names)
        self.settings: JudgeSettings | None = None
        self._written: set[tuple[int, str]] = set()
        self._made_there: dict[int, tuple[Any, list[Any]]] = {}

    def note_raised(self, error: BaseException) -> None:  # noqa: D102
        if isinstance(error, access.RefusedError):
            self.lose(f"The candidate asked for something of the test's that it does not get: {error}.")
        elif isinstance(error, AssertionError) and self.number_of(error) is None:
            self.doubt(f"An assertion of the test failed within the candidate: {shown(error.args)}.")

    def serve(self, message: list[Any]) -> tuple[Any, Any]:  # noqa: D102
        self.note_called_back()
        operation = _OPERATIONS.get(message[0][0])
        if operation is None:
            raise BrokenPairError("no request")
        return operation(self, message)

    def _target(self, message: list[Any]) -> Any:
        try:
            return self.mine[message[0][1]]
        except (LookupError, TypeError):
            raise BrokenPairError("no object of the test") from None

    def serve_call(self, message: list[Any]) -> tuple[Any, Any]:
        """Call an object of the test."""
        target = self._target(message)
        arguments, keywords = self._arguments(message, 2)
        access.check_call(target)
        value = target(*arguments, **keywords)
        if self.names.was_given(target):  # an instance that the candidate makes, with what it gave
            self._made_there[id(value)] = value, [*arguments, *keywords.values()]
        return value, ()

    def _check_made(self, target: Any, name: str, value: Any) -> None:
        """Doubt what the test's class adds to an instance that the candidate has made of it."""
        _, given = self._made_there.get(id(target), (None, None))
        if given is None or (id(target), name) in self._written:
            return
        own = name in getattr(target, "__dict__", ()) or name in getattr(type(target), "__slots__", ())
        known = value is None or self.number_of(value) is not None or any(value is one for one in given)
        if not own or not (known or (type(value) in _EMPTY and not value)):
            self._doubt_given(type(target))

    def serve_method(self, message: list[Any]) -> tuple[Any, Any]:
        """Call a method of an object of the test."""
        target, name = self._target(message), self._name(message)
        arguments, keywords = self._arguments(message, 3)
        access.check_read(target, name)
        self._check_given(type(target))
        method = getattr(target, name)
        access.check_call(method)
        return method(*arguments, **keywords), ()

    def serve_get(self, message: list[Any]) -> tuple[Any, Any]:
        """Read an attribute of an object of the test."""
        target, name = self._target(message), self._name(message)
        self.read_request(message, 3)
        if (id(target), name) not in self._written:
            access.check_read(target, name)
            self._check_given(target)
        value = getattr(target, name)
        self._check_made(target, name, value)
        return value, ()

    def _check_given(self, kind: Any) -> None:
        """Doubt more than instances of a class that the candidate has only by its name."""
        if self.names.was_given(kind):
            self._doubt_given(kind)

    def _doubt_given(self, kind: type) -> None:
        self.doubt(f"The candidate uses the class {kind.__name__} of the test, which it did not get.")

    def serve_set(self, message: list[Any]) -> tuple[Any, Any]:
        """Set an attribute of an object of the test."""
        target, name = self._target(message), self._name(message)
        (value,) = self._values(message, 3, 1)
        self._check_write(target, name)
        if id(target) in self._made_there:
            self._made_there[id(target)][1].append(value)
        if isinstance(getattr(target, "__dict__", {}).get(name), types.FunctionType):
            self.doubt("The candidate replaced a function of the test.")
        setattr(target, name, value)
        return None, ()

    def _check_write(self, target: Any, name: str) -> None:
        """Check a write; a private name that the class does not know is the candidate's own."""
        own = (
            name[:1] == "_"
            and name[:2] != "__"
            and type(target).__module__ in access.OWN_MODULES
            and not isinstance(target, type)
        )
        self._check_given(target)
        if own and ((id(target), name) in self._written or not hasattr(target, name)):
            self._written.add((id(target), name))
            self.mine.setdefault(-id(target), target)  # keeps its id
        else:
            access.check_write(target, name)

    def serve_delete(self, message: list[Any]) -> tuple[Any, Any]:
        """Delete an attribute of an object of the test."""
        target, name = self._target(message), self._name(message)
        self.read_request(message, 3)
        self._check_write(target, name)
        delattr(target, name)
        return None, ()

    def _items(self, message: list[Any]) -> tuple[dict[str, Any], str]:
        """``__dict__`` of an object of the test and a name in it that is the candidate's own.

        It is if the class of the object has a descriptor of the candidate under this name, or if the
        name is private and new.
        """
        target, name = self._target(message), self._name(message)
        kind = type(target)
        descriptor = next((vars(one)[name] for one in kind.__mro__ if name in vars(one)), None)
        if kind.__module__ not in access.OWN_MODULES or isinstance(target, unittest.TestCase | type):
            raise access.RefusedError("__dict__")
        if self.number_of(descriptor) is None:
            self._check_write(target, name)
        return object.__getattribute__(target, "__dict__"), name

    def serve_read(self, message: list[Any]) -> tuple[Any, Any]:
        """Read an item of the ``__dict__`` of an object of the test."""
        items, name = self._items(message)
        self.read_request(message, 3)
        return items[name], ()

    def serve_write(self, message: list[Any]) -> tuple[Any, Any]:
        """Set an item of the ``__dict__`` of an object of the test."""
        items, name = self._items(message)
        (items[name],) = self._values(message, 3, 1)
        return None, ()

    def serve_pop(self, message: list[Any]) -> tuple[Any, Any]:
        """Delete an item of the ``__dict__`` of an object of the test."""
        items, name = self._items(message)
        return items.pop(name, *self.read_request(message, 3)), ()

    def serve_special(self, message: list[Any]) -> tuple[Any, Any]:
        """Call a special method of an object of the test."""
        target, name = self._target(message), self._name(message)
        arguments = self.read_request(message, 3)
        access.check_special(target, name)
        if id(target) in self._made_there and (
            name not in _COMPARES or any(type(one) is not type(target) for one in arguments)
        ):
            self._doubt_given(type(target))
        return special_call(target, name, arguments), ()

    def serve_input(self, message: list[Any]) -> tuple[Any, Any]:
        """Read from the test's standard input."""
        request = self._name([[None, *message[0]]])
        arguments = self.read_request(message, 2)
        if self.settings is None:
            raise BrokenPairError("no settings yet")
        return self.settings.answer(request, arguments), ()

    def serve_await(self, message: list[Any]) -> tuple[Any, Any]:
        """Run a coroutine of the test to its end."""
        target = self._target(message)
        self.read_request(message, 2)
        if not isinstance(target, types.CoroutineType):
            raise NotCarriedError("an awaitable object of the test")
        import asyncio  # slow to load, and few tests need it

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(target), ()
        raise NotCarriedError("a coroutine of the test inside of an event loop")

    def _name(self, message: list[Any]) -> str:
        body = message[0]
        if len(body) < 3 or type(body[2]) is not str:
            raise BrokenPairError("no name")
        return body[2]

    def _values(self, message: list[Any], first: int, count: int) -> list[Any]:
        values = self.read_request(message, first)
        if len(values) != count:
            raise BrokenPairError("another number of values")
        return values

    def _arguments(self, message: list[Any], first: int) -> tuple[list[Any], dict[str, Any]]:
        values = self.read_request(message, first)
        try:
            pairs, *arguments = values
            keywords = dict(pairs or ())
        except (TypeError, ValueError):
            raise BrokenPairError("no arguments") from None
        if not all(type(name) is str for name in keywords):
            raise BrokenPairError("no keywords")
        self.caveats.update(caveats_of_numbers([*arguments, *keywords.values()]))
        return arguments, keywords


_OPERATIONS = {
    "call": ObjectServer.serve_call,
    "meth": ObjectServer.serve_method,
    "get": ObjectServer.serve_get,
    "set": ObjectServer.serve_set,
    "del": ObjectServer.serve_delete,
    "read": ObjectServer.serve_read,
    "write": ObjectServer.serve_write,
    "pop": ObjectServer.serve_pop,
    "sp": ObjectServer.serve_special,
    "await": ObjectServer.serve_await,
    "ask": ObjectServer.serve_input,
}
