"""Pickled plain values, read without unpickling.

The opcodes are interpreted here. One that would look a name up, call something or build an object of a
class is refused, so reading executes no code of the file.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

_MARK = object()
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}
_ARGUMENTS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE "
    "BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
_IGNORED = frozenset(("PROTO", "FRAME"))
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MAX_VALUES = 10_000_000
"""Maximum number of opcodes: a bound on time and memory, far above any file of tests."""


def read_plain_pickle(content: bytes) -> Any:
    """The value of a pickle of None, bool, int, float, str, bytes, list, tuple and dict.

    Raises:
        ValueError: the pickle is damaged, or holds anything else.
    """
    machine = _Machine()
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if number > _MAX_VALUES:
                raise ValueError(f"holds more than {_MAX_VALUES:,} values")
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except (IndexError, KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"is a damaged pickle: {type(error).__name__}") from None
    raise ValueError("is a damaged pickle: it does not end")


class _Machine:
    """Stack and memo of a pickle, with the opcodes of plain values."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> Any:
        if len(self._stack) != 1 or self._stack[0] is _MARK:
            raise ValueError("is a damaged pickle: it must end with one value")
        return self._stack[0]

    def step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _ARGUMENTS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            self._tuple(_TUPLES[name])
        elif name in ("TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS"):
            self._gather(name)
        elif name in ("APPEND", "SETITEM"):
            self._put(name)
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[int(argument)] = self._top()
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[int(argument)])
        elif name == "POP":
            self._value()
        elif name == "DUP":
            stack.append(self._top())
        elif name not in _IGNORED:
            raise ValueError(f"is a pickle with {name}, and only plain values are read")

    def _tuple(self, length: int) -> None:
        self._stack.append(tuple(reversed([self._value() for _ in range(length)])))

    def _put(self, name: str) -> None:
        value = self._value()
        if name == "APPEND":
            self._container(list).append(value)
        else:
            key = self._value()
            self._container(dict)[key] = value

    def _gather(self, name: str) -> None:
        """Opcodes that use everything above the last mark."""
        values = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        values.reverse()
        if name in ("DICT", "SETITEMS") and len(values) % 2:
            raise ValueError("is a damaged pickle: a key has no value")
        pairs = zip(values[::2], values[1::2], strict=False)
        if name == "TUPLE":
            self._stack.append(tuple(values))
        elif name == "LIST":
            self._stack.append(values)
        elif name == "DICT":
            self._stack.append(dict(pairs))
        elif name == "APPENDS":
            self._container(list).extend(values)
        else:
            self._container(dict).update(pairs)

    def _top(self) -> Any:
        if self._stack[-1] is _MARK:
            raise ValueError("is a damaged pickle: a mark stands where a value must")
        return self._stack[-1]

    def _value(self) -> Any:
        self._top()
        return self._stack.pop()

    def _container(self, kind: type[Any]) -> Any:
        top = self._top()
        if type(top) is not kind:
            raise ValueError(f"is a damaged pickle: it must fill a {kind.__name__} there")
        return top
