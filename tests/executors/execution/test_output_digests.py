import json

import numpy as np
import pytest

from testbudget.executors.execution.output_digests import (
    NO_CALLS,
    BlockCalls,
    outputs_on_tests,
    parse_calls,
)
from testbudget.executors.execution.values import encode
from testbudget.rewards.outputs import NO_RESULT, CallEnding


def output_of(result):
    calls = BlockCalls(['["f",[],{"dict":[]}]'], [result], [[0, 0]], [0])
    return outputs_on_tests(calls, np.array([[0, 0]]), 1, [0]).outputs[0]


def returned(value):
    return output_of(f'["r",{encode(value)}]')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.1 + 0.2, 0.3),
        ([1.0, (2,)], [1, (2,)]),
        ({3, 1, 2}, {2, 1, 3}),
        ({1: "a", 2: "b"}, {2: "b", 1: "a"}),
        (-0.0, 0),
    ],
)
def test_values_that_count_as_equal_have_equal_digests(one, other):
    assert returned(one).digest == returned(other).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, "1"), (0.1, 0.10001), ([1, 2], [2, 1]), ((1,), [1]), ({1}, [1]), (None, 0), ("", None), ({}, [])],
)
def test_different_values_have_different_digests(one, other):
    assert returned(one).digest != returned(other).digest


def test_exceptions_differ_by_their_type_alone():
    def raised(name, message):
        return output_of(json.dumps(["e", ["builtins", name, name, message], None]))

    assert raised("ValueError", "a").digest == raised("ValueError", "b").digest
    assert raised("ValueError", "a").digest != raised("TypeError", "a").digest
    assert raised("ValueError", "a").ending is CallEnding.RAISED
    assert raised("ValueError", "a").example == "ValueError"


def test_an_example_reads_as_source_code_and_is_short():
    assert returned({"a": (1, [None, True])}).example == "{'a': (1, [None, True])}"
    assert len(returned(list(range(1000))).example) <= 120


@pytest.mark.parametrize(
    "text", ["", "[", "7", '["x", 99]', '["r"]', '["e", 1]', "[" * 100_000, '["r",' + "[" * 900 + "]" * 901]
)
def test_any_text_of_a_candidate_gives_an_output(text):
    assert output_of(text).ending in set(CallEnding)


def test_candidates_with_equal_results_have_equal_numbers():
    calls = BlockCalls(
        ['["f",[1],{"dict":[]}]', '["f",[2],{"dict":[]}]'],
        ['["r",1]', '["r",true]', '["r",2]', '["x",3]'],
        [[0, 0, 1, 2], [0, 1, 1, 3], [0, 0]],
        [0, 1, 2],
    )
    recorded_outputs = outputs_on_tests(calls, np.array([[0, 0], [1, 0], [3, 0]]), 4, [7])
    assert [(given.test, given.function, given.arguments) for given in recorded_outputs.inputs] == [
        (7, "f", '[[1],{"dict":[]}]'),
        (7, "f", '[[2],{"dict":[]}]'),
    ]
    results = recorded_outputs.results
    assert results[0, 0] == results[1, 0] == results[3, 0]
    assert recorded_outputs.outputs[results[1, 1]].ending is CallEnding.TIMED_OUT
    assert results[2].tolist() == [NO_RESULT, NO_RESULT]
    assert results[3, 1] == NO_RESULT


def test_without_calls_there_are_no_outputs():
    recorded_outputs = outputs_on_tests(NO_CALLS, np.zeros((0, 2), np.intp), 3, [])
    assert recorded_outputs.results.shape == (3, 0)


def test_the_answer_of_a_sandbox_is_parsed():
    assert parse_calls(json.dumps(NO_CALLS._asdict()).encode()).calls == []
