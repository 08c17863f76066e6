from dataclasses import replace

import numpy as np
import pytest
import yaml

from testbudget.cli.main import main
from testbudget.rewards.errors import UserError
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.preparation.hidden_states import predicted_pass_rates
from testbudget.traces.tables import read_trace


def job_of(recorded, tmp_path, **predictor):
    run = str(recorded.directory)
    sections = {"hidden_states": {"from_run": run}, "predictor": predictor} if predictor else {}
    return load_job(recorded.write_job(tmp_path / "job.yaml", **sections))


def measured(recorded):
    return np.array([seen.correct.mean() for seen in read_trace(recorded.directory).problems.values()])


def test_pass_rates_are_learned_from_runs(learnable, another_learnable, tmp_path):
    job = job_of(another_learnable, tmp_path, fit_from=[str(learnable.directory)])
    states = read_trace(another_learnable.directory).hidden_states
    predicted = predicted_pass_rates(job, another_learnable.problems, states, read_trace)
    assert np.corrcoef(predicted, measured(another_learnable))[0, 1] > 0.6


def test_no_problem_is_predicted_by_what_has_seen_it(learnable, tmp_path):
    job = job_of(learnable, tmp_path, fit_from=[str(learnable.directory)])
    trace = read_trace(learnable.directory)
    shuffled = np.random.default_rng(0).permutation([seen.correct for seen in trace.problems.values()])
    problems = {
        name: replace(seen, correct=correct)
        for (name, seen), correct in zip(trace.problems.items(), shuffled, strict=True)
    }
    predicted = predicted_pass_rates(
        job, learnable.problems, trace.hidden_states, lambda _: replace(trace, problems=problems)
    )
    # Labels that have nothing to do with the states can only be predicted by who has seen them.
    assert np.corrcoef(predicted, shuffled.mean(axis=1))[0, 1] < 0.3


def test_a_trained_model_says_the_same_as_one_that_is_trained_in_the_run(
    learnable, another_learnable, tmp_path
):
    model = tmp_path / "model"
    assert main(["train", str(learnable.directory), "--out", str(model)]) == 0
    states = read_trace(another_learnable.directory).hidden_states
    here, there = (
        predicted_pass_rates(
            job_of(another_learnable, tmp_path, **given), another_learnable.problems, states, read_trace
        )
        for given in ({"fit_from": [str(learnable.directory)]}, {"path": str(model)})
    )
    np.testing.assert_allclose(here, there, atol=1e-5)


def test_too_few_problems_to_learn_from_get_one_sentence(recorded, tmp_path):
    job = job_of(recorded, tmp_path, fit_from=[str(recorded.directory)])
    states = read_trace(recorded.directory).hidden_states
    with pytest.raises(UserError, match="at least 10 distinct problems to learn from but got 5"):
        predicted_pass_rates(job, recorded.problems, states, read_trace)


def test_a_training_run_without_the_layer_gets_one_sentence(learnable, tmp_path):
    job = job_of(learnable, tmp_path, fit_from=[str(learnable.directory)])
    states = replace(read_trace(learnable.directory).hidden_states, layers=(3, 4))
    with pytest.raises(UserError, match="hidden layers 3 must be there but only 2, 4 are"):
        predicted_pass_rates(job, learnable.problems, states, read_trace)


def test_hidden_states_of_another_model_get_one_sentence(learnable, tmp_path):
    job = job_of(learnable, tmp_path, fit_from=[str(learnable.directory)])
    states = read_trace(learnable.directory).hidden_states
    other = replace(states, provenance=replace(states.provenance, fingerprint="0" * 64))
    with pytest.raises(UserError, match=r"predictor.train_on must fit the job's hidden states but"):
        predicted_pass_rates(job, learnable.problems, other, read_trace)


def test_without_a_predictor_nothing_is_believed(recorded, tmp_path):
    assert predicted_pass_rates(job_of(recorded, tmp_path), recorded.problems, None, read_trace) is None


@pytest.mark.parametrize("predictor", [{}, {"path": "somewhere", "fit_from": ["elsewhere"]}])
def test_a_predictor_has_exactly_one_source(recorded, tmp_path, predictor):
    path = tmp_path / "job.yaml"
    hidden_states = {"from_run": str(recorded.directory)}
    path.write_text(yaml.safe_dump(recorded.job(hidden_states=hidden_states, predictor=predictor)))
    with pytest.raises(UserError, match="needs exactly one of path and fit_from"):
        load_job(path)
