"""Operators of a candidate's own classes, put to the proof while a test uses them.

A test that compares one of the candidate's objects with a value asks the candidate whether they are equal.
So the answers that could make a test pass are not simply believed:

- an object that says it is equal to plain data is doubted, unless it is such data, and by its content too;
- of two objects of the candidate's, copies must be equal as well, and no longer be so once any field of
  either is changed; and other objects that were made from something else must not be equal to them;
- a container that says it holds something must not say so of what it cannot hold;
- what an object makes of plain data by an order or a difference must not be plain data.

Copies and decoys are made of fresh random values and asked about in random order, some of them first.
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
_MOST_FIELDS = 8
_MOST_MAKINGS = 64
_MOST_OTHERS = 4
_STILL_DATA = (
    collections.Counter,
    fractions.Fraction,
)  # by content, though their classes are written in Python

Operator = Callable[..., Any]


class OperatorCheck:
    """Watches classes and doubts answers.

    Attributes:
        doubts: answers that could not be believed, and classes that nothing could be made of.
    """

    def __init__(self) -> None:
        self.p_wrong = 0
        self._own: set[type] = set()
        self._wrappers: set[Operator] = set()
        self._makings: dict[int, tuple[Any, str]] = {}  # by identity: an object and what it was made from
        self._differences: list[Any] = []
        self._asking = False
        self._random = random.Random()

    def start(self) -> None:
        """Forget everything, for another candidate or another test."""
        self.p_wrong = 0
        self._own.clear()
        self._wrappers.clear()
        self._makings.clear()
        self._differences.clear()

    def is_own(self, kind: object) -> bool:
        """Whether this is a class that is watched."""
        return isinstance(kind, type) and kind in self._own

    def watch(self, made: type) -> None:
        """Put the operators of a class to the proof; again, where it has got new ones."""
        self._own.add(made)
        if isinstance(made, enum.EnumType):
            self.p_wrong += len(made.__members__) > len(made)  # two names for the same
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
        base = _giver_of(made, "__eq__")
        if base not in self._own and base is not object and not base.__module__.startswith("unittest"):
            self._put(made, "__eq__", self._equal(vars(base)["__eq__"]))
        if issubclass(made, (str, bytes, bytearray, set, frozenset)):
            self.p_wrong += not _TELLING.isdisjoint(vars(made))

    def _replace(self, made: type, name: str, wrapper: Callable[[Operator], Operator]) -> None:
        operator = vars(made).get(name)
        if name == "__new__" and isinstance(operator, staticmethod):
            operator = operator.__func__
        if operator is None or operator in self._wrappers:
            return
        if isinstance(operator, types.FunctionType):
            self._put(made, name, wrapper(operator))
        else:
            self.p_wrong += 1

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
                self.p_wrong += 1
            elif answer is True:
                self.p_wrong += not self._is_equal(operator, this, other)
            return answer

        return equal

    def _is_equal(self, operator: Operator, this: Any, other: Any) -> bool:
        """Whether it can be believed that two objects are equal."""
        data = _data_in(this)
        if data is not None:
            by_content = vars(data)["__eq__"]
            return by_content(this, other) is True and not self._equals_others(by_content, this, other)
        if type(other) not in self._own:
            return False
        fields = list(_fields(other))
        if not fields or set(map(repr, fields)) != set(map(repr, _fields(this))):
            return False
        fields = self._random.sample(fields, min(len(fields), _MOST_FIELDS))
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
        """Whether an object is equal also to one that was made from something else."""
        _, made_from = self._makings.get(id(other), (None, None))
        others = [
            one
            for one, source in self._makings.values()
            if type(one) is type(other) and source != made_from and one is not this and one is not other
        ]
        others = self._random.sample(others, min(len(others), _MOST_OTHERS))
        return made_from is not None and any(self._ask(operator, one, other) for one in others)

    def _different(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def different(this: Any, other: Any) -> Any:
            answer = operator(this, other)
            if answer is not NotImplemented and not answer and not self._asking:
                self.p_wrong += not this == other  # noqa: SIM201 - which is put to the proof by itself
            return answer

        return different

    def _contains(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def contains(this: Any, item: Any) -> Any:
            if self._asking:
                return operator(this, item)
            decoys = _strangers(item, self._random)
            self._random.shuffle(decoys)
            first = self._random.randrange(len(decoys))
            agreed = [self._ask(operator, this, decoy) for decoy in decoys[:first]]
            answer = operator(this, item)
            if answer:
                agreed += [self._ask(operator, this, decoy) for decoy in decoys[first:]]
                self.p_wrong += any(agreed)
            return answer

        return contains

    def _ordered(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def ordered(this: Any, other: Any) -> Any:
            answer = operator(this, other)
            if answer is not NotImplemented and type(other) not in self._own:
                # By its own word about plain data; so nothing plain may come of it.
                self.p_wrong += type(answer) not in self._own or _data_in(answer) is not None
                self._differences.append(answer)
            return answer

        return ordered

    def _sized(self, operator: Operator) -> Operator:
        @functools.wraps(operator)
        def sized(this: Any, *places: Any) -> Any:
            answer = operator(this, *places)
            if any(this is difference for difference in self._differences):
                self.p_wrong += type(answer) not in self._own or _data_in(answer) is not None
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
                self.p_wrong += 1  # the same object, whatever it is made from
            return made

        return create

    def _note(
        self, made: Any, operator: Operator, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> bool:
        """Note what an object is made from; returns False if it was made from something else before."""
        if self._asking or len(self._makings) >= _MOST_MAKINGS:
            return True
        source = _source(operator, arguments, keywords)
        return self._makings.setdefault(id(made), (made, source))[1] == source

    def _ask(self, operator: Operator, this: Any, other: Any) -> bool:
        """What an operator says when nothing depends on it."""
        self._asking = True
        try:
            answer = operator(this, other)
            return answer is not NotImplemented and bool(answer)
        except Exception:
            return False
        finally:
            self._asking = False


def _giver_of(kind: type, name: str) -> type:
    """The class from which a class has an attribute."""
    return next(base for base in kind.__mro__ if name in vars(base))


def _data_in(thing: Any) -> type | None:
    """The class of plain data that an object belongs to, if it does."""
    return next((kind for kind in type(thing).__mro__ if _is_data(kind)), None)


def _is_data(kind: type) -> bool:
    """Whether objects of a class are equal by their content, on the word of the library."""
    is_builtin = not kind.__flags__ & (1 << 9)  # made when the interpreter was built
    return kind in _STILL_DATA or (is_builtin and kind is not object and "__eq__" in vars(kind))


def _source(operator: Operator, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """What something is made from, as text: arguments by name, by content where they are plain."""
    if isinstance(operator, types.FunctionType):
        names = operator.__code__.co_varnames[1 : operator.__code__.co_argcount]
        defaults = operator.__defaults__ or ()
        given = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
        given |= operator.__kwdefaults__ or {}
        given |= dict(zip(names, arguments, strict=False))
        arguments, keywords = arguments[len(names) :], given | keywords
    return " ".join(map(_told, [*arguments, *sorted(keywords.items())]))


def _told(value: object) -> str:
    try:
        return values.encode(value)
    except NotPlainError:
        if type(value) in {tuple, list}:
            return " ".join(map(_told, value))  # type: ignore[call-overload]
        return str(id(value))


def _fields(thing: Any) -> Iterator[tuple[str, Any]]:
    """Where an object keeps its parts: the name of each, and its slot or None."""
    for kind in type(thing).__mro__:
        for name, slot in vars(kind).items():
            if isinstance(slot, types.MemberDescriptorType) and hasattr(thing, name):
                yield name, slot
    for name in getattr(thing, "__dict__", {}):
        yield name, None


def _copy(thing: Any, field: tuple[str, Any] | None = None, chance: random.Random | None = None) -> Any:
    """A new object with the same parts, but for one field."""
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
    """A value of the same kind that is not equal."""
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


def _strangers(item: Any, chance: random.Random) -> list[Any]:
    """Values like one that a container holds, which it can hardly hold as well."""
    kind = type(item)
    far = chance.randint(10**9, 10**12)
    strangers: list[Any] = [object()]
    if kind in {int, float}:
        strangers += [kind(far), kind(-far), kind(far + 1), kind(-far - 1)]
    elif kind is str:
        strangers += [_word(chance, len(item)), _word(chance, len(item)), _word(chance, 3)]
    elif kind in {list, tuple}:
        strangers += [kind(_strangers(part, chance)[-1] for part in item) for _ in range(2)]
    elif kind is not bool and item is not None:
        strangers += [_changed(item, chance), _changed(item, chance)]
    return strangers


def _word(chance: random.Random, length: int = 0) -> str:
    return "".join(chance.choices(string.ascii_lowercase, k=max(length, 6)))
