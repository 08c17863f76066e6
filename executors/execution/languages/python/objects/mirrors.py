"""Mirrors of classes of the other process, and proxies, which are their instances.

Whatever is done with a proxy is a request of the peer of this process. A name with two underscores that a
mirror does not define raises AttributeError here, unless it is listed as readable: the protocols of NumPy
and of the standard library are never offered to the other process.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from testbudget.executors.execution.languages.python.objects import tables
from testbudget.executors.execution.languages.python.objects.method_stubs import (
    MethodStub,
    SpecialStub,
    special_method,
)
from testbudget.executors.execution.languages.python.objects.proxy_peer import Current

_type_mro: Any = type.__dict__["__mro__"]
_type_bases: Any = type.__dict__["__bases__"]
_LOCAL_ATTRIBUTES = ("_abc",)
_PLAIN_OF_TYPE = frozenset({"function", "method", "builtin_function_or_method"})


class Proxy:
    """Base of all mirrors but those of library classes."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__" and name not in tables.READABLE_DUNDERS:
            raise AttributeError(name)
        return Current.peer.get_attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in tables.LOCAL_EXCEPTION_NAMES and isinstance(self, BaseException):
            BaseException.__setattr__(self, name, value)
        else:
            Current.peer.set_attribute(self, name, value)

    def __delattr__(self, name: str) -> None:
        Current.peer.delete_attribute(self, name)

    def __copy__(self) -> Any:
        return Current.peer.library_call("copy.copy", (self,), {})

    def __deepcopy__(self, memo: Any) -> Any:
        return Current.peer.library_call("copy.deepcopy", (self,), {})

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("an object of another process cannot be pickled")


class MirrorMeta(type):
    """Class of mirrors."""

    def __new__(cls, name: str, bases: Any, namespace: dict[str, Any], /, **keywords: Any) -> Any:
        """Make a class of this process that derives from a mirror."""
        return Current.peer.new_subclass(name, bases, namespace, keywords)

    def __init__(cls, *arguments: Any, **keywords: Any) -> None:
        pass

    def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
        """Make an instance in the other process."""
        return Current.peer.call(cls, arguments, keywords)

    def __instancecheck__(cls, value: Any) -> bool:
        return type.__instancecheck__(cls, value) or (
            cls in _asked and Current.peer.is_instance(value, cls)
        )

    def __subclasscheck__(cls, kind: Any) -> bool:
        return type.__subclasscheck__(cls, kind)

    @property
    def __bases__(cls) -> tuple[type, ...]:  # type: ignore[override]
        return tuple(base for base in _type_bases.__get__(cls) if base is not Proxy) or (object,)

    @property
    def __annotations__(cls) -> Any:  # type: ignore[override]
        return Current.peer.get_attribute(cls, "__annotations__")

    def __getattr__(cls, name: str) -> Any:
        if name[:2] == "__" and name not in tables.READABLE_DUNDERS:
            raise AttributeError(name)
        return Current.peer.get_attribute(cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        if name.startswith(_LOCAL_ATTRIBUTES):
            type.__setattr__(cls, name, value)
            return
        method = type.__getattribute__(cls, "__dict__").get(name)
        if isinstance(method, MethodStub | SpecialStub) and method.original is None:
            with contextlib.suppress(AttributeError):
                method.original = Current.peer.get_attribute(cls, name)
        Current.peer.set_attribute(cls, name, value)

    def __delattr__(cls, name: str) -> None:
        Current.peer.delete_attribute(cls, name)

    def __iter__(cls) -> Any:
        return Current.peer.call_special(cls, "__iter__", ())

    def __len__(cls) -> Any:
        return Current.peer.call_special(cls, "__len__", ())

    def __getitem__(cls, key: Any) -> Any:
        return Current.peer.call_special(cls, "__getitem__", (key,))

    def __contains__(cls, item: Any) -> Any:
        return Current.peer.call_special(cls, "__contains__", (item,))

    def __reversed__(cls) -> Any:
        return Current.peer.call_special(cls, "__reversed__", ())

    def __bool__(cls) -> bool:
        return True


_asked: set[MirrorMeta] = set()


def forget_mirrors() -> None:
    """Let go of the mirrors of a pair that has been judged."""
    _asked.clear()


class MirrorOptions(NamedTuple):
    """Properties of a mirror that depend on the process that makes it.

    Attributes:
        content_only: True if the operators of a subclass of plain data are not asked.
        module: value of ``__module__``.
        has_init: True if ``__init__`` can be called by a subclass of this process.
    """

    content_only: bool
    module: str
    has_init: bool


def new_mirror(
    options: MirrorOptions, described: dict[str, Any], bases: list[type], plain: type | None
) -> MirrorMeta:
    """Make the mirror of a class from its description.

    Raises:
        TypeError: there is no class with these bases.
        ValueError: a name is none.
    """
    if plain in tables.CONVERTED_BASES:
        plain = None
    is_exception = bool(described.get("x"))
    kept: list[type] = [
        base for base in bases if isinstance(base, MirrorMeta) or issubclass(base, BaseException)
    ]
    if plain is not None and not any(issubclass(base, plain) for base in kept):
        kept.append(plain)
    has_mirror = any(isinstance(base, MirrorMeta) for base in kept)
    if not has_mirror:
        kept.insert(0, Proxy)
    namespace: dict[str, Any] = {
        "__slots__": () if plain is not None or is_exception or has_mirror else ("__weakref__",),
        "__module__": options.module,
        "__qualname__": _name(described["q"]),
        "__doc__": described["d"] if type(described.get("d")) is str else None,
    }
    if "ma" in described:
        namespace["__match_args__"] = tuple(map(_name, described["ma"]))
    content_only = options.content_only and plain is not None and not described.get("e")
    if plain is not None and "__eq__" not in described["s"] and not described.get("e"):
        namespace |= {"__eq__": _equal_contents(plain), "__hash__": plain.__hash__}
    _add_special(namespace, described, plain, content_only=content_only, has_mirror=has_mirror)
    for name in map(_name, described["m"]):
        if name[:2] != "__" and not (content_only and hasattr(plain, name)):
            namespace.setdefault(name, MethodStub(name))
    mirror = _make(_name(described["n"]), tuple(kept), namespace)
    if options.has_init and described.get("init") and not is_exception:
        type.__setattr__(mirror, "__init__", _remote_init(mirror))
    if described.get("i"):
        _asked.add(mirror)
    return mirror


def _make(name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> MirrorMeta:
    mirror = type.__new__(MirrorMeta, name, bases, namespace)
    for value in namespace.values():
        if isinstance(value, MethodStub | SpecialStub):
            value.owner = mirror
    return mirror


def _add_special(
    namespace: dict[str, Any],
    described: dict[str, Any],
    plain: type | None,
    *,
    content_only: bool,
    has_mirror: bool,
) -> None:
    own = {name for name in described["s"] if name in tables.SPECIAL_METHODS}
    opaque = plain is None and not described.get("x")
    if opaque:
        namespace["__dict__"] = property(_attributes)
        if "__contains__" not in own and own & {"__iter__", "__getitem__"}:
            namespace["__contains__"] = _find_item
    if not content_only:
        for name in own:
            if not (described.get("e") and name == "__hash__"):
                namespace[name] = special_method(name)
    if "-hash" in described["s"] or (opaque and "__eq__" in own and "__hash__" not in own):
        namespace["__hash__"] = None
    elif "__hash__" in own and not content_only and not described.get("e"):
        namespace["__hash__"] = _hash
    if described.get("x"):
        if "__str__" in own or not has_mirror:
            namespace["__str__"] = _text
    elif opaque:
        if "__eq__" not in own and not has_mirror and "-hash" not in described["s"]:
            namespace["__eq__"] = _same
            namespace["__hash__"] = object.__hash__
        for name in ("__repr__", "__str__", "__format__"):
            namespace.setdefault(name, special_method(name))
        namespace["__dir__"] = lambda self: Current.peer.call_special(self, "__dir__", ())


def new_opaque_mirror(described: dict[str, Any], key: str) -> MirrorMeta:
    """Make the mirror of a library type of the table, whose instances say that they are of this type."""
    real = tables.OPAQUE_TYPES[key]
    namespace: dict[str, Any] = {
        "__slots__": ("__weakref__",),
        "__module__": "solution",
        "__qualname__": real.__qualname__,
    }
    _add_special(namespace, described, None, content_only=False, has_mirror=False)
    for name in described["m"]:
        namespace.setdefault(name, MethodStub(name))
    namespace["__class__"] = property(lambda _: real)
    for name in ("__get__", "__set__", "__delete__", "__set_name__"):
        namespace.pop(name, None)
    if real.__name__ in _PLAIN_OF_TYPE:
        for name in ("__doc__", "__module__"):
            namespace[name] = _remote_property(name)
        if real is types.FunctionType:
            namespace["__get__"] = _bind
    return _make(real.__name__, (Proxy,), namespace)


def _remote_property(name: str) -> property:
    return property(lambda self: Current.peer.get_attribute(self, name))


def _bind(self: Any, instance: Any, kind: Any = None) -> Any:  # noqa: ARG001 - as Python calls it
    return self if instance is None else types.MethodType(self, instance)


def _name(value: Any) -> str:
    if type(value) is not str or len(value) > 1000:
        raise ValueError("no name")
    return value


def _attributes(self: Any) -> Any:
    return Current.peer.attributes_of(self)


def _text(self: Any) -> str:
    return Current.peer.text_of_exception(self)


def _find_item(self: Any, item: Any) -> bool:
    given = Current.peer.given_values()
    for one in self:
        Current.peer.note_item(one, item, given)
        if one is item or one == item:
            return True
    return False


def _hash(self: Any) -> int:
    return Current.peer.hash_proxy(self)


def _same(self: Any, other: object) -> Any:
    if self is not other:
        return NotImplemented
    Current.peer.same_object(self)
    return True


def _equal_contents(plain: type) -> Callable[[Any, object], Any]:
    compare: Any = plain.__eq__

    def __eq__(self: Any, other: object) -> Any:  # noqa: N807
        answer = compare(self, other)
        if answer is True and self is not other and isinstance(type(other), MirrorMeta):
            Current.peer.note_equal_contents(self, other)
        return answer

    return __eq__


def _remote_init(mirror: MirrorMeta) -> Callable[..., None]:
    def __init__(self: Any, *arguments: Any, **keywords: Any) -> None:  # noqa: N807
        Current.peer.call(Current.peer.get_attribute(mirror, "__init__"), (self, *arguments), keywords)

    return __init__
