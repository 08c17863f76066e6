import pytest

from rewards.errors import UserError
from scheduler.job import load_job
from scheduler.preparation import predicted_pass_rates
from scheduler.tables import read_trace


def job_of(recorded, tmp_path, **fields):
    run = str(recorded.directory)
    predictor = {"hidden_states": {"run": run}, "predictor": {"train_on": [run]}}
    return load_job(recorded.write_job(tmp_path / "job.yaml", **predictor, **fields))


def test_too_few_problems_to_learn_from_get_one_sentence(recorded, tmp_path):
    job = job_of(recorded, tmp_path)
    states = read_trace(recorded.directory).hidden_states
    with pytest.raises(UserError, match="at least 10 distinct problems to learn from but got 5"):
        predicted_pass_rates(job, recorded.problems, states, read_trace)


def test_a_training_run_without_the_layer_gets_one_sentence(recorded, tmp_path):
    job = job_of(recorded, tmp_path)
    states = read_trace(recorded.directory).hidden_states
    other = type(states)((2, 3), states.states)
    with pytest.raises(UserError, match=r"must hold hidden layer 3 but has \(2, 4\)"):
        predicted_pass_rates(job, recorded.problems, other, read_trace)


def test_without_a_predictor_nothing_is_believed(recorded, tmp_path):
    job = load_job(recorded.write_job(tmp_path / "job.yaml"))
    assert predicted_pass_rates(job, recorded.problems, None, read_trace) is None
