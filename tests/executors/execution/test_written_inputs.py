"""Written inputs: candidates are called on them in their own language's values."""

import json
import shutil

import numpy as np
import pytest

from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.values import encode
from testbudget.executors.execution.written_inputs import recorded_calls, run_written_inputs
from testbudget.rewards.outputs import CallEnding
from testbudget.rewards.problem import NO_VERDICT, WRITTEN_INPUTS, TestKind, UnitTest

NO_KEYWORDS: dict[str, object] = {}


def written(*arguments):
    """Written inputs of calls of ``f``."""
    calls = [json.loads(encode(["f", [*given], NO_KEYWORDS])) for given in arguments]
    return UnitTest("p", WRITTEN_INPUTS, json.dumps(calls), kind=TestKind.ASSERT)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_dictionaries_tuples_and_sets_reach_javascript_functions():
    inputs = written([{"a": 1, "b": [2]}], [(1, 2)], [{3}], [float("inf")], [1j])
    describe = "function f(x) { return [x.constructor.name, JSON.stringify(x), x.size ?? null]; }"
    with Runner(language="javascript") as runner:
        block = run_written_inputs(runner, [describe, "function f(x) { return x; }"], inputs)
    outputs = block.recorded_outputs
    assert block.verdicts.tolist() == [[NO_VERDICT], [NO_VERDICT]]
    assert {output.ending for output in outputs.outputs} == {CallEnding.RETURNED}
    assert [json.loads(given.arguments) for given in outputs.inputs] == [
        [[{"object": [["a", 1], ["b", [2]]]}]],
        [[[1, 2]]],
        [[{"set": [3]}]],
        [[{"number": "Infinity"}]],
    ]  # JavaScript has no complex numbers
    np.testing.assert_array_equal(block.input_mutations, [3])


def test_calls_of_python_functions_stay_as_they_were_written():
    code = json.dumps([json.loads(encode(["f", [{"a": (1, 1j)}], NO_KEYWORDS]))])
    (call,) = recorded_calls(code)
    assert json.dumps(["f", *json.loads(call.arguments)]) == json.dumps(json.loads(code)[0])
