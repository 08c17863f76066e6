"""Hidden states: charged at their cost in the run that they come from, or extracted one by one."""

from dataclasses import replace

import numpy as np
import pytest

from testbudget.executors.metering import Usage
from testbudget.rewards.errors import UserError
from testbudget.scheduler.backends.base import ExtractionDone
from testbudget.scheduler.core.events import (
    Extract,
    Extracted,
    WorkerJoined,
    WorkerLeft,
    WorkerMetered,
)
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.work.hidden_states import (
    DRIVER_WORKER,
    Extraction,
    hidden_states_of,
    recorded_states,
)
from testbudget.scheduler.work.open_work import work_key
from testbudget.traces.hidden_states import HiddenStates, Provenance
from testbudget.traces.records import Cost

from .manual_backend import PIECE

ALL = Extract(np.arange(5), np.arange(5))
PROVENANCE = Provenance("model", "ab" * 32, 4, "transformers", "float32")


class Lengths:
    """A predictor of no model: the pass rate is the number of problems that came together."""

    def pass_rates(self, problems, states):
        assert len(problems) == len(states)
        return np.full(len(problems), float(len(problems)))


@pytest.fixture
def recorded_(recorded, tmp_path, trace):
    section = {"from_run": str(recorded.directory), "layers": [4]}
    job = load_job(recorded.write_job(tmp_path / "job.yaml", hidden_states=section))
    return recorded_states(job, recorded.problems, lambda _: trace)


def test_states_of_a_run_come_with_their_cost(recorded_, trace):
    np.testing.assert_array_equal(recorded_.states.states, trace.hidden_states.states[:, 1:])
    assert recorded_.states.layers == (4,)
    assert recorded_.cost == Cost(cpu_seconds=0.125) * 5


def test_states_of_a_run_are_there_at_once_where_nothing_is_metered(recorded_, problems, open_work, keep):
    extraction = Extraction(problems, open_work, recorded_, Lengths(), metered=False)
    joined, used, lost, extracted = extraction.extract(ALL)
    assert isinstance(joined.event, WorkerJoined)
    assert used.event.used == Usage(cpu_seconds=0.625)
    assert lost.event == WorkerLeft(DRIVER_WORKER)
    assert extracted.event.pass_rates.tolist() == [5.0] * 5
    keep([extracted])
    np.testing.assert_array_equal(
        hidden_states_of(problems.problems, problems.store).states, recorded_.states.states
    )


def test_states_of_a_run_are_there_once_leases_cover_their_cost(recorded_, problems, open_work):
    extraction = Extraction(problems, open_work, recorded_, None, metered=True)
    (joined,) = extraction.extract(ALL)
    assert isinstance(joined.event, WorkerJoined)
    for until in (0.0, 0.25, 0.5):
        (used,) = extraction.lease(Usage(np.inf, np.inf, until))
        assert used.event.used.cpu_seconds == pytest.approx(until)
    used, _, extracted = extraction.lease(Usage(np.inf, np.inf, 0.75))
    assert isinstance(used.event, WorkerMetered)
    assert used.event.used.cpu_seconds == 0.625
    assert isinstance(extracted.event, Extracted)
    assert extraction.lease(Usage(np.inf, np.inf, 1.0)) == []


@pytest.mark.parametrize("metered", [False, True])
def test_states_asked_for_problem_by_problem_are_charged_once(recorded_, problems, open_work, metered):
    extraction = Extraction(problems, open_work, recorded_, None, metered=metered)
    each = [Extract(np.array([position]), np.array([position])) for position in range(5)]
    answers = [answer for command in each[:3] for answer in extraction.extract(command)]
    answers += extraction.lease(Usage(np.inf, np.inf, 0.25))
    answers += extraction.lease(Usage(np.inf, np.inf, 1.0))
    answers += [answer for command in each[3:] for answer in extraction.extract(command)]
    events = [answer.event for answer in answers]
    assert sum(isinstance(event, WorkerJoined) for event in events) == 1
    assert sum(isinstance(event, WorkerLeft) for event in events) == 1
    used = [event.used.cpu_seconds for event in events if isinstance(event, WorkerMetered)]
    assert used[-1] == 0.625
    extracted = [event.tasks.tolist() for event in events if isinstance(event, Extracted)]
    assert extracted == [[0], [1], [2], [3], [4]]


def test_a_continued_run_is_charged_for_the_states_that_it_does_not_hold(
    recorded_, problems, open_work, keep
):
    begun = Extraction(problems, open_work, recorded_, None, metered=False)
    keep([begun.extract(Extract(np.arange(2), np.arange(2)))[-1]])
    continued = Extraction(problems, open_work, recorded_, None, metered=False)
    _, used, _, _ = continued.extract(Extract(np.arange(2, 5), np.arange(2, 5)))
    assert used.event.used == Usage(cpu_seconds=0.125 * 3)


def test_states_that_the_cap_does_not_pay_for_never_come(recorded_, problems, open_work):
    extraction = Extraction(problems, open_work, recorded_, None, metered=True)
    extraction.extract(ALL)
    extraction.abort({3})
    assert extraction.lease(Usage(np.inf, np.inf, np.inf)) == []


def done(work, fingerprint="ab"):
    states = HiddenStates(
        (2, 4),
        np.full((1, 2, 3), len(work.prompt), np.float16),
        np.zeros(1, np.bool_),
        replace(PROVENANCE, fingerprint=fingerprint * 32),
    )
    return ExtractionDone(work, states, 0.5, 0.0, PIECE)


def test_each_problem_is_extracted_charged_and_predicted_by_itself(problems, open_work, backend, keep):
    extraction = Extraction(problems, open_work, None, Lengths(), metered=False)
    assert extraction.extract(ALL) == []
    for work in backend.submitted[::-1]:
        answer = extraction.done(done(work), open_work.take(work_key(work)))
        assert answer.event.pass_rates.tolist() == [1.0]
        assert answer.records[0].states.cpu_seconds == 0.5
        keep([answer])
    states = hidden_states_of(problems.problems, problems.store)
    assert states.states[:, 0, 0].tolist() == [len(problem.prompt) for problem in problems.problems]
    assert states.provenance == PROVENANCE


def test_another_model_under_the_same_name_is_refused(problems, open_work, backend, keep):
    extraction = Extraction(problems, open_work, None, None, metered=False)
    extraction.extract(ALL)
    first, second = backend.submitted[:2]
    keep([extraction.done(done(first), open_work.take(work_key(first)))])
    with pytest.raises(UserError, match="must be the one that this run began with but those of model"):
        extraction.done(done(second, "cd"), open_work.take(work_key(second)))


def test_a_run_without_states_of_all_problems_has_none(problems):
    assert hidden_states_of(problems.problems, problems.store) is None
