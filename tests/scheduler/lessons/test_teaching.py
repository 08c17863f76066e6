from dataclasses import replace

import numpy as np
import pytest

from testbudget.policies.gain_model import GainModel
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Verdict
from testbudget.scheduler.fitting.gain_models import CrossFittedGainModel, gain_model_of_run, observe_gains
from testbudget.traces.records import CandidateRecord, TestRecord, TestStatus, VerdictRecord
from testbudget.traces.trace import ProblemTrace, Trace

PROBLEMS, CANDIDATES, TESTS = 12, 5, 6


def problem(number: int, rng: np.random.Generator, predicted: float = float("nan")) -> ProblemTrace:
    right = rng.random(CANDIDATES) < number / PROBLEMS
    tests, verdicts = {}, {}
    for index in range(TESTS):
        tests[index] = TestRecord(TestStatus.USABLE, f"test {number} {index}", index, 10, 0.25)
        passed = rng.random(CANDIDATES) < np.where(right, 0.8, 0.3)
        row = np.where(passed, Verdict.PASSED, Verdict.FAILED).astype(np.uint8)
        seconds = np.full(CANDIDATES, 0.25, np.float32)
        verdicts[index] = VerdictRecord(row, seconds, np.zeros(CANDIDATES, np.bool_))
    candidates = [CandidateRecord(f"    return {i}\n", True, 3, 0.5) for i in range(CANDIDATES)]
    return ProblemTrace(f"hash {number}", predicted, candidates, right, tests, verdicts)


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(0)
    problems = {f"p/{number}": problem(number, rng, number / PROBLEMS) for number in range(PROBLEMS)}
    return Trace(tmp_path, problems, None)


def changed(run: Trace, name: str, **fields) -> Trace:
    return replace(run, problems={**run.problems, name: replace(run.problems[name], **fields)})


def teaching_of(run: Trace, **settings) -> CrossFittedGainModel:
    return gain_model_of_run(run, "majority", orders=2, folds=4, **settings)


def same(one: GainModel, other: GainModel) -> bool:
    """Equality of all fields, those of the bins included."""
    arrays = ("accuracy", "counts", "mean_p_wrong", "weights")
    return (
        all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and (one.selection, one.best_budget) == (other.selection, other.best_budget)
        and (one.bins is None) == (other.bins is None)
        and (
            one.bins is None
            or (
                np.array_equal(one.bins.edges, other.bins.edges)
                and np.array_equal(one.bins.accuracy, other.bins.accuracy)
            )
        )
    )


def test_no_problem_is_allocated_by_what_was_learned_on_it(run):
    before = teaching_of(run)
    after = teaching_of(changed(run, "p/3", correct=~run.problems["p/3"].correct))
    assert before.fold_of == after.fold_of
    for number, (one, other) in enumerate(zip(before.members, after.members, strict=True)):
        assert same(one, other) == (number == before.fold_of["hash 3"])
    assert not same(before.whole, after.whole)


def test_known_problems_go_by_their_fold_and_new_ones_by_all(run):
    teaching = teaching_of(run)
    gain_models = teaching.models_for(["hash 3", "new", "hash 5"])
    chosen = [gain_models.gain_models[position] for position in gain_models.gain_model_of]
    assert chosen == [
        teaching.members[teaching.fold_of["hash 3"]],
        teaching.whole,
        teaching.members[teaching.fold_of["hash 5"]],
    ]


def test_folds_are_even_and_a_problem_that_occurs_twice_is_in_one(run):
    twice = replace(run, problems={**run.problems, "again": run.problems["p/3"]})
    teaching = teaching_of(twice)
    assert len(teaching.fold_of) == PROBLEMS
    np.testing.assert_array_equal(np.bincount(list(teaching.fold_of.values())), [3, 3, 3, 3])
    assert teaching.fold_of != teaching_of(run, seed=1).fold_of


def test_bins_are_learned_where_pass_rates_were_predicted(run):
    assert teaching_of(run).whole.bins is not None
    assert teaching_of(changed(run, "p/3", predicted_pass_rate=float("nan"))).whole.bins is None


def test_orders_come_from_the_seed(run):
    one, other = (observe_gains(run, "majority", orders=2, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(one.accuracy, observe_gains(run, "majority", orders=2, seed=0).accuracy)
    assert not np.array_equal(one.accuracy, other.accuracy)


def test_what_cannot_be_learned_from_is_named(run):
    with pytest.raises(UserError, match="which candidates are right but not of p/3"):
        teaching_of(changed(run, "p/3", correct=None))
    with pytest.raises(UserError, match="at least 2 problems"):
        teaching_of(replace(run, problems={"p/3": run.problems["p/3"]}))
    with pytest.raises(UserError, match="selection must be one of"):
        gain_model_of_run(run, "best", orders=1)
