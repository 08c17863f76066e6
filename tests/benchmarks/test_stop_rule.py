"""A part of the recorded run that the loop is given holds what was recorded of its tests."""

import numpy as np

from testbudget.rewards.outputs import OutputMatrix
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.problems import load_problems
from testbudget.traces.tables import read_trace


def test_a_part_has_the_verdicts_and_outputs_of_its_tests_in_their_order(script):
    run = script("recorded_blocks").RECORDED_RUN
    problem = load_problems("humaneval")[3]
    whole = script("stop_rule").RunPart([problem], read_trace(run), read_outputs(run))
    seen = whole.trace.problem(problem)
    tests = sorted(seen.verdicts)[9:2:-3]
    part = whole.part({problem.id: tests})
    assert list(part.trace.problems) == [problem.id]
    for place, test in enumerate(tests):
        assert part.trace.problem(problem).tests[place] is seen.tests[test]
        assert part.trace.problem(problem).verdicts[place] is seen.verdicts[test]
    programs = np.arange(len(part.outputs_by_problem[problem.id].results))
    expected = OutputMatrix.of(whole.outputs_by_problem[problem.id], programs, tests)
    found = OutputMatrix.of(part.outputs_by_problem[problem.id], programs, range(len(tests)))
    assert found.known.tolist() == expected.known.tolist()
    for row, same in zip(found.results, expected.results, strict=True):
        assert (row[:, np.newaxis] == row).tolist() == (same[:, np.newaxis] == same).tolist()
