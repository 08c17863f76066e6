import json

import numpy as np
import pytest

from testbudget.executors.execution.inputs import mutated_inputs, run_with_mutations
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.output_digests import call_digest
from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.values import decode, encode
from testbudget.rewards.outputs import NO_RESULT, RecordedCall, output_groups, outputs_by_test
from testbudget.rewards.problem import TestKind, UnitTest, Verdict


def call(*arguments, function="solve", test=0):
    text = encode([list(arguments), {}])
    return RecordedCall(test, function, text, call_digest(function, json.loads(text)))


def values(given):
    positional, named = decode(given.arguments)
    assert named == {}
    return positional


def rng(seed=0):
    return np.random.default_rng(seed)


PLAIN = [
    3,
    -7,
    2.5,
    "word",
    "",
    True,
    None,
    [3, 1, 2],
    [],
    (1, "a"),
    {"k": 1, "l": [2]},
    {4, 5},
    [[1], [2, 3]],
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_a_changed_argument_keeps_its_type(value):
    for given in mutated_inputs([call(value)], 20, rng()):
        (changed,) = values(given)
        assert type(changed) is type(value)


def test_as_many_new_inputs_are_drawn_as_requested():
    known = [call([1, 2, 3], "abc"), call([4], "x", test=1)]
    found = mutated_inputs(known, 25, rng())
    texts = [given.arguments for given in found]
    assert len(texts) == 25
    assert not set(texts) & {given.arguments for given in known}
    assert len(set(texts)) == 25


def test_mutated_inputs_belong_to_no_test_and_keep_the_number_of_arguments():
    for given in mutated_inputs([call([1, 2], 3, function="pick")], 10, rng()):
        assert given.test is None
        assert given.function == "pick"
        assert len(values(given)) == 2


def test_equal_calls_have_equal_digests():
    (one,) = mutated_inputs([call(True)], 1, rng())
    assert values(one) == [False]
    assert one.digest == call(0).digest


def test_a_changed_value_may_come_from_another_call():
    found = mutated_inputs([call(1), call(1_000_003)], 50, rng())
    mixed = mutated_inputs([call(1, "a"), call(1_000_003, "b")], 50, rng())
    assert all(given.arguments not in (call(1).arguments, call(1_000_003).arguments) for given in found)
    assert [1, "b"] in map(values, mixed)


def test_the_same_draws_give_the_same_inputs():
    known = [call({"a": [1, 2]}, "text")]
    assert mutated_inputs(known, 10, rng(4)) == mutated_inputs(known, 10, rng(4))
    assert mutated_inputs(known, 10, rng(4)) != mutated_inputs(known, 10, rng(5))


@pytest.mark.parametrize(
    "known", [[], [call()], [call(None)]], ids=["no call", "no argument", "nothing to change"]
)
def test_without_a_value_to_change_there_are_no_mutated_inputs(known):
    assert mutated_inputs(known, 5, rng()) == []


def test_known_inputs_are_not_modified():
    known = [call([1, [2, 3]], {"k": [4]})]
    before = [given.arguments for given in known]
    mutated_inputs(known, 20, rng())
    assert [given.arguments for given in known] == before


ABSOLUTE = "def solve(x): return abs(x)"
IDENTITY = "def solve(x): return x"
NEGATING = "def solve(x): return x if x < 5 else -x"
CANDIDATES = [ABSOLUTE, IDENTITY, NEGATING]
MUTATIONS = 6


def asserts(*programs):
    return [
        UnitTest("problem", 10 + index, program, seed=index, kind=TestKind.ASSERT)
        for index, program in enumerate(programs)
    ]


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=0.4, memory_mib=256)) as runner:
        yield runner


def test_candidates_that_pass_the_same_tests_are_separated_by_mutated_inputs(runner):
    tests = asserts("assert solve(4) == 4")
    unmutated = runner.run(CANDIDATES, tests, "solve")
    mutated = run_with_mutations(runner, CANDIDATES, tests, "solve", MUTATIONS)
    assert (mutated.verdicts == Verdict.PASSED).all()
    assert output_groups(unmutated.recorded_outputs).tolist() == [0, 0, 0]
    assert output_groups(mutated.recorded_outputs).tolist() == [0, 0, 1]


def test_mutated_inputs_are_counted_and_charged_with_their_test(runner):
    tests = asserts("assert solve(4) == 4", "assert True")
    unmutated = runner.run(CANDIDATES, tests, "solve")
    mutated = run_with_mutations(runner, CANDIDATES, tests, "solve", MUTATIONS)
    assert mutated.input_mutations.tolist() == [MUTATIONS, 0]
    inputs = outputs_by_test(mutated.recorded_outputs)[10].inputs
    assert len(inputs) == 1 + MUTATIONS
    assert inputs[0] == unmutated.recorded_outputs.inputs[0]
    assert (mutated.recorded_outputs.results != NO_RESULT).all()
    assert (mutated.cpu_seconds > 0).all()
    np.testing.assert_array_equal(mutated.verdicts, unmutated.verdicts)


def test_mutated_inputs_of_a_test_do_not_depend_on_other_tests_and_candidates(runner):
    tests = asserts("assert solve(4) == 4", "assert solve(9) == 9")
    both = outputs_by_test(
        run_with_mutations(runner, CANDIDATES, tests, "solve", MUTATIONS).recorded_outputs
    )
    second = outputs_by_test(
        run_with_mutations(runner, CANDIDATES[:1], tests[1:], "solve", MUTATIONS).recorded_outputs
    )
    assert both[11].inputs == second[11].inputs
    assert both[10].inputs != both[11].inputs


def test_a_test_without_calls_has_no_mutated_inputs(runner):
    result = run_with_mutations(runner, CANDIDATES, asserts("assert True"), "solve", MUTATIONS)
    assert result.input_mutations.tolist() == [0]
    assert result.recorded_outputs.inputs == ()
