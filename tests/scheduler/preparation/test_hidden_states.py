"""Hidden states and predictions before the first test: charged, logged, and never computed twice."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from testbudget.cli.main import main
from testbudget.rewards.errors import UserError
from testbudget.scheduler.backends.base import ExtractedStates, ExtractionBackend
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.budget import Budget, Cap, UnknownCostError
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.loop import spent
from testbudget.scheduler.preparation.hidden_states import (
    extract_hidden_states,
    hidden_states_of,
    predicted_pass_rates,
    take_hidden_states,
)
from testbudget.traces.hidden_states import HiddenStates, Provenance
from testbudget.traces.records import Cost
from testbudget.traces.tables import read_trace

MAX_COST = Cost(cpu_seconds=10.0)


class KilledError(Exception):
    """Simulated end of the process."""


class Lengths(ExtractionBackend):
    """A model whose state of a prompt is its length; the last batch is done first.

    Args:
        cost: cost of each batch.
        fingerprint: fingerprint of the model.
        batches: number of batches after which the process ends; None for never.
    """

    max_cost = MAX_COST

    def __init__(self, cost=MAX_COST * 0.25, fingerprint="ab", batches=None) -> None:
        self.cost, self.left = cost, batches
        self.provenance = Provenance("model", fingerprint * 32, 4, "transformers", "float32")
        self.waiting, self.read, self.closed = [], [], False

    def submit(self, problems, prompts) -> None:
        self.waiting.append((tuple(problems), tuple(prompts)))

    def wait(self):
        if self.left == 0:
            raise KilledError
        self.left = None if self.left is None else self.left - 1
        problems, prompts = self.waiting.pop()
        self.read += problems
        lengths = np.array([len(prompt) for prompt in prompts], dtype=np.float16)
        truncated = np.zeros(len(prompts), np.bool_)
        states = HiddenStates(
            (2, 4), np.stack([lengths, -lengths], 1)[:, :, None], truncated, self.provenance
        )
        return [ExtractedStates(problems, states, self.cost)]

    def close(self) -> None:
        self.closed = True


class Backend(RecordedBackend):
    """The recorded back end with extraction."""

    def __init__(self, recorded, extraction) -> None:
        super().__init__(read_trace(recorded.directory), recorded.problems)
        self.extraction = extraction

    def hidden_states(self):
        return self.extraction


@pytest.fixture
def extract(recorded, tmp_path):
    """Extract in one part of a run; give the hidden states in the log and the cost."""
    section = {"base_model": "model", "batch_size": 2}
    job = load_job(recorded.write_job(tmp_path / "job.yaml", hidden_states=section))

    def part(extraction, **limits):
        with EventLog(tmp_path / "log.sqlite") as event_log:
            budget = Budget(Cap(limits), spent(event_log))
            try:
                extract_hidden_states(
                    job, recorded.problems, Backend(recorded, extraction), budget, event_log
                )
            except KilledError:
                return None, budget.spent
            assert budget.spent.cpu_seconds == pytest.approx(spent(event_log).cpu_seconds, rel=1e-12)
            return hidden_states_of(recorded.problems, event_log), budget.spent

    return part


def test_each_problem_gets_its_own_states_and_their_cost_is_spent(recorded, extract):
    extraction = Lengths()
    hidden, cost = extract(extraction)
    lengths = [len(problem.prompt) for problem in recorded.problems]
    assert hidden.layers == (2, 4)
    assert hidden.states[:, :, 0].tolist() == [[length, -length] for length in lengths]
    assert hidden.truncated.tolist() == [False] * 5
    assert hidden.provenance == extraction.provenance
    assert cost == extraction.cost * 3
    assert extraction.closed


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_resumed_run_extracts_each_batch_once(recorded, extract, batches):
    whole = {problem.id for problem in recorded.problems}
    killed, rest = Lengths(batches=batches), Lengths()
    assert extract(killed)[0] is None
    assert killed.closed
    hidden, cost = extract(rest)
    assert sorted(killed.read + rest.read) == sorted(whole)
    assert len(hidden) == 5
    assert cost.cpu_seconds == pytest.approx(3 * 2.5)
    again = Lengths()
    assert extract(again)[1].cpu_seconds == pytest.approx(3 * 2.5)
    assert (again.read, again.closed) == ([], False)


def test_a_cap_that_holds_one_batch_at_a_time_is_enough(extract):
    hidden, cost = extract(Lengths(), cpu_seconds=15.0)
    assert len(hidden) == 5
    assert cost.cpu_seconds == pytest.approx(7.5)


def test_a_cap_that_holds_no_batch_ends_the_run_with_one_sentence_and_keeps_paid_states(extract):
    sentence = r"must hold the hidden states of 1 more problems but cap\.cpu_seconds is 14 and 5 is taken"
    with pytest.raises(UserError, match=sentence):
        extract(Lengths(), cpu_seconds=14.0)
    _, cost = extract(Lengths(batches=0))
    assert cost.cpu_seconds == pytest.approx(5.0)


def test_another_model_under_the_same_name_is_refused(extract):
    extract(Lengths(batches=1))
    with pytest.raises(UserError, match="must be the one that this run began with but those of model"):
        extract(Lengths(fingerprint="cd"))


@pytest.mark.parametrize("cost", [Cost(cpu_seconds=0.125), Cost(gpu_seconds=0.5)])
def test_states_of_a_finished_run_are_charged_at_their_cost_in_that_run(recorded, tmp_path, cost):
    trace = read_trace(recorded.directory)
    seen = {problem: replace(one, extraction=cost) for problem, one in trace.problems.items()}
    charged = replace(trace, problems=seen)
    section = {"from_run": str(recorded.directory), "layers": [4]}
    job = load_job(recorded.write_job(tmp_path / "job.yaml", hidden_states=section))
    with EventLog(tmp_path / "log.sqlite") as event_log:
        budget = Budget(Cap({}), spent(event_log))
        for _ in range(2):
            take_hidden_states(job, recorded.problems, budget, event_log, lambda _: charged)
        hidden = hidden_states_of(recorded.problems, event_log)
        assert budget.spent == spent(event_log) == cost * 5
    np.testing.assert_array_equal(hidden.states, trace.hidden_states.states[:, 1:])
    assert hidden.layers == (4,)
    assert hidden.truncated.tolist() == trace.hidden_states.truncated.tolist()
    assert hidden.provenance == trace.hidden_states.provenance


@pytest.mark.parametrize(
    ("cost", "error", "sentence"),
    [
        (0.125, UserError, "must hold the hidden states of 5 more problems but cap.cpu_seconds is 0.5"),
        (float("nan"), UnknownCostError, "cap.cpu_seconds cannot be kept"),
    ],
)
def test_states_of_a_finished_run_must_fit_the_cap(recorded, tmp_path, cost, error, sentence):
    trace = read_trace(recorded.directory)
    extraction = Cost(cpu_seconds=cost)
    seen = {problem: replace(one, extraction=extraction) for problem, one in trace.problems.items()}
    job = load_job(
        recorded.write_job(tmp_path / "job.yaml", hidden_states={"from_run": str(recorded.directory)})
    )
    with EventLog(tmp_path / "log.sqlite") as event_log, pytest.raises(error, match=sentence):
        budget = Budget(Cap({"cpu_seconds": 0.5}))
        take_hidden_states(
            job, recorded.problems, budget, event_log, lambda _: replace(trace, problems=seen)
        )


def job_of(recorded, tmp_path, **predictor):
    run = str(recorded.directory)
    sections = {"hidden_states": {"from_run": run}, "predictor": predictor} if predictor else {}
    return load_job(recorded.write_job(tmp_path / "job.yaml", **sections))


def measured(recorded):
    return np.array([seen.correct.mean() for seen in read_trace(recorded.directory).problems.values()])


def test_pass_rates_are_fitted_on_runs(learnable, another_learnable, tmp_path):
    job = job_of(another_learnable, tmp_path, fit_from=[str(learnable.directory)])
    states = read_trace(another_learnable.directory).hidden_states
    predicted = predicted_pass_rates(job, another_learnable.problems, states, read_trace)
    assert np.corrcoef(predicted, measured(another_learnable))[0, 1] > 0.6


def test_no_problem_is_predicted_by_a_model_fitted_on_it(learnable, tmp_path):
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
    # Only a model fitted on labels that are unrelated to the states can predict them.
    assert np.corrcoef(predicted, shuffled.mean(axis=1))[0, 1] < 0.3


def test_a_trained_model_predicts_the_same_as_one_fitted_in_the_run(learnable, another_learnable, tmp_path):
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


def test_too_few_training_problems_get_one_sentence(recorded, tmp_path):
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
    with pytest.raises(UserError, match=r"predictor.fit_from must fit the job's hidden states but"):
        predicted_pass_rates(job, learnable.problems, other, read_trace)


def test_without_a_predictor_nothing_is_predicted(recorded, tmp_path):
    assert predicted_pass_rates(job_of(recorded, tmp_path), recorded.problems, None, read_trace) is None


@pytest.mark.parametrize("predictor", [{}, {"path": "somewhere", "fit_from": ["elsewhere"]}])
def test_a_predictor_has_exactly_one_source(recorded, tmp_path, predictor):
    path = tmp_path / "job.yaml"
    hidden_states = {"from_run": str(recorded.directory)}
    path.write_text(yaml.safe_dump(recorded.job(hidden_states=hidden_states, predictor=predictor)))
    with pytest.raises(UserError, match="needs exactly one of path and fit_from"):
        load_job(path)
