import numpy as np
import pytest

from testbudget.executors.execution.inputs import run_with_mutations
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.outputs import NO_RESULT, output_groups, outputs_by_test
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

ABSOLUTE = "def solve(x): return abs(x)"
ITSELF = "def solve(x): return x"
LATE = "def solve(x): return x if x < 5 else -x"
CANDIDATES = [ABSOLUTE, ITSELF, LATE]
VARIATIONS = 6


def asserts(*programs):
    return [
        UnitTest("problem", 10 + index, program, seed=index, kind=TestKind.ASSERTIONS)
        for index, program in enumerate(programs)
    ]


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=0.4, memory_mib=256)) as runner:
        yield runner


def test_candidates_that_pass_alike_are_told_apart_by_what_else_they_do(runner):
    tests = asserts("assert solve(4) == 4")
    alone = runner.run(CANDIDATES, tests, "solve")
    varied = run_with_mutations(runner, CANDIDATES, tests, "solve", VARIATIONS)
    assert (varied.verdicts == Verdict.PASSED).all()
    assert output_groups(alone.recorded_outputs).tolist() == [0, 0, 0]
    assert output_groups(varied.recorded_outputs).tolist() == [0, 0, 1]


def test_variations_are_counted_and_charged_with_their_test(runner):
    tests = asserts("assert solve(4) == 4", "assert True")
    alone = runner.run(CANDIDATES, tests, "solve")
    varied = run_with_mutations(runner, CANDIDATES, tests, "solve", VARIATIONS)
    assert varied.input_mutations.tolist() == [VARIATIONS, 0]
    inputs = outputs_by_test(varied.recorded_outputs)[10].inputs
    assert len(inputs) == 1 + VARIATIONS
    assert inputs[0] == alone.recorded_outputs.inputs[0]
    assert (varied.recorded_outputs.results != NO_RESULT).all()
    assert (varied.cpu_seconds > 0).all()
    np.testing.assert_array_equal(varied.verdicts, alone.verdicts)


def test_variations_of_a_test_do_not_depend_on_what_it_is_run_with(runner):
    tests = asserts("assert solve(4) == 4", "assert solve(9) == 9")
    both = outputs_by_test(
        run_with_mutations(runner, CANDIDATES, tests, "solve", VARIATIONS).recorded_outputs
    )
    second = outputs_by_test(
        run_with_mutations(runner, CANDIDATES[:1], tests[1:], "solve", VARIATIONS).recorded_outputs
    )
    assert both[11].inputs == second[11].inputs
    assert both[10].inputs != both[11].inputs


def test_a_test_without_calls_has_no_variations(runner):
    outcomes = run_with_mutations(runner, CANDIDATES, asserts("assert True"), "solve", VARIATIONS)
    assert outcomes.input_mutations.tolist() == [0]
    assert outcomes.recorded_outputs.inputs == ()
