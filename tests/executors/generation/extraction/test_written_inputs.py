"""Inputs in answers: calls with literal arguments wherever they stand, texts on standard input."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.execution.values import restore
from testbudget.executors.generation.extraction.answers import Rejection, UnusableError
from testbudget.executors.generation.extraction.written_inputs import MAX_INPUTS, extract_inputs

NO_KEYWORDS = {"dict": []}


def arguments(text, name="f"):
    """Positional arguments of each call in an answer."""
    return [restore(call[1]) for call in json.loads(extract_inputs(text, name))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```python\nf(1)\nf([2, 3], 'a)b')\n```", [[1], [[2, 3], "a)b"]]),
        ("Ordinary:\n- `f(1)` # one\n- f(-2.5)\n\n**Edge cases**\n1. f(None)", [[1], [-2.5], [None]]),
        (
            "assert f(1) == f(2)\nself.assertEqual(f((1,)), 3)\nprint(f({1: 'a'}))",
            [[1], [2], [(1,)], [{1: "a"}]],
        ),
        (">>> f('x')\n3\n>>> f('')", [["x"], [""]]),
        ("[f(1), f(2), f(1)]", [[1], [2]]),
        ("f([0] * 4)\nf('ab' * 2 + 'c')\nf(10 ** 3, 7 - 2)", [[[0] * 4], ["ababc"], [1000, 5]]),
        ("f(float('inf'))\nf(list(range(3)))\nf(set())", [[float("inf")], [[0, 1, 2]], [set()]]),
        ("f(\n    1,\n    [2],\n)", [[1, [2]]]),
        ("<think>f(9)</think>f(1)", [[1]]),
        ("```\nf(1)\nf(2", [[1]]),  # cut off
    ],
)
def test_calls_are_found_wherever_they_stand(text, expected):
    assert arguments(text) == expected


@pytest.mark.parametrize(
    "call",
    [
        "f(x)",
        "f(g(1))",
        "f(lambda: 1)",
        "f(*[1])",
        "f(**{'a': 1})",
        "f(open('x'))",
        "f([1] * 10 ** 9)",
        "f(2 ** 10 ** 9)",
        "f(list(range(10 ** 9)))",
        "f(int('1' * 9999))",
        "f(1 / 0)",
        "f({[]})",
        "f(...)",
        "def f(a): pass",
        "my.f(1)",
        "off(1)",
        "f (",
        "f" + "(" * 300,
        "f(" + "[" * 5000 + "]" * 5000 + ")",
    ],
)
def test_what_is_no_literal_is_left_out_quickly(call):
    began = time.process_time()
    with pytest.raises(UnusableError) as error:
        extract_inputs(call, "f")
    assert error.value.rejection is Rejection.NO_INPUT
    assert time.process_time() - began < 5


def test_keyword_arguments_are_kept():
    assert json.loads(extract_inputs("f(1, key='a')", "f")) == [["f", [1], {"dict": [["key", "a"]]}]]


def test_the_first_distinct_inputs_count():
    many = "\n".join(f"f({number})" for number in range(200))
    assert len(arguments(many)) == MAX_INPUTS
    assert len(json.loads(extract_inputs(many, "f", 3))) == 3


@pytest.mark.parametrize(
    "text",
    [
        "Input:\n```\n3\n1 2 3\n```\nInput:\n```\n0\n```",
        "```\n3\n1 2 3\n```\nand the smallest:\n```\n0\n```",
        '[{"input": "3\\n1 2 3\\n", "output": "6"}, {"input": "0\\n", "output": "0"}]',
        "Input:\n```\n3\n1 2 3\n```\nOutput:\n```\n6\n```\nInput:\n```\n0\n```\nOutput:\n```\n0\n```",
    ],
)
def test_inputs_of_programs_are_read_with_and_without_outputs(text):
    assert json.loads(extract_inputs(text, None)) == [
        ["<stdin>", ["3\n1 2 3\n"], NO_KEYWORDS],
        ["<stdin>", ["0\n"], NO_KEYWORDS],
    ]


@given(st.text(alphabet=st.sampled_from("f()[]{},'\"1a \n`=*+-.#\\:"), max_size=60))
def test_no_answer_raises_anything_else(text):
    for name in ("f", None):
        try:
            code = extract_inputs(text, name)
        except UnusableError:
            continue
        assert 1 <= len(json.loads(code)) <= MAX_INPUTS
