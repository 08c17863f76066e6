"""Methods of mirrors: parts of a class that stand for methods of the other process."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python.objects import tables
from testbudget.executors.execution.languages.python.objects.proxy_peer import Current


class MethodStub:
    """Method of a mirror by name; once bound, a call of it is one request.

    Attributes:
        name: the name.
        owner: the mirror.
        original: proxy of the method, once the test has replaced it.
    """

    __slots__ = ("name", "original", "owner")

    def __init__(self, name: str) -> None:
        self.name = name
        self.owner: Any = None
        self.original: Any = None

    def resolve(self) -> Any:
        """Proxy of the method itself."""
        return self.original or Current.peer.get_attribute(self.owner, self.name)

    @property  # type: ignore[misc]  # as mocks with a specification look for it
    def __class__(self) -> type:
        return types.FunctionType

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.resolve())

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the method as a function of the class."""
        return self.resolve()(*arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        if name in tables.READABLE_DUNDERS:
            return getattr(self.resolve(), name)
        raise AttributeError(name)

    def __get__(self, instance: Any, kind: Any = None) -> Any:
        if instance is None:
            return Current.peer.get_attribute(kind, self.name)
        return BoundStub(instance, self.name, self.owner)


class BoundStub:
    """Method of a proxy by name.

    Attributes:
        name: the name.
        owner: mirror that defines the method.
    """

    __slots__ = ("__self__", "name", "owner")

    def __init__(self, instance: Any, name: str, owner: Any) -> None:
        self.__self__ = instance
        self.name = name
        self.owner = owner

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the method."""
        peer, instance = Current.peer, self.__self__
        if peer.is_subclass_of_mirror(self.owner, type(instance)):
            return peer.call(peer.get_attribute(self.owner, self.name), (instance, *arguments), keywords)
        return peer.call_method(instance, self.name, arguments, keywords)

    def resolve(self) -> Any:
        """Proxy of the bound method itself."""
        return Current.peer.get_attribute(self.__self__, self.name)

    def __getattr__(self, name: str) -> Any:
        if name == "__name__":
            return self.name
        return getattr(self.resolve(), name)

    def __eq__(self, other: object) -> bool:
        return type(other) is BoundStub and other.__self__ is self.__self__ and other.name == self.name

    def __hash__(self) -> int:
        return hash((id(self.__self__), self.name))


class SpecialStub:
    """Special method of a mirror, by name."""

    __slots__ = ("_function", "original", "owner")

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.owner: Any = None
        self.original: Any = None

    def resolve(self) -> Any:
        """Proxy of the method itself."""
        return self.original or Current.peer.get_attribute(self.owner, self._function.__name__)

    def __get__(self, instance: Any, kind: Any = None) -> Any:
        if instance is None:
            return self._function
        if Current.peer.is_subclass_of_mirror(self.owner, type(instance)):
            return functools.partial(self._call_past, instance)
        return types.MethodType(self._function, instance)

    def _call_past(self, instance: Any, *arguments: Any) -> Any:
        """Call the method of the candidate's class for an instance of a subclass of the test."""
        peer, name = Current.peer, self._function.__name__
        answer = peer.call(peer.get_attribute(self.owner, name), (instance, *arguments), {})
        peer.note_operator(name, arguments, answer)
        return answer

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the method as a function of the class."""
        return self._function(*arguments, **keywords)


def special_method(name: str) -> Any:
    """Special method of a mirror."""
    if name in tables.COMPARISONS:

        def function(self: Any, other: Any) -> Any:
            return Current.peer.compare(name, self, other)

    elif name == "__call__":

        def function(self: Any, *arguments: Any, **keywords: Any) -> Any:  # type: ignore[misc]
            return Current.peer.call(self, arguments, keywords)

    elif name == "__await__":

        def function(self: Any) -> Any:  # type: ignore[misc]
            return Current.peer.awaited(self).__await__()

    elif name in tables.ASYNC_METHODS:

        async def function(self: Any, *arguments: Any) -> Any:  # type: ignore[misc]
            return Current.peer.call_special(self, name, arguments)

    else:

        def function(self: Any, *arguments: Any) -> Any:  # type: ignore[misc]
            return Current.peer.call_special(self, name, arguments)

    function.__name__ = name
    return SpecialStub(function)


METHOD_PARTS = frozenset({MethodStub, BoundStub, SpecialStub})
"""Parts of mirrors that stand for methods; ``resolve`` gives the proxy of the method."""
