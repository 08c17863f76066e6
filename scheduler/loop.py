"""The loop under the cap: grants from the policy, tests from the generator, verdicts from the runners.

The loop works in rounds. It logs the grants of a round as tasks, executes them in any order, and reports
results to the policy in the order of the problems. A run that is killed and resumed therefore grants the
same tests as one that was not.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.policies.base import Grant, Policy
from testbudget.rewards.outputs import outputs_by_test
from testbudget.scheduler.assessment import CandidateElimination, EliminationRule, HarmStop, PickConfidence
from testbudget.scheduler.backends.base import Backend, Execute, Executed, Generate, Generated, Role
from testbudget.scheduler.budget import Budget, Reservation
from testbudget.scheduler.event_log import EventLog
from testbudget.traces.records import (
    Cost,
    ProblemCandidates,
    TaskRecord,
    TestStatus,
    VerdictRecord,
    execution_cost,
    extraction_cost,
    generation_cost,
)


@dataclass(frozen=True, slots=True)
class _OpenTask:
    """A task in progress, with its reservations.

    Attributes:
        position: of the problem.
        task: the record in the log.
        generation: reservation for generating its tests; None once they are generated.
        execution: reservation for executing its tests.
        cost: cost of its tests that were executed since the reservation.
    """

    position: int
    task: TaskRecord
    generation: Reservation | None
    execution: Reservation
    cost: Cost


class Loop:
    """Generation and execution of tests for a list of problems until the cap is spent.

    Args:
        problems: with their candidates; the policy names a problem by its position in this list.
        policy: in its initial state; the loop restores it from the log.
        budget: new or, in a resumed run, made with ``spent(event_log)``.
        event_log: empty, or that of the run to resume.
        backend: generates and executes tests.
        generator: makes requests for tests and reads the answers.
        on_progress: called after each batch of results.
        pick_confidence: gives p_wrong to policies that are not static; None if no policy needs it.
        harm_stop: closes a problem if more tests would harm its pick; None closes none.
        elimination: rule that eliminates candidates; None runs every test on all of them.
        record_outputs: True logs the outputs of the candidates beside the verdicts.
        input_mutations: mutated inputs to execute beside each test; see ``executors.execution.inputs``.
    """

    def __init__(
        self,
        problems: Sequence[ProblemCandidates],
        policy: Policy,
        budget: Budget,
        event_log: EventLog,
        backend: Backend,
        generator: UnitTestGenerator,
        on_progress: Callable[[], None] = lambda: None,
        *,
        pick_confidence: PickConfidence | None = None,
        harm_stop: HarmStop | None = None,
        elimination: EliminationRule | None = None,
        record_outputs: bool = False,
        input_mutations: int = 0,
    ) -> None:
        self._problems = problems
        self._policy = policy
        self._budget = budget
        self._event_log = event_log
        self._backend = backend
        self._generator = generator
        self._on_progress = on_progress
        self._pick_confidence = pick_confidence
        self._harm_stop = harm_stop
        self._elimination = CandidateElimination(problems, elimination, event_log.recorded_outputs_of)
        self._record_outputs = record_outputs
        self._input_mutations = input_mutations
        self._open: dict[str, _OpenTask] = {}

    def run(self) -> None:
        """Run until the cap is spent or the policy grants nothing more.

        Raises:
            UserError, InfrastructureError: from the back end; results up to then are in the log.
        """
        granted = [self._event_log.granted(item.problem.id) for item in self._problems]
        self._policy.restore(np.asarray(granted, dtype=np.int32))
        for position, item in enumerate(self._problems):
            tasks = self._event_log.tasks[item.problem.id]
            self._elimination.restore(position, tasks, self._event_log.verdicts[item.problem.id])
        self._carry_out(self._unfinished())
        self._tell(position for position, tests in enumerate(granted) if tests)
        self._stop()
        while grants := self._policy.ask(self._remaining()):
            tasks_of_round = self._open_tasks(grants)
            self._carry_out(tasks_of_round)
            self._tell(sorted(task.position for task in tasks_of_round))
            self._stop()

    def closed_because(self, position: int, max_tests: int) -> str | None:
        """Reason why a problem got no more tests, once ``run`` has returned.

        Args:
            position: of the problem.
            max_tests: tests that the problem may get at most.

        Returns:
            "harmful" if the last harm check closed it, else "cap" if no further test of it fits under the
            cap, else "max_tests" if it has all that it may get, else None: the policy granted no more.
        """
        problem = self._problems[position].problem.id
        last = self._event_log.harm_checks.get(problem)
        if last is not None and last.stops:
            return "harmful"
        if not self._remaining(len(self._elimination.programs(position))):
            return "cap"
        return "max_tests" if self._event_log.granted(problem) >= max_tests else None

    def _remaining(self, programs: int | None = None) -> int:
        """Number of tests that fit under the remaining cap, each executed on a number of programs.

        None stands for the largest number of programs of a problem, or, if no test fits then, for the
        smallest.
        """
        if programs is None:
            sizes = [len(self._elimination.programs(position)) for position in range(len(self._problems))]
            return self._remaining(max(sizes)) or self._remaining(min(sizes))
        return self._budget.remaining(
            self._backend.max_generation_cost() + self._backend.max_execution_cost(programs, 1)
        )

    def _open_tasks(self, grants: Sequence[Grant]) -> list[_OpenTask]:
        """Reserve and log the part of each grant that fits, up to the next harm check; revoke the rest.

        Nothing is in flight between rounds, so a test that does not fit as the first of a round never will:
        its problem is closed.
        """
        opened: list[_OpenTask] = []
        with self._event_log.transaction():
            for grant in grants:
                problem = self._problems[grant.problem].problem.id
                granted = self._event_log.granted(problem)
                tests = min(grant.tests, self._remaining(len(self._elimination.programs(grant.problem))))
                if self._harm_stop is not None:
                    tests = min(tests, self._harm_stop.tests_to_check(granted))
                if tests < grant.tests:
                    self._policy.revoke(grant.problem, grant.tests - tests)
                if tests:
                    task = TaskRecord(problem, granted, tests)
                    self._event_log.add_task(task)
                    opened.append(self._reserve(grant.problem, task, task.indices, generated=False))
                elif not opened:
                    self._policy.close(grant.problem)
        return opened

    def _reserve(
        self, position: int, task: TaskRecord, to_run: Sequence[int], *, generated: bool
    ) -> _OpenTask:
        programs = len(self._elimination.programs(position))
        generation = (
            None if generated else self._budget.reserve(self._backend.max_generation_cost() * task.tests)
        )
        max_costs = (
            self._backend.max_execution_cost(programs, len(tests))
            for tests in self._elimination.rungs(to_run)
        )
        execution = self._budget.reserve(Cost.total(max_costs))
        return _OpenTask(position, task, generation, execution, Cost())

    def _carry_out(self, tasks: Sequence[_OpenTask]) -> None:
        self._open = {task.task.problem: task for task in tasks}
        for task in tasks:
            if task.generation:
                self._generate(task)
            else:
                self._execute(task)
        while self._open:
            results = self._backend.wait()
            with self._event_log.transaction():
                for result in results:
                    if isinstance(result, Generated):
                        self._log_tests(result)
                    else:
                        self._log_verdicts(result)
            for result in results:
                self._execute(self._open[_problem(result)])
            self._on_progress()

    def _generate(self, task: _OpenTask) -> None:
        item = self._problems[task.position]
        requests = self._generator.requests(item, task.task.indices)
        self._backend.submit(Generate(Role.REWARD_MODEL, item.problem.id, requests))

    def _execute(self, task: _OpenTask) -> None:
        """Submit the next rung of the task's tests, or settle the task if none is left."""
        item = self._problems[task.position]
        problem = item.problem.id
        rungs = self._elimination.rungs(self._to_run(task.task))
        if not rungs:
            self._budget.settle(task.execution, task.cost)
            del self._open[problem]
            return
        self._elimination.update(task.position, self._event_log.verdicts[problem])
        records = self._event_log.tests[problem]
        tests = tuple(self._generator.unit_test(item, index, records[index]) for index in rungs[0])
        programs = tuple(item.programs[program] for program in self._elimination.programs(task.position))
        self._backend.submit(
            Execute(item.problem, programs, tests, self._record_outputs, self._input_mutations)
        )

    def _to_run(self, task: TaskRecord) -> list[int]:
        """The task's generated tests that are usable and not yet executed."""
        tests, verdicts = self._event_log.tests[task.problem], self._event_log.verdicts[task.problem]
        return [i for i in task.indices if tests[i].status is TestStatus.USABLE and i not in verdicts]

    def _log_tests(self, generated: Generated) -> None:
        task = self._open[generated.task.problem]
        item = self._problems[task.position]
        earlier = list(self._event_log.tests[item.problem.id].values())
        records = self._generator.records(item, generated.task.requests, generated.completions, earlier)
        for request, record in zip(generated.task.requests, records, strict=True):
            self._event_log.add_test(item.problem.id, request.index, record)
        if task.generation:
            self._budget.settle(task.generation, Cost.total(map(generation_cost, records)))

    def _log_verdicts(self, executed: Executed) -> None:
        problem, tests = executed.task.problem.id, executed.task.tests
        task = self._open[problem]
        of_all = self._elimination.over_all_programs(task.position, executed.block_verdicts)
        records = [
            VerdictRecord(
                of_all.verdicts[:, column],
                of_all.cpu_seconds[:, column],
                of_all.same_process[:, column],
                int(of_all.input_mutations[column]),
            )
            for column in range(len(tests))
        ]
        for test, record in zip(tests, records, strict=True):
            self._event_log.add_verdicts(problem, test.index, record)
        if of_all.recorded_outputs is not None:
            for index, recorded_outputs in outputs_by_test(of_all.recorded_outputs).items():
                self._event_log.add_recorded_outputs(problem, index, recorded_outputs)
        cost = Cost.total([task.cost, *map(execution_cost, records)])
        self._open[problem] = replace(task, cost=cost)

    def _tell(self, positions: Iterable[int]) -> None:
        for position in positions:
            if self._pick_confidence is not None and not self._policy.static:
                self._policy.tell(position, self._pick_confidence.p_wrong(position))
            problem = self._problems[position].problem.id
            self._elimination.update(position, self._event_log.verdicts[problem])

    def _stop(self) -> None:
        if self._harm_stop is not None:
            for position in self._harm_stop.check():
                self._policy.close(position)

    def _unfinished(self) -> list[_OpenTask]:
        """Tasks of an earlier part of this run that were not completed, with new reservations."""
        unfinished = []
        for position, item in enumerate(self._problems):
            for task in self._event_log.tasks[item.problem.id]:
                generated = task.first in self._event_log.tests[item.problem.id]
                to_run = self._to_run(task) if generated else task.indices
                if to_run:
                    unfinished.append(self._reserve(position, task, to_run, generated=generated))
        return unfinished


def _problem(result: Generated | Executed) -> str:
    return result.task.problem if isinstance(result, Generated) else result.task.problem.id


def spent(event_log: EventLog) -> Cost:
    """Cost of everything in the log of a run."""
    extraction = map(extraction_cost, event_log.states.values())
    generated = (record for tests in event_log.tests.values() for record in tests.values())
    executed = (record for rows in event_log.verdicts.values() for record in rows.values())
    return (
        Cost.total(extraction)
        + Cost.total(map(generation_cost, generated))
        + Cost.total(map(execution_cost, executed))
    )
