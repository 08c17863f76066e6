from dataclasses import replace

import numpy as np
import pytest

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Verdict
from testbudget.scheduler.fitting.gain_models import CrossFittedGainModel, fit_gain_model, observe_gains
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
    return fit_gain_model(run, "majority", orders=2, folds=4, **settings)


def test_no_problem_is_allocated_by_what_was_learned_on_it(run):
    before = teaching_of(run)
    after = teaching_of(changed(run, "p/3", correct=~run.problems["p/3"].correct))
    assert before.fold_of == after.fold_of
    for number, (one, other) in enumerate(zip(before.members, after.members, strict=True)):
        assert (one.to_json() == other.to_json()) == (number == before.fold_of["hash 3"])
    assert before.whole.to_json() != after.whole.to_json()


def test_known_problems_go_by_their_fold_and_new_ones_by_all(run):
    teaching = teaching_of(run)
    gain_models = teaching.lessons_for(["hash 3", "new", "hash 5"])
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


def test_what_was_written_is_read_again(run, tmp_path):
    teaching = teaching_of(run)
    teaching.save(tmp_path / "lessons.json")
    read = CrossFittedGainModel.load(tmp_path / "lessons.json")
    assert read.fold_of == teaching.fold_of
    assert [one.to_json() for one in (*read.members, read.whole)] == [
        one.to_json() for one in (*teaching.members, teaching.whole)
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"members": [], "whole": {}, "fold_of": {}}'])
def test_another_file_gets_one_sentence(tmp_path, text):
    path = tmp_path / "lessons.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"must hold lessons|a lesson must be JSON"):
        CrossFittedGainModel.load(path)


def test_a_file_that_is_not_there_gets_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"lessons cannot be read from .*: No such file"):
        CrossFittedGainModel.load(tmp_path / "lessons.json")


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
        fit_gain_model(run, "best", orders=1)
