"""Written inputs in Python's notation reach JavaScript functions as JavaScript's own values."""

import json

import numpy as np
import pytest

from testbudget.executors.execution.languages.javascript.notation import javascript_value
from testbudget.executors.execution.values import NotPlainError, encode


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2.0, 2.5, "a", None, True], [1, 2, 2.5, "a", None, True]),
        ((1, (2,)), [1, [2]]),
        ({"a": {1: (0,)}}, {"object": [["a", {"object": [["1", [0]]]}]]}),
        ({(1, 2): "x"}, {"map": [[[1, 2], "x"]]}),
        ({3}, {"set": [3]}),
        (float("-inf"), {"number": "-Infinity"}),
        (-0.0, {"number": "-0"}),
        (b"\x01\xff", {"typed": ["Uint8Array", [1, 255]]}),
    ],
)
def test_values_become_those_that_a_javascript_program_would_write(value, expected):
    assert javascript_value(json.loads(encode(value))) == expected


@pytest.mark.parametrize("value", [1j, range(3), np.float64(1)])
def test_a_value_that_javascript_lacks_is_refused(value):
    with pytest.raises(NotPlainError):
        javascript_value(json.loads(encode([value])))
