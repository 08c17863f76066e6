"""Trials of ground truths, run on the back end of a run, or in sandboxes of this machine without a job."""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.package_choice import NO_PACKAGES, PackageChoice
from testbudget.executors.execution.pair_blocks import Block
from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.executors.execution.worker_pool import BlockPool
from testbudget.rewards.problem import Candidate, UnitTest
from testbudget.scheduler.backends.base import Backend, ExecuteWork, ExecutionDone, Report, WorkLost
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.ground_truth_checks import RunTrials, TruthTrial

_STUB, _REFERENCE = -1, -2  # indices in place of a candidate's


class BackendTrials:
    """Trials on the runners of a run, which the cap does not pay for.

    Args:
        backend: back end that nothing else uses yet.

    Attributes:
        reports: reports of workers that came meanwhile. The driver of the run needs them.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.reports: list[Report] = []

    def run(self, trials: Sequence[TruthTrial]) -> Iterator[tuple[TruthTrial, BlockVerdicts]]:
        """Run trials; one that the infrastructure loses is left out.

        Raises:
            UserError: a language is unknown, or a required layer is missing.
            InfrastructureError: no runner can work.
        """
        open_trials = dict(enumerate(trials))
        for number, trial in open_trials.items():
            index = _STUB if trial.is_stub else _REFERENCE
            program = Candidate(trial.problem.id, index, trial.program)
            self._backend.submit(
                ExecuteWork(number, trial.problem, (program,), _tests(trial), charged=False, settle=True)
            )
        while open_trials:
            for report in self._backend.wait():
                match report:
                    case ExecutionDone(work=ExecuteWork(key=int(number))):
                        yield open_trials.pop(number), report.block_verdicts
                    case WorkLost(work=ExecuteWork(key=int(number))):
                        del open_trials[number]
                    case _:
                        self.reports.append(report)

    def end(self) -> None:
        """End the runners, whose cores engines and extractors may need before the run needs runners."""
        self._backend.retire(WorkerKind.RUNNER)


def trials_in_sandboxes(
    limits: TestLimits,
    require: Sequence[str] = (),
    runners: int | None = None,
    trust: Trust = Trust.HOSTILE,
    packages: PackageChoice = NO_PACKAGES,
) -> RunTrials:
    """Function that runs trials in sandboxes of this machine.

    Args:
        limits: limits of one test.
        require: isolation layers that must be in force.
        runners: number of sandboxes; None for one on each core.
        trust: trust in the authors of the candidates.
        packages: distributions that programs may import.
    """

    def run(trials: Sequence[TruthTrial]) -> Iterator[tuple[TruthTrial, BlockVerdicts]]:
        count = runners or len(os.sched_getaffinity(0))
        waiting = list(reversed(trials))
        open_trials: dict[Block, TruthTrial] = {}
        with BlockPool(limits, min(count, max(len(trials), 1)), require, trust, packages) as pool:
            while waiting or pool.running:
                while waiting and pool.has_room:
                    trial = waiting.pop()
                    block = _block(trial)
                    open_trials[block] = trial
                    pool.start(block)
                for finished in pool.wait():
                    yield open_trials.pop(finished.block), finished.block_verdicts

    return run


def _tests(trial: TruthTrial) -> tuple[UnitTest, ...]:
    truth = trial.problem.ground_truth
    assert truth is not None
    return tuple(
        UnitTest(trial.problem.id, place, truth.tests[position], kind=truth.kind)
        for place, position in enumerate(trial.tests)
    )


def _block(trial: TruthTrial) -> Block:
    problem, tests = trial.problem, _tests(trial)
    columns = np.arange(len(tests))
    return Block(
        problem.language,
        problem.entry_point,
        problem.comparison,
        (trial.program,),
        tests,
        columns,
        np.zeros(len(tests), np.intp),
        columns,
    )
