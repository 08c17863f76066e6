"""Values from the JSON parts of a message.

Decoding calls nothing but constructors of plain data: no method of a mirror, no ``__init__`` of an
exception. Whatever a part holds, the only errors are those that `MALFORMED` lists; they end the pair.
"""

# ruff: noqa: ARG002 - the methods have the parameters that the contract gives

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python.objects import contents, mirrors
from testbudget.executors.execution.languages.python.objects.descriptions import (
    EXCEPTION_SLOTS,
    describe_opaque,
)
from testbudget.executors.execution.languages.python.objects.encoding import Encoder
from testbudget.executors.execution.languages.python.objects.plain_values import PLAIN_DECODERS
from testbudget.executors.execution.languages.python.objects.tables import (
    ABSTRACT_CLASSES,
    BASE_NAMES,
    MUTABLE_TAGS,
    SCALARS,
    library_class,
    plain_base,
)

MALFORMED = (
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    MemoryError,
    OSError,
)
"""Errors for parts that mean nothing."""

_CHAIN = ("__cause__", "__context__")
_args: Any = vars(BaseException)["args"]
_new: Any = object.__new__
_set: Any = BaseException.__setattr__


class Decoder(Encoder):
    """Encoder that reads values, too.

    Attributes:
        hashes: hash of each proxy of which the other process told it, by the proxy's id.
        texts: text of each exception of the other process, by its id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hashes: dict[int, int] = {}
        self._decoding_thread: int | None = None
        self.texts: dict[int, str] = {}
        self._opaque_mirrors: dict[str, type] = {}

    @property
    def is_decoding(self) -> bool:
        """True while this thread decodes; no comparison and no hash may ask the other process then."""
        return self._decoding_thread == threading.get_ident()

    @is_decoding.setter
    def is_decoding(self, value: bool) -> None:
        self._decoding_thread = threading.get_ident() if value else None

    def decode(self, part: Any) -> Any:
        """Value of a JSON part.

        Raises:
            MALFORMED: the part means nothing.
        """
        if type(part) is not list:
            if type(part) in SCALARS:
                return part
            raise ValueError("an object of JSON is no value")
        tag = part[0]
        if tag in _CONTAINER_TAGS:
            return self._decode_container(*part)
        return _DECODERS[tag](self, part)

    def candidate_module(self) -> Any:
        """Module of the candidate, as this process sees it."""
        raise ValueError("the candidate's module crosses in one direction")

    def module_of(self, name: str) -> Any:
        """Library module that the other process names; the judge takes none."""
        raise ValueError("no module crosses in this direction")

    def library_member(self, key: str) -> Any:
        """Function or class of the library that the test has handed over, by ``module:name``."""
        raise NotImplementedError

    def library_object(self, kind: Any, arguments: Any, keywords: Any) -> Any:
        """Object of the library that is made from what it was made from in the other process."""
        raise ValueError("no such object crosses in this direction")

    def coroutine(self, number: int) -> Any:
        """Coroutine that runs one of the other process to its end."""
        raise NotImplementedError

    def note_mirror(self, mirror: type, described: dict[str, Any]) -> None:
        """Notice a mirror that was made."""

    def note_array(self, value: Any) -> None:
        """Notice an array that crossed."""

    def note_class_value(self, kind: type) -> None:
        """Notice a library class that crossed as a value."""

    def given_values(self) -> frozenset[Any]:
        """Scalars that this process has handed over so far, if that matters to it."""
        return frozenset()

    def note_item(self, one: Any, item: Any, given: frozenset[Any]) -> None:
        """Notice what iteration over a proxy has given in the search for an item."""

    # Containers

    def _decode_container(self, tag: str, number: int, content: Any) -> Any:
        if tag == "n":
            value = contents.new_array(*content)
            self.note_array(value)
        else:
            value = contents.empty(tag, content[0] if tag == "q" else None)
        if number:
            if type(number) is not int or number in self.shared:
                raise ValueError("this number is in use")
            self.share(number, value, tag)
        if tag != "n":
            self.fill(value, tag, content)
        return value

    def fill(self, value: Any, tag: str, content: Any) -> None:
        """Fill an empty container, or change an array or a bytearray, as a part says."""
        if tag == "n":
            contents.change_array(value, contents.new_array(*content))
        elif tag == "y":
            contents.fill(value, tag, bytes.fromhex(content))
        elif tag in "ls":
            if type(content) is not list:
                raise ValueError("no list of items")
            contents.fill(value, tag, [self.decode(item) for item in content])
        elif tag == "q":
            contents.fill(value, tag, [self.decode(item) for item in content[1]])
        else:
            if tag == "D":
                value.default_factory = self.decode(content[0])
                content = content[1]
            contents.fill(value, tag, [(self.decode(key), self.decode(item)) for key, item in content])

    def decode_hashed(self, part: Any) -> Any:
        """Proxy with the hash that the other process tells."""
        _, hashed, inner = part
        value = self.decode(inner)
        if type(hashed) is not int or id(value) not in self._their_ids:
            raise ValueError("only a proxy has a hash of its own")
        self.hashes[id(value)] = hashed
        return value

    # Objects

    def decode_class(self, part: Any) -> Any:
        """Mirror of a class of the other process, by its number or its description."""
        number = part[1]
        if len(part) == 2:
            mirror = self.theirs[number]
            if not isinstance(mirror, mirrors.MirrorMeta):
                raise ValueError("this number is no class")
            return mirror
        _, _, described, base_parts = part
        if number in self.theirs or type(number) is not int or type(described) is not dict:
            raise ValueError("this number is in use")
        bases = [self.decode_base(base) for base in base_parts]
        plain = BASE_NAMES.get(described.get("b", ""))
        mirror = mirrors.new_mirror(self.mirror_options(described), described, bases, plain)
        self.import_proxy(number, mirror)
        self.note_mirror(mirror, described)
        for key in described.get("a", ()):
            ABSTRACT_CLASSES[key].register(mirror)  # type: ignore[attr-defined]
        return mirror

    def mirror_options(self, described: dict[str, Any]) -> mirrors.MirrorOptions:
        """Properties of a mirror that depend on the process that makes it."""
        raise NotImplementedError

    def decode_base(self, part: Any) -> type:
        """Class that another part refers to."""
        if part[0] == "k":
            found = library_class(part[1])
            if found is None:
                raise ValueError("no class of the table")
            return found
        if part[0] == "K":
            return self.decode_class(part)  # type: ignore[no-any-return]
        raise ValueError("no class")

    def decode_library_class(self, part: Any) -> type:
        """Class of the table as a value."""
        kind = self.decode_base(part)
        self.note_class_value(kind)
        return kind

    def _instance_class(self, part: Any) -> type:
        if part[0] == "T":
            mirror = self._opaque_mirrors.get(part[1])
            if mirror is None:
                described = describe_opaque(part[1])
                if described is None:
                    raise ValueError("no type of the table")
                mirror = mirrors.new_opaque_mirror(described, part[1])
                self._opaque_mirrors[part[1]] = mirror
            return mirror
        return self.decode_base(part)

    def decode_object(self, part: Any) -> Any:
        """Proxy of an object of the other process; it is made at its first mention."""
        number, class_part, *content = part[1:]
        if (known := self.proxy_of(number)) is not None:
            return known
        if type(number) is not int:
            raise ValueError("no number")
        kind = self._instance_class(class_part)
        if issubclass(kind, BaseException):
            return self._new_exception(kind, number, *content)
        if not isinstance(kind, mirrors.MirrorMeta):
            raise ValueError("a library class has no proxies")
        base: Any = plain_base(kind)
        if base is None and content:  # its content is all that crosses
            value = self.decode(content[0])
            self.import_proxy(number, value)
            return value
        if base is None:
            value = _new(kind)
        elif base in MUTABLE_TAGS:
            tag, _, items = content[0]
            if tag != MUTABLE_TAGS[base]:
                raise ValueError("the content is of another type")
            value = base.__new__(kind)
            if tag == "q":
                base.__init__(value, (), items[0])
            self.import_proxy(number, value)
            self.fill(value, tag, items)
            self.export_shared_object(number, value, tag)
        else:
            make: Any = base.__new__
            inner = self.decode(content[0])
            if type(inner) is not base:
                raise ValueError("the content is of another type")
            value = make(kind, inner)
        self.import_proxy(number, value)
        return value

    def _new_exception(self, kind: type, number: int, content: Any) -> BaseException:
        arguments_part, text, attributes, slots, *chain, suppress = content
        arguments = self.decode(arguments_part)
        if type(arguments) is not tuple or type(text) is not str:
            raise ValueError("no arguments of an exception")
        error: BaseException = _bare_exception(kind, arguments)
        self.import_proxy(number, error)
        self.texts[id(error)] = text
        for name, value in attributes:
            if type(name) is not str or (name[:2] == "__" and name != "__notes__"):
                raise ValueError("no attribute of an exception")
            _set(error, name, self.decode(value))
        for name, value in slots:
            if name not in EXCEPTION_SLOTS:
                raise ValueError("no attribute of an exception")
            decoded = self.decode(value)
            if decoded is not None:
                with contextlib.suppress(AttributeError, TypeError):
                    _set(error, name, decoded)
        for name, value in zip(_CHAIN, chain, strict=True):
            other = self.decode(value)
            if other is not None:
                _set(error, name, other)
        _set(error, "__suppress_context__", bool(suppress))
        return error


def _bare_exception(kind: type, arguments: tuple[Any, ...]) -> BaseException:
    """Exception without a call of its ``__init__``, which may be the library's Python code."""
    builtin: Any = next(base for base in type.mro(kind) if base.__module__ == "builtins")
    error: BaseException = builtin.__new__(kind, *arguments)
    _args.__set__(error, arguments)
    return error


def _decode_leaf(peer: Decoder, part: Any) -> Any:
    return peer.leaves[part[1]]


_CONTAINER_TAGS = frozenset({*MUTABLE_TAGS.values(), "n"})
_DECODERS: dict[str, Callable[[Any, Any], Any]] = {
    **PLAIN_DECODERS,
    "@": lambda p, x: p.shared[x[1]].value,
    "p": lambda p, x: p.mine[x[1]],
    "o": Decoder.decode_object,
    "h": Decoder.decode_hashed,
    "k": Decoder.decode_library_class,
    "K": Decoder.decode_class,
    "&": _decode_leaf,
    "m": lambda p, x: p.module_of(x[1]),
    "sol": lambda p, _: p.candidate_module(),
    "L": lambda p, x: p.library_member(x[1]),
    "mk": lambda p, x: p.library_object(*map(p.decode, x[1:])),
    "co": lambda p, x: p.coroutine(x[1]),
}
