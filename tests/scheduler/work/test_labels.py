"""Labels: taken from a run, or executed while runners are idle."""

import numpy as np
import pytest

from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.scheduler.backends.base import ExecutionDone, PoolUse
from testbudget.scheduler.core.events import Label, Labelled
from testbudget.scheduler.core.tasks import MAX_FAILURES
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.log_records import SampledRecord
from testbudget.scheduler.work.labels import Labelling, recorded_labels
from testbudget.scheduler.work.open_work import Answer, work_key
from testbudget.traces.tables import read_trace
from tests.scheduler.blocks import block_of

from .manual_backend import PIECE

ALL = Label(np.arange(5))


@pytest.fixture
def labelling(recorded, problems, backend, open_work, keep, trace):
    candidates = [tuple(trace.problem(problem).candidates) for problem in recorded.problems]
    records = [SampledRecord(p.id, of_p) for p, of_p in zip(recorded.problems, candidates, strict=True)]
    keep([Answer(Labelled(np.arange(0)), tuple(records))])
    return Labelling(problems, backend, open_work, None)


def test_labels_of_a_run_are_taken_for_as_many_candidates_at_once(recorded, tmp_path, problems, open_work):
    candidates = {"from_run": str(recorded.directory), "count": 3}
    job = load_job(recorded.write_job(tmp_path / "job.yaml", candidates=candidates))
    labels = recorded_labels(job, recorded.problems, read_trace)
    (answer,) = Labelling(problems, None, open_work, labels).label(ALL)
    assert answer.event.problems.tolist() == [0, 1, 2, 3, 4]
    assert [record.correct.tolist() for record in answer.records] == [[True, False, True]] * 5


def test_a_problem_without_ground_truth_has_no_labels(problems, open_work):
    (answer,) = Labelling(problems, None, open_work, {}).label(ALL)
    assert answer.event.problems.tolist() == [0, 1, 2, 3, 4]
    assert answer.records == ()


def test_labels_wait_while_tests_wait_for_runners_and_are_not_charged(labelling, backend):
    assert labelling.label(ALL) == []
    backend.runners = PoolUse(4, 4, 1)
    labelling.submit()
    assert backend.submitted == []
    backend.runners = PoolUse(4, 1, 0)
    labelling.submit()
    assert [work.problem.id for work in backend.submitted] == ["times/2", "times/3", "times/4"]
    assert not any(work.charged for work in backend.submitted)
    backend.runners = PoolUse(4, 4, 0)
    labelling.submit()
    assert len(backend.submitted) == 4


def test_candidates_are_labelled_by_the_verdicts_on_their_programs(labelling, backend, open_work):
    labelling.label(ALL)
    labelling.submit()
    work = backend.submitted[0]
    assert work.settle
    block = block_of([[Verdict.PASSED], [Verdict.FAILED], [Verdict.PASSED], [Verdict.FAILED]])
    answer = labelling.done(ExecutionDone(work, block, PIECE), open_work.take(work_key(work)))
    assert answer.records[0].correct.tolist() == [True, False, True, False, False]


def test_no_label_rests_on_a_pair_that_ends_its_sandbox(labelling, backend, open_work):
    labelling.label(ALL)
    labelling.submit()
    work, programs = backend.submitted[0], 4
    lost = np.arange(programs)[:, np.newaxis] == 0
    verdicts = np.where(lost, NOT_RUN, Verdict.PASSED)
    done = ExecutionDone(work, block_of(verdicts, lost=lost), PIECE)
    task = open_work.take(work_key(work))
    answer = labelling.done(done, task)
    assert answer.event.problems.tolist() == [task.position]
    assert answer.records == ()
    failed_too = np.concatenate([verdicts, np.full((programs, 1), Verdict.FAILED)], axis=1)
    lost_too = np.concatenate([lost, lost & False], axis=1)
    done = ExecutionDone(work, block_of(failed_too, lost=lost_too), PIECE)
    assert not labelling.done(done, task).records[0].correct.any()


def test_labels_that_are_lost_again_and_again_are_left_out(labelling, backend, open_work):
    labelling.label(Label(np.array([2])))
    for failure in range(1, MAX_FAILURES + 1):
        labelling.submit()
        answers = labelling.lost(open_work.take(work_key(backend.submitted[-1])))
        assert bool(answers) == (failure == MAX_FAILURES)
    assert answers[0].event.problems.tolist() == [2]
    assert len(backend.submitted) == MAX_FAILURES
