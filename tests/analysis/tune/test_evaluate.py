"""Results of choices on training and held-out problems. Nothing is fitted on held-out problems."""

import dataclasses

import numpy as np
import pytest

from testbudget.analysis.tune.evaluate import prepare_study
from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.space import Choice, split_held_out
from testbudget.policies.registry import policy_class
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import selection_rule
from testbudget.traces.learning_curves import RecordedTests, compute_learning_curves, random_permutations
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import Trace

SETTINGS = StudySettings(tests_per_problem=2, permutations=3)
CHOICES = [
    Choice("majority", "adaptive", 2),
    Choice("calibrated", "greedy", 2, 1, 4),
    Choice("calibrated", "proportional", 2.5),
]


def sides_of(trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    hashes = [seen.content_hash for seen in trace.problems.values()]
    return split_held_out(hashes, SETTINGS.held_out, SETTINGS.seed)


def with_inverted_labels(trace: Trace, positions: np.ndarray) -> Trace:
    problems = {
        problem: dataclasses.replace(seen, correct=~seen.correct) if position in positions else seen
        for position, (problem, seen) in enumerate(trace.problems.items())
    }
    return dataclasses.replace(trace, problems=problems)


def test_equal_budgets_have_the_results_of_the_learning_curves(imported):
    trace = read_trace(imported)
    outputs_by_problem = read_outputs(imported)
    prepared = prepare_study(trace, SETTINGS)
    for evaluator, positions in zip((prepared.training, prepared.held_out), sides_of(trace), strict=True):
        problems = [list(trace.problems.items())[position] for position in positions]
        recordings = [
            RecordedTests.of(seen, seen.correct, outputs_by_problem[problem]) for problem, seen in problems
        ]
        for permutation in range(SETTINGS.permutations):
            rng = np.random.default_rng([SETTINGS.seed, permutation])
            expected = compute_learning_curves(
                recordings, random_permutations(recordings, rng), selection_rule("calibrated")
            )
            result = evaluator.evaluate(Choice("calibrated", "uniform", 2), permutation)
            np.testing.assert_allclose(result.accuracy, [curve.accuracy[2] for curve in expected])
            np.testing.assert_allclose(result.spent, [curve.spent[2] for curve in expected])


@pytest.fixture(scope="module")
def prepared(with_states):
    """A study of the run with hidden states; it keeps results of choices."""
    return prepare_study(read_trace(with_states), SETTINGS)


@pytest.fixture(scope="module")
def inverted(with_states):
    """The same with inverted labels of the held-out problems."""
    trace = read_trace(with_states)
    return prepare_study(with_inverted_labels(trace, sides_of(trace)[1]), SETTINGS)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.policy)
def test_labels_of_held_out_problems_change_nothing_but_their_own_accuracy(prepared, inverted, choice):
    before, after = prepared, inverted
    np.testing.assert_array_equal(
        before.training.evaluate_all(choice).accuracy, after.training.evaluate_all(choice).accuracy
    )
    for one, other in ((before.training, after.training), (before.held_out, after.held_out)):
        np.testing.assert_array_equal(one.evaluate_all(choice).spent, other.evaluate_all(choice).spent)
    assert not np.array_equal(
        before.held_out.evaluate_all(choice).accuracy, after.held_out.evaluate_all(choice).accuracy
    )


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.policy)
def test_bounds_and_caps_hold(prepared, choice):
    for evaluator in (prepared.training, prepared.held_out):
        tests = evaluator.evaluate_all(choice).spent[..., 0]
        assert (tests.sum(axis=1) <= choice.tests_per_problem * tests.shape[1] + 0.5).all()
        assert tests.min() >= choice.min_tests
        assert choice.max_tests is None or tests.max() <= choice.max_tests


def test_policies_are_those_that_a_job_for_the_run_can_have(imported, prepared):
    without, states = prepare_study(read_trace(imported), SETTINGS), prepared
    assert without.space.policies == ("uniform", "adaptive")
    assert set(states.space.policies) == {"uniform", "proportional", "greedy", "adaptive"}
    assert [note.split(":")[0] for note in states.notes] == ["left out binned"]
    for name in ("greedy", "oracle-curves"):
        assert policy_class(name)
        with pytest.raises(UserError, match=f"but got '{name}'"):
            prepare_study(read_trace(imported), StudySettings(**{**dict(SETTINGS), "policies": (name,)}))
