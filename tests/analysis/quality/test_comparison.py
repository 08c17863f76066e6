"""Quality of the tests of runs: one alone, two paired, and what cannot be compared."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from testbudget.analysis.distill.source_run import SourceRun
from testbudget.analysis.quality.comparison import compare_quality
from testbudget.analysis.quality.settings import QualitySettings
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Verdict
from testbudget.traces.tables import read_trace, write_trace

SETTINGS = QualitySettings(together=(1, 2, 5, 10), permutations=3)


@pytest.fixture
def worse(finished, tmp_path):
    """The same run with tests that everything passes, at twice the tokens."""
    directory = tmp_path / "worse"
    shutil.copytree(finished, directory)
    trace = read_trace(directory)

    def change(seen):
        passing = np.full(4, Verdict.PASSED, np.uint8)
        verdicts = {index: replace(one, verdicts=passing) for index, one in seen.verdicts.items()}
        tests = {index: replace(one, tokens=2 * one.tokens) for index, one in seen.tests.items()}
        return replace(seen, verdicts=verdicts, tests=tests)

    write_trace(replace(trace, problems={name: change(seen) for name, seen in trace.problems.items()}))
    return SourceRun("worse", directory)


def figures(runs, trained_on=frozenset()):
    comparison = compare_quality(runs, SETTINGS, frozenset(trained_on))
    return comparison, {(figure.group, figure.name): figure for figure in comparison.figures}


def test_rates_of_one_run_are_those_of_its_pairs(finished):
    comparison, found = figures([SourceRun("run", finished)])
    assert comparison.problems == 5
    single = found["single tests", "false positive rate"]
    # Of 5 x 6 executed tests x 3 wrong candidates: the point 0 of x ** k, and both of 2 for a doubling.
    trace = read_trace(finished)
    passed = wrong = 0
    for seen in trace.problems.values():
        for record in seen.verdicts.values():
            of_all = record.verdicts[[0, 1, 2, 1, 3]]
            passed += int((of_all[~seen.correct] == Verdict.PASSED).sum())
            wrong += int((~seen.correct).sum())
    assert single.values[0].value == pytest.approx(passed / wrong)
    assert single.difference is None
    assert found["single tests", "false negative rate"].values[0].value == 0
    assert found["ranking of candidates", "top-1"].values[0].value == 1.0
    assert ("10 tests together", "accuracy") not in found


def test_two_runs_are_paired_by_problem_and_set_at_equal_tokens(finished, worse):
    comparison, found = figures([SourceRun("run", finished), worse])
    assert comparison.runs == ["run", "worse"]
    pick = found["accuracy of the pick", "at 5 tests"]
    assert pick.values[0].value == 1.0
    assert pick.values[1].value == pytest.approx(0.4)  # all candidates are tied
    assert pick.difference.value == pytest.approx(-0.6)
    assert pick.difference.high < 0
    tokens = found["costs", "tokens per test"]
    assert tokens.values[1].value == pytest.approx(2 * tokens.values[0].value)
    budget = 5 * tokens.values[0].value
    assert ("accuracy of the pick", f"at {budget:,.0f} tokens") in found
    _, same = figures([SourceRun("a", finished), SourceRun("b", finished)])
    assert {figure.difference.value for figure in same.values()} == {0.0}
    assert {figure.difference.high for figure in same.values()} == {0.0}


def test_problems_that_were_trained_on_do_not_judge(finished):
    hashes = [seen.content_hash for seen in read_trace(finished).problems.values()]
    comparison, _ = figures([SourceRun("run", finished)], hashes[:2])
    assert (comparison.problems, comparison.left_out) == (3, 2)
    with pytest.raises(UserError, match="the model was trained on all 5 problems"):
        figures([SourceRun("run", finished)], hashes)


def test_runs_that_cannot_be_compared_are_told(finished, worse):
    run = SourceRun("run", finished)
    with pytest.raises(UserError, match="compares two runs but got 3"):
        figures([run, run, run])
    trace = read_trace(worse.directory)
    flipped = {name: replace(seen, correct=~seen.correct) for name, seen in trace.problems.items()}
    write_trace(replace(trace, problems=flipped))
    with pytest.raises(UserError, match="must have the same candidates but differ on times/2"):
        figures([run, SourceRun("worse", worse.directory)])
    unlabelled = {name: replace(seen, correct=None) for name, seen in trace.problems.items()}
    write_trace(replace(trace, problems=unlabelled))
    with pytest.raises(UserError, match="needs labelled problems with tests that all runs have"):
        figures([run, SourceRun("worse", worse.directory)])
