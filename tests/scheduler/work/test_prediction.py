"""Pass rates predicted from hidden states, each by a model that was fitted without the problem."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from testbudget.cli.main import main
from testbudget.rewards.errors import UserError
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.work.prediction import Predictor
from testbudget.traces.tables import read_trace


def job_of(recorded, tmp_path, **predictor):
    run = str(recorded.directory)
    sections = {"hidden_states": {"from_run": run}, "predictor": predictor} if predictor else {}
    return load_job(recorded.write_job(tmp_path / "job.yaml", **sections))


def predicted(recorded, tmp_path, states, read=read_trace, **predictor):
    predictor = Predictor.of(job_of(recorded, tmp_path, **predictor), read)
    return predictor.pass_rates(recorded.problems, states)


def measured(recorded):
    return np.array([seen.correct.mean() for seen in read_trace(recorded.directory).problems.values()])


def test_pass_rates_are_fitted_on_runs(learnable, another_learnable, tmp_path):
    states = read_trace(another_learnable.directory).hidden_states
    rates = predicted(another_learnable, tmp_path, states, fit_from=[str(learnable.directory)])
    assert np.corrcoef(rates, measured(another_learnable))[0, 1] > 0.6


def test_a_problem_alone_is_predicted_as_among_others_but_for_rounding(
    learnable, another_learnable, tmp_path
):
    states = read_trace(another_learnable.directory).hidden_states
    job = job_of(another_learnable, tmp_path, fit_from=[str(learnable.directory)])
    predictor = Predictor.of(job, read_trace)
    problems = another_learnable.problems[:3]
    alone = [
        predictor.pass_rates([problem], states.of_problems([row]))[0]
        for row, problem in enumerate(problems)
    ]
    together = predictor.pass_rates(problems, states.of_problems([0, 1, 2]))
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_no_problem_is_predicted_by_a_model_fitted_on_it(learnable, tmp_path):
    trace = read_trace(learnable.directory)
    shuffled = np.random.default_rng(0).permutation([seen.correct for seen in trace.problems.values()])
    problems = {
        name: replace(seen, correct=correct)
        for (name, seen), correct in zip(trace.problems.items(), shuffled, strict=True)
    }
    rates = predicted(
        learnable,
        tmp_path,
        trace.hidden_states,
        lambda _: replace(trace, problems=problems),
        fit_from=[str(learnable.directory)],
    )
    # Only a model fitted on labels that are unrelated to the states can predict them.
    assert np.corrcoef(rates, shuffled.mean(axis=1))[0, 1] < 0.3


def test_a_trained_model_predicts_the_same_as_one_fitted_in_the_run(learnable, another_learnable, tmp_path):
    model = tmp_path / "model"
    assert main(["train", str(learnable.directory), "--out", str(model)]) == 0
    states = read_trace(another_learnable.directory).hidden_states
    here, there = (
        predicted(another_learnable, tmp_path, states, **given)
        for given in ({"fit_from": [str(learnable.directory)]}, {"path": str(model)})
    )
    np.testing.assert_allclose(here, there, atol=1e-5)


def test_too_few_training_problems_get_one_sentence(recorded, tmp_path):
    states = read_trace(recorded.directory).hidden_states
    with pytest.raises(UserError, match="at least 10 distinct problems to learn from but got 5"):
        predicted(recorded, tmp_path, states, fit_from=[str(recorded.directory)])


def test_a_training_run_without_the_layer_gets_one_sentence(learnable, tmp_path):
    states = replace(read_trace(learnable.directory).hidden_states, layers=(3, 4))
    with pytest.raises(UserError, match="hidden layers 3 must be there but only 2, 4 are"):
        predicted(learnable, tmp_path, states, fit_from=[str(learnable.directory)])


def test_hidden_states_of_another_model_get_one_sentence(learnable, tmp_path):
    states = read_trace(learnable.directory).hidden_states
    other = replace(states, provenance=replace(states.provenance, fingerprint="0" * 64))
    with pytest.raises(UserError, match=r"predictor.fit_from must fit the job's hidden states but"):
        predicted(learnable, tmp_path, other, fit_from=[str(learnable.directory)])


def test_without_a_predictor_nothing_is_predicted(recorded, tmp_path):
    assert Predictor.of(job_of(recorded, tmp_path), read_trace) is None


@pytest.mark.parametrize("predictor", [{}, {"path": "somewhere", "fit_from": ["elsewhere"]}])
def test_a_predictor_has_exactly_one_source(recorded, tmp_path, predictor):
    path = tmp_path / "job.yaml"
    hidden_states = {"from_run": str(recorded.directory)}
    path.write_text(yaml.safe_dump(recorded.job(hidden_states=hidden_states, predictor=predictor)))
    with pytest.raises(UserError, match="needs exactly one of path and fit_from"):
        load_job(path)
