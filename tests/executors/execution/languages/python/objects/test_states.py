"""States of objects as text: what is equal has equal texts, what hides its state has none."""

import collections
import copy
import decimal
import fractions
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.execution.languages.python.objects.states import state_text

PROGRAM = """
import abc, collections, dataclasses, datetime, decimal, enum, fractions, functools, itertools, math
import re, threading

class Point:
    def __init__(self, x=0, y=0): self.x = x; self.y = y
    def __eq__(self, other): return True
    def __getattribute__(self, name): return 7
    def method(self): return 1

class Replaced:
    __dict__ = property(lambda self: {})
    def __init__(self, x): self.x = x

class Slotted:
    __slots__ = ("a", "__b", "unset")
    def __init__(self, a, b): self.a = a; self.__b = b

class Sub(Slotted):
    __slots__ = ("c",)

class Stack(list):
    def __init__(self, items=(), name="s"): super().__init__(items); self.name = name
    def __iter__(self): return iter([9])
    def __len__(self): return 9
    def __getitem__(self, place): return 9

class Bag(dict):
    def items(self): return [("no", "no")]

class Money(decimal.Decimal): pass
class Day(datetime.date): pass
class Count(collections.Counter): pass
class Word(str):
    def __str__(self): return "lie"
class Color(enum.Enum):
    RED = 1
    BLUE = 2
class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2
Pair = collections.namedtuple("Pair", "a b")
@dataclasses.dataclass(slots=True)
class Item:
    name: str
    tags: list = dataclasses.field(default_factory=list)
class Err(ValueError):
    def __init__(self, text, code): super().__init__(text); self.code = code
class Node:
    def __init__(self, value, after=None): self.value = value; self.after = after
class Meta(type): pass
class WithMeta(metaclass=Meta):
    def __init__(self, x): self.x = x
class Guarded:
    def __init__(self): self.lock = threading.Lock(); self.items = []
class Ring(collections.deque): pass
class Hidden(threading.local): pass
class Circle:
    def __init__(self, r): self.r = r
    @functools.cached_property
    def area(self): return 3 * self.r ** 2

def linked(n):
    head = None
    for value in range(n): head = Node(value, head)
    return head

def adder(n):
    def add(x): return x + n
    return add

def counter(n):
    class Counter:
        def value(self): return n
    return Counter()

def helper(x): return x
def gen(): yield 1
"""


@pytest.fixture(name="program", scope="module")
def _program() -> Any:
    module = types.ModuleType("solution")
    before = sys.modules.get("solution")
    sys.modules["solution"] = module
    exec(PROGRAM, vars(module))
    yield module
    if before is None:
        del sys.modules["solution"]
    else:
        sys.modules["solution"] = before


@pytest.fixture(name="state")
def _state(program: Any) -> Callable[[str], str | None]:
    return lambda expression: state_text(eval(expression, dict(vars(program))))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("True", "1"),
        ("decimal.Decimal('0.50')", "fractions.Fraction(1, 2)"),
        ("0.5", "decimal.Decimal('0.5')"),
        ("-0.0", "0"),
        ("2 + 0j", "2"),
        ("decimal.Decimal('1.0E+900')", "decimal.Decimal('10E+899')"),
        ("{1, 2, 'x'}", "frozenset(['x', 2, 1])"),
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
        ("{'a': 1}", "collections.Counter('a')"),
        ("range(0, 10, 3)", "range(0, 12, 3)"),
        ("Point([1, {'k': (2, None)}], b'x')", "Point([1, {'k': (2, None)}], b'x')"),
        ("Slotted(1, 2)", "Slotted(1, 2)"),
        ("Stack([1, 2])", "Stack([1, 2])"),
        ("{Color.RED, Color.BLUE}", "{Color.BLUE, Color.RED}"),
        ("{Pair(1, 2): Level.LOW}", "{Pair(1, 2): Level.LOW}"),
        ("{frozenset([1, 2]), frozenset([3])}", "{frozenset([3]), frozenset([2, 1])}"),
        ("Item('a', ['b'])", "Item('a', ['b'])"),
        ("Err('x', 3)", "Err('x', 3)"),
        ("linked(5)", "linked(5)"),
        ("Guarded()", "Guarded()"),
        ("adder(3)", "adder(3)"),
        ("counter(3)", "counter(3)"),
        ("Point(helper, len)", "Point(helper, len)"),
        ("Point(functools.partial(helper, 1))", "Point(functools.partial(helper, 1))"),
        ("Point(re.compile('a+'), math.sqrt)", "Point(re.compile('a+'), math.sqrt)"),
        (
            "Point(datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc))",
            "Point(datetime.datetime.fromisoformat('2020-01-01T01:00+01:00'))",
        ),
        ("WithMeta(1)", "WithMeta(1)"),
        ("Ring([1, 2], 5)", "Ring([1, 2], 5)"),
        ("Point", "Point"),
    ],
)
def test_equal_values_have_equal_texts(state: Callable[[str], str | None], one: str, other: str) -> None:
    assert state(one) is not None
    assert state(one) == state(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "'1'"),
        ("[1, 2]", "[2, 1]"),
        ("[1]", "(1,)"),
        ("b'a'", "'a'"),
        ("''", "None"),
        ("0.1", "decimal.Decimal('0.1')"),
        ("Point(1, 2)", "Point(2, 1)"),
        ("Point(1, 2)", "Slotted(1, 2)"),
        ("Slotted(1, 2)", "Slotted(1, 3)"),
        ("Slotted(1, 2)", "Sub(1, 2)"),
        ("Stack([1, 2])", "Stack([2, 1])"),
        ("Stack([1])", "Stack([1], 'other')"),
        ("Stack([1])", "[1]"),
        ("Bag(a=1)", "Bag(a=2)"),
        ("Money('1.5')", "Money('1.6')"),
        ("Day(2020, 1, 1)", "Day(2020, 1, 2)"),
        ("Count('aab')", "Count('abb')"),
        ("Word('a')", "Word('b')"),
        ("Color.RED", "Color.BLUE"),
        ("Level.LOW", "Level.HIGH"),
        ("Pair(1, [2])", "Pair(1, [3])"),
        ("Item('a')", "Item('a', ['b'])"),
        ("Err('x', 3)", "Err('x', 4)"),
        ("Err('x', 3)", "Err('y', 3)"),
        ("linked(5)", "linked(6)"),
        ("adder(3)", "adder(4)"),
        ("counter(3)", "counter(4)"),
        ("lambda x: x + 1", "lambda x: x + 2"),
        ("Point(1, 2).__class__", "Slotted"),
        ("collections.OrderedDict(a=1, b=2)", "collections.OrderedDict(b=2, a=1)"),
        ("collections.deque([1, 2])", "collections.deque([2, 1])"),
        ("Ring([1, 2])", "Ring([2, 1])"),
        ("WithMeta(1)", "WithMeta(2)"),
    ],
)
def test_other_values_have_other_texts(state: Callable[[str], str | None], one: str, other: str) -> None:
    assert state(one) is not None
    assert state(other) is not None
    assert state(one) != state(other)


@pytest.mark.parametrize(
    "expression",
    [
        "gen()",
        "Point(iter([1, 2]))",
        "Point(float('nan'))",
        "Point(open('/dev/null'))",
        "Point(itertools.count())",
        "Point(map(len, []))",
        "Point(memoryview(b'x'))",
        "Hidden()",
        "Replaced(1)",
    ],
)
def test_what_cannot_be_read_has_no_state(state: Callable[[str], str | None], expression: str) -> None:
    assert state(expression) is None


def test_aliases_and_cycles_are_part_of_a_state(program: Any) -> None:
    row = [0]
    assert state_text([row, row]) != state_text([[0], [0]])
    assert state_text([row, row]) == state_text([x := [0], x])
    one, other = [1], [1]
    one.append(one)  # type: ignore[arg-type]
    other.append(other)  # type: ignore[arg-type]
    assert state_text(one) == state_text(other)
    first, second = program.Node(1), program.Node(2)
    first.after, second.after = second, first
    assert state_text(first) != state_text(second)
    assert state_text({first, second}) == state_text({second, first})


def test_cached_properties_are_no_part_of_a_state(program: Any) -> None:
    one, other = program.Circle(2), program.Circle(2)
    assert one.area == 12
    assert state_text(one) == state_text(other) != state_text(program.Circle(3))


def test_deep_states_are_read(program: Any) -> None:
    assert state_text(program.linked(20_000)) == state_text(program.linked(20_000))
    deep: Any = []
    for _ in range(20_000):
        deep = [deep]
    assert state_text(deep) is not None
    assert state_text(list(range(10**6))) is not None


def test_a_state_that_would_be_too_large_is_none() -> None:
    wide: Any = ()
    for _ in range(60):
        wide = (wide, wide)
    assert state_text(wide) is None
    nested: Any = frozenset()
    for _ in range(60):
        nested = frozenset([nested, (nested,)])
    assert state_text(nested) is None


def test_arrays_are_compared_by_their_numbers() -> None:
    assert state_text(np.array([1, 2])) == state_text(np.array([1.0, 2.0]))
    assert state_text(np.array([1, 2])) != state_text(np.array([[1, 2]]))
    assert state_text(np.array([1, 2])) != state_text(np.array([1, 3]))
    assert state_text([np.float64(0.5), np.int8(3)]) == state_text([0.5, 3])
    assert state_text(np.array([np.nan])) is None
    assert state_text(np.ma.array([1])) is None


def test_a_property_in_place_of_attributes_hides_nothing(program: Any) -> None:
    point = program.Point(1, 2)
    assert point.x == 7
    text = state_text(point)
    assert text is not None
    assert '"x"' in text
    assert '["number","2"]' in text


_NUMBERS = st.one_of(
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, -0.0, 0.5, 1.0, 1e300, 10**300, float("inf"), 1 + 0j, 1j]),
    st.sampled_from([decimal.Decimal("0.50"), decimal.Decimal("1"), fractions.Fraction(1, 2)]),
)
_HASHABLE = st.recursive(
    st.one_of(st.none(), _NUMBERS, st.sampled_from(["", "a", "1"]), st.sampled_from([b"", b"a"])),
    lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner, max_size=3)),
    max_leaves=4,
)
_VALUES = st.recursive(
    _HASHABLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.sets(_HASHABLE, max_size=3),
        st.dictionaries(_HASHABLE, inner, max_size=3),
        st.lists(inner, max_size=2).map(collections.deque),
    ),
    max_leaves=6,
)


@given(one=_VALUES, other=_VALUES)
def test_texts_of_plain_data_are_equal_exactly_if_the_values_are(one: Any, other: Any) -> None:
    assert (state_text(one) == state_text(other)) == (one == other)


@given(value=_VALUES)
def test_a_copy_has_the_same_text(value: Any) -> None:
    text = state_text(value)
    assert text is not None
    assert text == state_text(copy.deepcopy(value))
