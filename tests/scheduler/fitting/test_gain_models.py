"""Gain models: fitted on observations, cross-fitted on runs, and used by jobs."""

from dataclasses import replace

import numpy as np
import pytest

from testbudget.cli.main import main
from testbudget.policies.gain_model import GainModel
from testbudget.rewards.confidence.model import default_models
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Verdict
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes
from testbudget.scheduler.fitting.gain_models import (
    CrossFittedGainModel,
    GainObservations,
    check_gain_model_run,
    fit_gain,
    gain_model_of_run,
    gain_models_for,
    observe_gains,
    out_of_fold_gain_models,
)
from testbudget.scheduler.job_file import load_job
from testbudget.traces.learning_curves import RecordedTests, compute_learning_curves, random_permutations
from testbudget.traces.records import QUANTITIES, CandidateRecord, TestRecord, TestStatus, VerdictRecord
from testbudget.traces.tables import read_trace, write_trace
from testbudget.traces.trace import ProblemTrace, Trace


def recording(rng, tests, candidates=6, unusable=0):
    correct = rng.random(candidates) < 0.4
    passed = rng.random((tests - unusable, candidates)) < np.where(correct, 0.8, 0.3)
    rows = np.concatenate([np.arange(tests - unusable), np.full(unusable, -1)])
    return RecordedTests(
        Votes.from_matrix(passed),
        None,
        np.arange(candidates),
        np.arange(tests),
        rows,
        np.ones((tests, len(QUANTITIES))),
        correct,
        fold=0,
    )


def curves_of(recordings, permutations=3):
    rule = selection_rule("majority")
    drawn = (
        random_permutations(recordings, np.random.default_rng(number)) for number in range(permutations)
    )
    return [compute_learning_curves(recordings, permutation, rule) for permutation in drawn]


def observed(recordings):
    return GainObservations.of(curves_of(recordings), "majority")


@pytest.fixture
def recordings():
    rng = np.random.default_rng(3)
    return [recording(rng, tests, unusable=tests // 4) for tests in (9, 4, 12, 1, 9, 7)]


def noisy(rng, problems):
    """Observations of problems with accuracies of their own, in five permutations of two tests."""
    return GainObservations("majority", rng.random((5, problems, 3)), np.full(problems, 2))


def test_observations_follow_the_curves_and_keep_the_last_value_of_a_problem_with_fewer_tests(recordings):
    curves, seen = curves_of(recordings), observed(recordings)
    np.testing.assert_array_equal(seen.tests, [9, 4, 12, 1, 9, 7])
    for in_permutation, its_curves in zip(seen.accuracy, curves, strict=True):
        for row, curve in zip(in_permutation, its_curves, strict=True):
            known = curve.accuracy
            np.testing.assert_array_equal(row[: len(known)], known)
            assert (row[len(known) :] == known[-1]).all()


def test_a_gain_model_holds_the_mean_curve_of_its_problems(recordings):
    seen = observed(recordings)
    gain_model = fit_gain(seen, np.array([0, 1, 3]))
    assert gain_model.selection == "majority"
    np.testing.assert_allclose(gain_model.accuracy, seen.accuracy[:, [0, 1, 3]].mean(axis=(0, 1)))
    assert gain_model.bins is None


def test_bins_hold_equally_many_problems_and_their_mean_curves():
    rng = np.random.default_rng(0)
    seen, rates = noisy(rng, 20), rng.permutation(20) / 20
    bins = fit_gain(seen, np.arange(20), rates).bins
    members = bins.bin_of(rates)
    np.testing.assert_array_equal(np.bincount(members), [4, 4, 4, 4, 4])
    for number, curve in enumerate(bins.accuracy):
        np.testing.assert_allclose(curve, seen.accuracy[:, members == number].mean(axis=(0, 1)))


def test_problems_that_are_predicted_alike_share_a_bin_and_no_bin_is_empty():
    seen = noisy(np.random.default_rng(0), 20)
    rates = np.repeat([0.1, 0.6], [17, 3])
    bins = fit_gain(seen, np.arange(20), rates).bins
    assert len(bins.accuracy) == len(bins.edges) + 1
    np.testing.assert_array_equal(np.bincount(bins.bin_of(rates)) > 0, [True] * len(bins.accuracy))
    assert len(fit_gain(seen, np.arange(20), np.full(20, 0.5)).bins.accuracy) == 1


def same(one: GainModel, other: GainModel) -> bool:
    """Equality of all fields, those of the bins included."""
    return (
        np.array_equal(one.accuracy, other.accuracy)
        and one.selection == other.selection
        and (one.bins is None) == (other.bins is None)
        and (
            one.bins is None
            or (
                np.array_equal(one.bins.edges, other.bins.edges)
                and np.array_equal(one.bins.accuracy, other.bins.accuracy)
            )
        )
    )


def test_out_of_fold_models_do_not_depend_on_their_own_problems(recordings):
    changed = [replace(recordings[0], correct=~recordings[0].correct), *recordings[1:]]
    rates = np.linspace(0, 1, 6)
    before, after = (
        out_of_fold_gain_models(observed(each), rates, seed=0) for each in (recordings, changed)
    )
    own = before.gain_model_of[0]
    np.testing.assert_array_equal(before.gain_model_of, after.gain_model_of)
    for number, (one, other) in enumerate(zip(before.gain_models, after.gain_models, strict=True)):
        assert same(one, other) == (number == own)


def test_single_tests_and_single_problems_are_refused(recordings):
    with pytest.raises(UserError, match="at least 2 tests each"):
        observed(recordings[3:4])
    with pytest.raises(UserError, match="at least 2 problems but got 1"):
        out_of_fold_gain_models(observed(recordings[:1]), seed=0)


PROBLEMS, CANDIDATES, TESTS = 12, 5, 6


def problem(number: int, rng: np.random.Generator, predicted: float = float("nan")) -> ProblemTrace:
    correct = rng.random(CANDIDATES) < number / PROBLEMS
    tests, verdicts = {}, {}
    for index in range(TESTS):
        tests[index] = TestRecord(TestStatus.USABLE, f"test {number} {index}", index, 10, 0.25)
        passed = rng.random(CANDIDATES) < np.where(correct, 0.8, 0.3)
        row = np.where(passed, Verdict.PASSED, Verdict.FAILED).astype(np.uint8)
        seconds = np.full(CANDIDATES, 0.25, np.float32)
        verdicts[index] = VerdictRecord(row, seconds, np.zeros(CANDIDATES, np.bool_))
    candidates = [CandidateRecord(f"    return {i}\n", True, 3, 0.5) for i in range(CANDIDATES)]
    return ProblemTrace(f"hash {number}", predicted, candidates, correct, tests, verdicts)


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(0)
    problems = {f"p/{number}": problem(number, rng, number / PROBLEMS) for number in range(PROBLEMS)}
    return Trace(tmp_path, problems, None)


def changed(run: Trace, name: str, **fields) -> Trace:
    return replace(run, problems={**run.problems, name: replace(run.problems[name], **fields)})


def model_of(run: Trace, **settings) -> CrossFittedGainModel:
    return gain_model_of_run(run, "majority", permutations=2, folds=4, **settings)


def test_no_problem_is_served_by_a_model_fitted_on_it(run):
    before = model_of(run)
    after = model_of(changed(run, "p/3", correct=~run.problems["p/3"].correct))
    assert before.fold_of == after.fold_of
    for number, (one, other) in enumerate(zip(before.members, after.members, strict=True)):
        assert same(one, other) == (number == before.fold_of["hash 3"])
    assert not same(before.whole, after.whole)


def test_known_problems_get_the_model_of_their_fold_and_new_ones_that_of_all(run):
    model = model_of(run)
    gain_models = model.models_for(["hash 3", "new", "hash 5"])
    chosen = [gain_models.gain_models[position] for position in gain_models.gain_model_of]
    assert chosen == [
        model.members[model.fold_of["hash 3"]],
        model.whole,
        model.members[model.fold_of["hash 5"]],
    ]


def test_folds_are_even_and_a_problem_that_occurs_twice_is_in_one(run):
    twice = replace(run, problems={**run.problems, "again": run.problems["p/3"]})
    model = model_of(twice)
    assert len(model.fold_of) == PROBLEMS
    np.testing.assert_array_equal(np.bincount(list(model.fold_of.values())), [3, 3, 3, 3])
    assert model.fold_of != model_of(run, seed=1).fold_of


def test_bins_are_fitted_where_pass_rates_were_predicted(run):
    assert model_of(run).whole.bins is not None
    assert model_of(changed(run, "p/3", predicted_pass_rate=float("nan"))).whole.bins is None


def test_permutations_depend_only_on_the_seed(run):
    one, other = (observe_gains(run, "majority", permutations=2, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(
        one.accuracy, observe_gains(run, "majority", permutations=2, seed=0).accuracy
    )
    assert not np.array_equal(one.accuracy, other.accuracy)


def test_a_run_without_labels_or_with_one_problem_gets_one_sentence(run):
    with pytest.raises(UserError, match="which candidates are correct but not of p/3"):
        model_of(changed(run, "p/3", correct=None))
    with pytest.raises(UserError, match="at least 2 problems"):
        model_of(replace(run, problems={"p/3": run.problems["p/3"]}))
    with pytest.raises(UserError, match="selection must be one of"):
        gain_model_of_run(run, "best", permutations=1)


def job_of(recorded, folder, **policy):
    run = str(recorded.directory)
    return recorded.write_job(folder / "job.yaml", policy={"gain_model_from": run, **policy})


def test_a_problem_of_the_training_run_is_served_by_a_model_fitted_without_it(recorded, tmp_path):
    job = load_job(job_of(recorded, tmp_path, name="adaptive"))
    gain_models = gain_models_for(job, recorded.problems, default_models(), read_trace, tmp_path)
    whole = len(gain_models.gain_models) - 1
    assert whole not in gain_models.gain_model_of
    assert len(np.unique(gain_models.gain_model_of)) > 1


def same_assignment(one, other) -> bool:
    return np.array_equal(one.gain_model_of, other.gain_model_of) and all(
        map(same, one.gain_models, other.gain_models)
    )


def test_a_cross_fitted_model_survives_json(run):
    model = model_of(run)
    again = CrossFittedGainModel.from_json(model.to_json(seed=3))
    assert again.fold_of == model.fold_of
    assert same(again.whole, model.whole)
    assert all(map(same, again.members, model.members))


@pytest.mark.parametrize(
    "text", ["[", "[]", "{}", '{"content_hashes": 1, "models": {}}', '{"content_hashes": [], "models": {}}']
)
def test_json_of_something_else_is_refused(text):
    with pytest.raises(UserError, match=r"must|required"):
        CrossFittedGainModel.from_json(text)


def fit_twice(recorded, folder, first_run, second_run, *, source, **changed):
    """Gain models of a run, and of a later one whose source is given."""

    def refused(_):
        raise AssertionError("nothing is to be fitted")

    first = load_job(job_of(recorded, folder, name="adaptive"))
    later = first.model_copy(
        update={**changed, "policy": first.policy.model_copy(update={"gain_model_from": source})}
    )
    for directory in {first_run, second_run}:
        directory.mkdir()
    fitted = gain_models_for(first, recorded.problems, default_models(), read_trace, first_run)
    read = refused if not changed else read_trace
    return fitted, gain_models_for(later, recorded.problems, default_models(), read, second_run)


def test_a_resumed_run_reads_the_gain_models_that_it_holds(recorded, tmp_path):
    run = tmp_path / "run"
    fitted, again = fit_twice(recorded, tmp_path, run, run, source=recorded.directory)
    assert same_assignment(fitted, again)


def test_a_run_takes_over_the_gain_models_that_its_source_holds(recorded, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    fitted, again = fit_twice(recorded, tmp_path, one, two, source=one)
    assert same_assignment(fitted, again)
    assert (two / "gain_models.json").read_text() == (one / "gain_models.json").read_text()


def test_gain_models_for_another_seed_are_not_taken_over(recorded, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    with pytest.raises(UserError, match="one"):  # it is no run, so no gain models can be fitted on it
        fit_twice(recorded, tmp_path, one, two, source=one, seed=5)


def test_damaged_gain_models_are_refused(recorded, tmp_path):
    (tmp_path / "gain_models.json").write_text("{}")
    job = load_job(job_of(recorded, tmp_path, name="adaptive"))
    with pytest.raises(UserError, match=r"gain_models\.json must hold gain models"):
        gain_models_for(job, recorded.problems, default_models(), read_trace, tmp_path)


def test_a_run_without_labels_is_refused_before_anything_is_spent(recorded, tmp_path, capsys):
    trace = read_trace(recorded.directory)
    unlabelled = tmp_path / "unlabelled"
    unlabelled.mkdir()
    problems = {name: replace(seen, correct=None) for name, seen in trace.problems.items()}
    write_trace(replace(trace, directory=unlabelled, problems=problems))
    path = job_of(recorded, tmp_path, name="adaptive", gain_model_from=str(unlabelled))
    with pytest.raises(UserError, match="must say which candidates are correct"):
        check_gain_model_run(load_job(path), read_trace)
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
