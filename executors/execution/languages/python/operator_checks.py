"""Checks of the operators of a candidate's classes while a test uses them.

A test that compares an object of a candidate with a value calls the candidate's own ``__eq__``. An answer
that could make the test pass is checked:

- An object that equals plain data must itself be such data and be equal by content.
- If two objects of the candidate are equal, their copies must be equal, and unequal once any field of
  either is changed. Objects created from other arguments must not be equal to them.
- A container that contains an item must not contain decoys as well.
- The order or difference of an object and plain data must not be plain data.

Copies and decoys hold fresh random values and are compared in random order, some of them before the real
ones.
"""

import collections
import copy
import datetime
import decimal
import enum
import fractions
import functools
import random
import string
import types
from collections.abc import Callable, Iterator
from typing import Any

from testbudget.executors.execution import values
from testbudget.executors.execution.values import NotPlainError

_ORDER = (
    "lt",
    "le",
    "gt",
    "ge",
    "sub",
    "rsub",
    "xor",
    "rxor",
    "and",
    "rand",
    "or",
    "ror",
    "truediv",
    "rtruediv",
)
_SIZE = ("abs", "round", "float", "int", "bool", "index")
_TELLING = frozenset("startswith endswith isdisjoint issubset issuperset".split()) | {
    name for name in dir(str) if name.startswith("is")
}
_MAX_FIELDS = 8
_MAX_CREATED = 64
_MAX_OTHERS = 4
_DATA_CLASSES = (
    collections.Counter,
    fractions.Fraction,
)  # by content, though their classes are written in Python

Operator = Callable[..., Any]


class OperatorCheck:
    """Check of the operators of classes, which are wrapped to check their answers.

    Attributes:
        failures: number of answers that failed a check and of classes that could not be checked.
    """

    def __init__(self) -> None:
        self.failures = 0
        self._own: set[type] = set()
        self._wrappers: set[Operator] = set()
        self._created_from: dict[
            int, tuple[Any, str]
        ] = {}  # by id: an object and the arguments it was created from
        self._differences: list[Any] = []
        self._asking = False
        self._random = random.Random()

    def start(self) -> None:
        """Reset for another candidate or another test."""
        self.failures = 0
        self._own.clear()
        self._wrappers.clear()
        self._created_from.clear()
        self._differences.clear()

    def watch(self, made: type) -> None:
        """Wrap the operators of a class; call it again after new ones were added."""
        self._own.add(made)
        if isinstance(made, enum.EnumType):
            self.failures += len(made.__members__) > len(made)  # two names for the same
        else:
            self._replace(made, "__init__", self._initialised)
            self._replace(made, "__new__", self._created)
        self._replace(made, "__eq__", self._equal)
        self._replace(made, "__ne__", self._different)
        self._replace(made, "__contains__", self._contains)
        for name in _ORDER:
            self._replace(made, f"__{name}__", self._ordered)
        for name in _SIZE:
            self._replace(made, f"__{name}__", self._sized)
        base = _definer_of(made, "__eq__")
        if base not in self._own and base is not object and not base.__module__.startswith("unittest"):
            self._put(made, "__eq__", self._equal(vars(base)["__eq__"]))
        if issubclass(made, (str, bytes, bytearray, set, frozenset)):
            self.failures += not _TELLING.isdisjoint(vars(made))

    def _replace(self, made: type, name: str, wrapper: Callable[[Operator], Operator]) -> None:
        operator = vars(made).get(name)
        if name == "__new__" and isinstance(operator, staticmethod):
            operator = operator.__func__
        if operator is None or operator in self._wrappers:
            return
        if isinstance(operator, types.FunctionType):
            self._put(made, name, wrapper(operator))
        else:
            self.failures += 1

    def _put(self, made: type, name: str, operator: Operator) -> None:
        self._wrappers.add(operator)
        setattr(made, name, staticmethod(operator) if name == "__new__" else operator)

    def _equal(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def equal(this: Any, other: Any) -> Any:
            if self._asking or this is other:
                return operator(this, other)
            if self._random.random() < 0.5:
                self._ask(operator, this, _changed(other, self._random))
            answer = operator(this, other)
            if answer is not NotImplemented and type(answer) is not bool:
                self.failures += 1
            elif answer is True:
                self.failures += not self._is_equal(operator, this, other)
            return answer

        return equal

    def _is_equal(self, operator: Operator, this: Any, other: Any) -> bool:
        """Return whether the equality of two objects passes all checks."""
        data = _data_in(this)
        if data is not None:
            by_content = vars(data)["__eq__"]
            return by_content(this, other) is True and not self._equals_others(by_content, this, other)
        if type(other) not in self._own:
            return False
        fields = list(_fields(other))
        if not fields or set(map(repr, fields)) != set(map(repr, _fields(this))):
            return False
        fields = self._random.sample(fields, min(len(fields), _MAX_FIELDS))
        try:
            questions = [(True, _copy(this), _copy(other))]
            for field in fields:
                questions.append((False, this, _copy(other, field, self._random)))
                questions.append((False, _copy(this, field, self._random), other))
        except TypeError:  # a kind of object that cannot be copied
            return False
        self._random.shuffle(questions)
        told = [self._ask(operator, one, another) is expected for expected, one, another in questions]
        return all(told) and not self._equals_others(operator, this, other)

    def _equals_others(self, operator: Operator, this: Any, other: Any) -> bool:
        """Return whether an object also equals one that was created from other arguments."""
        _, made_from = self._created_from.get(id(other), (None, None))
        others = [
            one
            for one, source in self._created_from.values()
            if type(one) is type(other) and source != made_from and one is not this and one is not other
        ]
        others = self._random.sample(others, min(len(others), _MAX_OTHERS))
        return made_from is not None and any(self._ask(operator, one, other) for one in others)

    def _different(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def different(this: Any, other: Any) -> Any:
            answer = operator(this, other)
            if answer is not NotImplemented and not answer and not self._asking:
                self.failures += not this == other  # noqa: SIM201 - __eq__ is checked itself
            return answer

        return different

    def _contains(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def contains(this: Any, item: Any) -> Any:
            if self._asking:
                return operator(this, item)
            decoys = _decoys(item, self._random)
            self._random.shuffle(decoys)
            first = self._random.randrange(len(decoys))
            agreed = [self._ask(operator, this, decoy) for decoy in decoys[:first]]
            answer = operator(this, item)
            if answer:
                agreed += [self._ask(operator, this, decoy) for decoy in decoys[first:]]
                self.failures += any(agreed)
            return answer

        return contains

    def _ordered(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def ordered(this: Any, other: Any) -> Any:
            answer = operator(this, other)
            if answer is not NotImplemented and type(other) not in self._own:
                # The candidate decides this answer about plain data, so it must not be plain data.
                self.failures += type(answer) not in self._own or _data_in(answer) is not None
                self._differences.append(answer)
            return answer

        return ordered

    def _sized(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def sized(this: Any, *places: Any) -> Any:
            answer = operator(this, *places)
            if any(this is difference for difference in self._differences):
                self.failures += type(answer) not in self._own or _data_in(answer) is not None
                self._differences.append(answer)
            return answer

        return sized

    def _initialised(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def initialise(this: Any, *arguments: Any, **keywords: Any) -> Any:
            self._note(this, operator, arguments, keywords)
            return operator(this, *arguments, **keywords)

        return initialise

    def _created(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def create(kind: Any, *arguments: Any, **keywords: Any) -> Any:
            made = operator(kind, *arguments, **keywords)
            if type(made) in self._own and not self._note(made, operator, arguments, keywords):
                self.failures += 1  # the same object, whatever it is made from
            return made

        return create

    def _note(
        self, made: Any, operator: Operator, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> bool:
        """Record the arguments of a new object; False if the object was created from others before."""
        if self._asking or len(self._created_from) >= _MAX_CREATED:
            return True
        source = _source(operator, arguments, keywords)
        return self._created_from.setdefault(id(made), (made, source))[1] == source

    def _ask(self, operator: Operator, this: Any, other: Any) -> bool:
        """Answer of an operator to a question of a check."""
        self._asking = True
        try:
            answer = operator(this, other)
            return answer is not NotImplemented and bool(answer)
        except Exception:
            return False
        finally:
            self._asking = False


def _definer_of(kind: type, name: str) -> type:
    """Class in the method resolution order that defines an attribute."""
    return next(base for base in kind.__mro__ if name in vars(base))


def _data_in(thing: Any) -> type | None:
    """Class of plain data that an object is an instance of; None if there is none."""
    return next((kind for kind in type(thing).__mro__ if _is_data(kind)), None)


def _is_data(kind: type) -> bool:
    """Return whether the library compares objects of a class by content."""
    is_builtin = not kind.__flags__ & (1 << 9)  # Py_TPFLAGS_HEAPTYPE is not set
    return kind in _DATA_CLASSES or (is_builtin and kind is not object and "__eq__" in vars(kind))


def _source(operator: Operator, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """Arguments of a call as text: by name, and by content where they are plain data."""
    if isinstance(operator, types.FunctionType):
        names = operator.__code__.co_varnames[1 : operator.__code__.co_argcount]
        defaults = operator.__defaults__ or ()
        given = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
        given |= operator.__kwdefaults__ or {}
        given |= dict(zip(names, arguments, strict=False))
        arguments, keywords = arguments[len(names) :], given | keywords
    return " ".join(map(_as_text, [*arguments, *sorted(keywords.items())]))


def _as_text(value: object) -> str:
    try:
        return values.encode(value)
    except NotPlainError:
        if type(value) in {tuple, list}:
            return " ".join(map(_as_text, value))  # type: ignore[call-overload]
        return str(id(value))


def _fields(thing: Any) -> Iterator[tuple[str, Any]]:
    """Fields of an object: name, and slot descriptor or None."""
    for kind in type(thing).__mro__:
        for name, slot in vars(kind).items():
            if isinstance(slot, types.MemberDescriptorType) and hasattr(thing, name):
                yield name, slot
    for name in getattr(thing, "__dict__", {}):
        yield name, None


def _copy(thing: Any, field: tuple[str, Any] | None = None, chance: random.Random | None = None) -> Any:
    """Copy of an object with the same fields, one of them changed if given."""
    new = object.__new__(type(thing))
    for place in _fields(thing):
        name, slot = place
        value = vars(thing)[name] if slot is None else slot.__get__(thing)
        if field is not None and chance is not None and name == field[0]:
            value = _changed(value, chance)
        if slot is None:
            vars(new)[name] = value
        else:
            slot.__set__(new, value)
    return new


def _changed(value: Any, chance: random.Random) -> Any:  # noqa: PLR0911 - a table
    """Unequal value of the same type."""
    kind = type(value)
    if kind is bool:
        return not value
    if kind in {int, float, complex, decimal.Decimal, fractions.Fraction}:
        return value + kind(chance.randint(1, 1_000_000) * chance.choice((-1, 1)))
    if kind is str:
        return value[: chance.randint(0, len(value))] + _word(chance) + value[:1]
    if kind is bytes:
        return value + chance.randbytes(3)
    if kind in {datetime.date, datetime.datetime}:
        return value.replace(year=1 + (value.year + chance.randint(1, 9_000)) % 9_999, day=1)
    if kind in {list, tuple, collections.deque} and value:
        items = list(value)
        place = chance.randrange(len(items))
        items[place] = _changed(items[place], chance)
        return kind(items)
    if kind in {set, frozenset} and value:
        return kind([*list(value)[1:], _changed(next(iter(value)), chance)])
    if isinstance(value, dict) and value and kind.__module__ in {"builtins", "collections"}:
        new = copy.copy(value)
        key = chance.choice(list(value))
        new[key] = _changed(value[key], chance)
        return new
    if value is not None and kind.__flags__ & (1 << 9) and (fields := list(_fields(value))):
        try:
            return _copy(value, chance.choice(fields), chance)
        except TypeError:
            return object()
    return object()


def _decoys(item: Any, chance: random.Random) -> list[Any]:
    """Values similar to an item of a container that the container is unlikely to contain as well."""
    kind = type(item)
    far = chance.randint(10**9, 10**12)
    decoys: list[Any] = [object()]
    if kind in {int, float}:
        decoys += [kind(far), kind(-far), kind(far + 1), kind(-far - 1)]
    elif kind is str:
        decoys += [_word(chance, len(item)), _word(chance, len(item)), _word(chance, 3)]
    elif kind in {list, tuple}:
        decoys += [kind(_decoys(part, chance)[-1] for part in item) for _ in range(2)]
    elif kind is not bool and item is not None:
        decoys += [_changed(item, chance), _changed(item, chance)]
    return decoys


def _word(chance: random.Random, length: int = 0) -> str:
    return "".join(chance.choices(string.ascii_lowercase, k=max(length, 6)))
