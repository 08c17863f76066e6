import numpy as np

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.quality import accuracy_of_winners
from testbudget.rewards.selection.majority import Majority
from testbudget.traces.learning_curves import (
    LearningCurve,
    RecordedTests,
    compute_learning_curves,
    permute_tests,
    random_permutations,
)
from testbudget.traces.tables import read_trace


def test_tests_without_a_vote_are_charged_and_change_nothing(voted):
    problem = read_trace(voted).problems["p/9"]
    recorded = RecordedTests.of(problem, problem.correct)
    # The duplicate, the unusable one, and then a test that votes.
    permutation = np.array([4, 6, 0, 1, 2, 3, 5, 7, 8])
    (permuted,) = permute_tests([recorded], [permutation])
    curve = LearningCurve(recorded, permutation, Majority(), permuted)
    first = recorded.evidence(permutation[:3]).votes
    assert [recorded.evidence(permutation[:tests]).votes.tests for tests in range(5)] == [0, 0, 0, 1, 2]
    assert curve.accuracy[0] == curve.accuracy[1] == curve.accuracy[2] == problem.correct.mean()
    assert curve.accuracy[3] == accuracy_of_winners(Majority().winners(Evidence(first)), problem.correct)
    assert curve.accuracy[3] != curve.accuracy[2]
    assert curve.p_wrong[0] == curve.p_wrong[1] == curve.p_wrong[2] != curve.p_wrong[3]
    np.testing.assert_array_equal(curve.spent[:4, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(curve.spent[:4, 1], [0, 14, 30, 40])
    np.testing.assert_array_equal(curve.spent[:3, 2], 0)
    assert curve.spent[3, 2] > 0


def test_each_problem_has_its_own_permutation_and_all_end_in_the_same_totals(voted):
    recorded_tests = [
        RecordedTests.of(problem, problem.correct) for problem in read_trace(voted).problems.values()
    ]
    first, again, other = (
        compute_learning_curves(
            recorded_tests, random_permutations(recorded_tests, np.random.default_rng(seed)), Majority()
        )
        for seed in (1, 1, 2)
    )
    for one, same, two in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one.accuracy, same.accuracy)
        assert one.accuracy[-1] == two.accuracy[-1]
        np.testing.assert_allclose(one.spent[-1], two.spent[-1])
    assert any((one.spent[:, 1] != two.spent[:, 1]).any() for one, two in zip(first, other, strict=True))
    assert len({tuple(one.spent[:, 1]) for one in first}) > 1
