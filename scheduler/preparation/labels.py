"""Labels of a run: whether each candidate is correct, by ground truth. No decision reads them."""

from collections.abc import Sequence

from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from testbudget.scheduler.backends.base import Backend, Execute, Executed
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.job import Job
from testbudget.traces.records import ProblemCandidates
from testbudget.traces.tables import ReadTrace


def label_candidates(items: Sequence[ProblemCandidates], backend: Backend, event_log: EventLog) -> None:
    """Label candidates by executing the ground truth of each problem that has one.

    Labels are never used for a decision. Labels that are already in the log are kept.

    Raises:
        InfrastructureError: an execution failed, its retries included.
    """
    by_id = {item.problem.id: item for item in items}
    waiting = 0
    for item in items:
        problem = item.problem
        if problem.ground_truth is not None and problem.id not in event_log.labels:
            test = UnitTest(problem.id, 0, problem.ground_truth, kind=TestKind.ASSERT)
            backend.submit(Execute(problem, item.programs, (test,), record_outputs=False))
            waiting += 1
    while waiting:
        results = [result for result in backend.wait() if isinstance(result, Executed)]
        with event_log.transaction():
            for result in results:
                item = by_id[result.task.problem.id]
                passed = result.block_verdicts.verdicts[:, 0] == Verdict.PASSED
                event_log.add_labels(item.problem.id, passed[item.distinct.inverse])
        waiting -= len(results)


def take_labels(job: Job, items: Sequence[ProblemCandidates], event_log: EventLog, read: ReadTrace) -> None:
    """Take labels from the run that the recorded back end reads; does nothing with another back end.

    Args:
        job: names the run.
        items: problems with their candidates.
        event_log: log of the run; labels in it are kept.
        read: reads a finished run.

    Raises:
        UserError: the run has no such problem, or one with another text.
    """
    if job.backend != "recorded" or job.candidates.from_run is None:
        return
    trace = read(job.candidates.from_run)
    with event_log.transaction():
        for item in items:
            correct = trace.problem(item.problem).correct
            if correct is not None and item.problem.id not in event_log.labels:
                event_log.add_labels(item.problem.id, correct[: len(item.candidates)])
