import collections
import datetime
import pickle
import pickletools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbudget.traces.rows.plain_pickle import read_plain_pickle

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.lists(inner).map(tuple),
)


@settings(max_examples=50)
@given(values, st.integers(3, pickle.HIGHEST_PROTOCOL))
def test_a_pickle_of_plain_values_is_read_as_by_pickle(value, protocol):
    assert read_plain_pickle(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_older_protocols_are_read(protocol):
    value = {"a": [1, 2.5, True, None], 3: ("x", ["é"] * 3), "large": 10**30}
    assert read_plain_pickle(pickle.dumps(value, protocol)) == value


def test_values_that_are_shared_are_read_as_often_as_they_are_used():
    shared = ["x"]
    assert read_plain_pickle(pickle.dumps([shared, shared])) == [["x"], ["x"]]


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    "value",
    [Evil(), datetime.date(2024, 1, 1), {1, 2}, collections.OrderedDict(a=1), bytearray(b"x"), print],
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_whatever_is_not_plain_is_refused_and_not_executed(value, protocol, capsys):
    with pytest.raises(ValueError, match="only plain values are read"):
        read_plain_pickle(pickle.dumps(value, protocol))
    assert capsys.readouterr().out == ""


def test_a_damaged_pickle_is_refused():
    whole = pickle.dumps({"a": [1, (2, 3)], "b": "text"})
    for end in range(len(whole)):
        with pytest.raises(ValueError, match=r".+"):
            read_plain_pickle(whole[:end])


@pytest.mark.parametrize(
    "content", [b"", b".", b"(.", b"0.", b"h\x05.", b"Na.", b"(NNu.", b"N(e.", b"]}s.", b"}]Ns."]
)
def test_nonsense_is_refused(content):
    with pytest.raises(ValueError, match="pickle"):
        read_plain_pickle(content)


@given(st.binary(max_size=40))
def test_no_content_does_more_than_be_refused(content):
    try:
        value = read_plain_pickle(content)
    except ValueError:
        return
    assert isinstance(value, type(None) | bool | int | float | str | bytes | list | tuple | dict)


def test_every_opcode_that_is_read_exists():
    from testbudget.traces.rows import plain_pickle

    known = {opcode.name for opcode in pickletools.opcodes}
    assert {*plain_pickle._ARGUMENTS, *plain_pickle._CONSTANTS, *plain_pickle._IGNORED} <= known
