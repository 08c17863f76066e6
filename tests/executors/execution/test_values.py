import collections
import datetime
import decimal
import fractions
import math
import zoneinfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.execution import values
from testbudget.executors.execution.values import NotPlainError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
HASHABLE = st.recursive(SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner), max_leaves=5)
PLAIN = st.recursive(
    SCALARS | st.complex_numbers(allow_nan=False) | st.decimals(allow_nan=False) | st.fractions(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(HASHABLE, inner) | st.sets(HASHABLE)
    ),
    max_leaves=20,
)


def same(one, other):
    return type(one) is type(other) and one == other


@given(PLAIN)
def test_a_plain_value_is_restored_exactly(value):
    assert same(values.decode(values.encode(value)), value)


@pytest.mark.parametrize(
    "value",
    [
        collections.Counter("aab"),
        collections.OrderedDict([(2, "b"), (1, "a")]),
        collections.deque([1, 2], maxlen=3),
        datetime.datetime(2024, 2, 29, 12, 30, fold=1),
        datetime.date(2024, 2, 29),
        datetime.time(1, 2, 3),
        datetime.timedelta(days=-1, microseconds=1),
        decimal.Decimal("0.10"),
        fractions.Fraction(1, 3),
        range(1, 10, 3),
        bytearray(b"\0\xff"),
        10**6000,
        [-(10**6000)],
        math.inf,
        "\ud800",
        ["\ud83d\ude00", {"\ud83d": "\U0001f600"}],
        datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
        datetime.time(1, tzinfo=datetime.timezone(datetime.timedelta(hours=-5)), fold=1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_the_standard_library_are_restored_exactly(value):
    assert same(values.decode(values.encode(value)), value)


def test_a_defaultdict_keeps_its_factory():
    sent = collections.defaultdict(list, {1: [2]})
    arrived = values.decode(values.encode(sent))
    assert same(arrived, sent)
    assert arrived.default_factory is list


def test_numpy_values_keep_type_and_shape():
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    arrived = values.decode(values.encode([array, np.float32(0.5)]))
    np.testing.assert_array_equal(arrived[0], array)
    assert arrived[0].dtype == np.int16
    assert type(arrived[1]) is np.float32


@pytest.mark.parametrize("items", [["a", "bb"], [b"a"], np.array(["2024-02-29"], "M8[D]")])
def test_arrays_of_texts_and_dates_are_restored(items):
    sent = np.array(items)
    arrived = values.decode(values.encode(sent))
    assert arrived.dtype == sent.dtype
    assert arrived.tolist() == sent.tolist()


def test_an_array_and_what_it_is_a_view_of_are_mutable_containers():
    array = np.arange(4)
    view = array[:2]
    assert [*map(id, values.mutable_containers([view]))][1:] == [id(view), id(array)]


def test_nan_and_the_sign_of_zero_are_kept():
    assert math.isnan(values.decode(values.encode(math.nan)))
    assert math.copysign(1, values.decode(values.encode(-0.0))) == -1
    assert type(values.decode(values.encode(1.0))) is float


def test_the_order_of_a_dictionary_is_kept():
    assert list(values.decode(values.encode({2: 0, 1: 0}))) == [2, 1]


class _EqualToAll(int):
    def __eq__(self, _):
        return True

    __hash__ = int.__hash__


Pair = collections.namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    "value",
    [
        _EqualToAll(1),
        [1, [_EqualToAll(1)]],
        {"key": Pair(1, 2)},
        object(),
        print,
        int,
        iter([]),
        (i for i in ()),
        np.array([{}]),
        datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(0), "EST")),
        datetime.time(1, tzinfo=zoneinfo.ZoneInfo("UTC")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_is_not_plain_is_refused(value):
    with pytest.raises(NotPlainError):
        values.encode(value)


def test_circular_and_too_large_values_are_refused():
    circular = []
    circular.append(circular)
    for value in (circular, "x" * (values.LONGEST_TEXT + 1)):
        with pytest.raises(NotPlainError):
            values.encode(value)


@pytest.mark.parametrize(
    "text", ['{"tuple":1}', '{"nothing":1}', '{"a":1,"b":2}', '{"ndarray":["O","",[]]}', "["]
)
def test_a_text_that_encodes_no_value_is_refused(text):
    with pytest.raises(ValueError, match=r"plain value|Expecting"):
        values.decode(text)


def test_the_identity_of_math_nan_alone_is_kept():
    assert values.decode(values.encode([math.nan])) == [math.nan]
    assert values.decode(values.encode([float("nan")])) != [math.nan]


def test_mutable_containers_are_listed_once_per_occurrence():
    row, last = [0], {1: [2]}
    whole = [row, ([1], last)]
    assert values.mutable_containers(whole) == [whole, row, [1], last, [2]]
    assert list(map(id, values.mutable_containers((row, (1, {1: row}))))).count(id(row)) == 2
    assert values.mutable_containers((1, "a", frozenset({2}))) == []
