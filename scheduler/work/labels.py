"""Labels of a run: whether each candidate is correct, by ground truth. No decision reads them."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.problem import Problem, UnitTest, Verdict
from testbudget.scheduler.backends.base import Backend, ExecuteWork, ExecutionDone
from testbudget.scheduler.core.events import Label, Labelled, WorkerKind
from testbudget.scheduler.core.tasks import MAX_FAILURES
from testbudget.scheduler.job import Job
from testbudget.scheduler.log_records import LabelledRecord
from testbudget.scheduler.run_problems import RunProblems
from testbudget.scheduler.work.open_work import (
    Answer,
    OpenTask,
    OpenWork,
    WorkKey,
    WorkKind,
    ints,
    merged,
    one,
)
from testbudget.traces.tables import ReadTrace

Labels = Mapping[str, NDArray[np.bool_]]
"""Labels bool (candidates,) by problem id; a problem without labels is not in it."""


def recorded_labels(job: Job, problems: Sequence[Problem], read: ReadTrace) -> Labels | None:
    """Labels from the run that the recorded back end reads; None with another back end.

    Raises:
        UserError: the run has no such problem, or one with another text.
    """
    if job.backend != "recorded" or job.candidates.from_run is None:
        return None
    trace = read(job.candidates.from_run)
    correct = {problem.id: trace.problem(problem).correct for problem in problems}
    return {
        problem: labels[: job.candidates.count] for problem, labels in correct.items() if labels is not None
    }


class Labelling:
    """Labels from a run, or by executing the ground truth of each problem that has one.

    Args:
        problems: problems of the run.
        backend: executes.
        open_work: work in progress.
        recorded: labels from a run; None executes.
    """

    def __init__(
        self, problems: RunProblems, backend: Backend, open_work: OpenWork, recorded: Labels | None
    ) -> None:
        self._problems = problems
        self._backend = backend
        self._open_work = open_work
        self._recorded = recorded
        self._waiting: deque[int] = deque()
        self._failures: Counter[int] = Counter()

    def label(self, command: Label) -> list[Answer]:
        """Take recorded labels at once, and queue the others for :meth:`submit`."""
        answers: list[Answer] = []
        without: list[int] = []
        for position in command.problems.tolist():
            problem = self._problems.problems[position]
            if self._recorded is not None and problem.id in self._recorded:
                record = LabelledRecord(problem.id, self._recorded[problem.id])
                answers.append(Answer(Labelled(one(position)), (record,)))
            elif self._recorded is None and problem.ground_truth is not None:
                self._waiting.append(position)
            else:
                without.append(position)
        return [*merged(answers), *([Answer(Labelled(ints(without)))] if without else [])]

    def submit(self) -> None:
        """Submit labels while no other execution waits for a runner."""
        if not self._waiting:
            return
        pool = self._backend.pools().get(WorkerKind.RUNNER)
        if pool is not None and pool.queued:
            return
        idle = pool.workers - pool.busy if pool else 1
        for _ in range(min(len(self._waiting), max(idle, 1))):
            position = self._waiting.popleft()
            item, key = self._problems[position], WorkKey(WorkKind.LABEL, position)
            assert item.problem.ground_truth is not None
            truth = item.problem.ground_truth
            tests = tuple(
                UnitTest(item.problem.id, index, code, kind=truth.kind)
                for index, code in enumerate(truth.tests)
            )
            work = ExecuteWork(key, item.problem, item.programs, tests, charged=False, settle=True)
            self._open_work.submit(key, OpenTask(position, position), work)

    def done(self, done: ExecutionDone, task: OpenTask) -> Answer:
        """Labels by the verdicts on a problem's distinct programs; none if a label rests on a lost pair."""
        block = done.block_verdicts
        passed = block.verdicts == Verdict.PASSED
        undecided = block.lost.any(axis=1) & (passed | block.lost).all(axis=1)
        if undecided.any():
            return Answer(Labelled(one(task.position)))
        correct = np.asarray(passed.all(axis=1)[self._problems[task.position].distinct.inverse])
        record = LabelledRecord(done.work.problem.id, correct, done.piece)
        return Answer(Labelled(one(task.position)), (record,))

    def lost(self, task: OpenTask) -> list[Answer]:
        """Queue labels again that the infrastructure lost; after several failures there are none."""
        self._failures[task.position] += 1
        if self._failures[task.position] < MAX_FAILURES:
            self._waiting.append(task.position)
            return []
        return [Answer(Labelled(one(task.position)))]
