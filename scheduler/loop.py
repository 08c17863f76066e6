"""The loop under the cap: ask the policy, have tests written and run, tell it the votes, and again.

It knows a policy, a ledger, a journal and a back end, and nothing of how they do their part. It goes in
rounds: what the policy asks for in one round is booked in the journal, carried out in whatever order the
back end gets it done, and what came of it is told in the order of the problems. So a run that is killed
and resumed grants the same tests as one that was not.
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
from testbudget.scheduler.log import EventLog
from testbudget.traces.records import (
    Cost,
    ProblemCandidates,
    TaskRecord,
    TestStatus,
    VerdictRecord,
    execution_cost,
    extraction_cost,
    writing_cost,
)


@dataclass(frozen=True, slots=True)
class _Block:
    """A grant that is being carried out, and what is set aside for it.

    Attributes:
        writing: None once its tests are written.
        cost: of those of its tests that were run since the reservation.
    """

    position: int
    grant: TaskRecord
    writing: Reservation | None
    execution: Reservation
    cost: Cost


class Loop:
    """Spends a cap on a list of problems.

    Args:
        problems: with their candidates; positions in this list are what the policy speaks of.
        policy: fresh; the loop restores it from the journal.
        ledger: fresh or, in a resumed run, made with ``spent(journal)``.
        journal: empty or of the run that is resumed.
        backend: does the work.
        writer: asks for tests and reads the answers.
        on_progress: called after each batch of results.
        standing: tells policies that listen how doubtful picks are; None tells them nothing.
        stopping: gives no more tests to problems that these are likelier to harm; None stops nobody.
        racing: leaves candidates that can no longer win out of further tests; None runs every test on all.
        record: whether to keep what candidates do beside how they fare.
        variations: inputs to run beside each test; see ``executors.execution.exploring``.
    """

    def __init__(
        self,
        problems: Sequence[ProblemCandidates],
        policy: Policy,
        budget: Budget,
        event_log: EventLog,
        backend: Backend,
        writer: UnitTestGenerator,
        on_progress: Callable[[], None] = lambda: None,
        *,
        standing: PickConfidence | None = None,
        stopping: HarmStop | None = None,
        racing: EliminationRule | None = None,
        record: bool = False,
        input_mutations: int = 0,
    ) -> None:
        self._problems = problems
        self._policy = policy
        self._budget = budget
        self._event_log = event_log
        self._backend = backend
        self._writer = writer
        self._on_progress = on_progress
        self._standing = standing
        self._stopping = stopping
        self._races = CandidateElimination(problems, racing, event_log.recorded_outputs_of)
        self._record = record
        self._variations = input_mutations
        self._in_flight: dict[str, _Block] = {}

    def run(self) -> None:
        """Goes on until the cap is spent or no grant is worth its price.

        Raises:
            UserError, InfrastructureError: from the back end; what was done is in the journal.
        """
        granted = [self._event_log.granted(solving.problem.id) for solving in self._problems]
        self._policy.restore(np.asarray(granted, dtype=np.int32))
        for position, solving in enumerate(self._problems):
            journalled = self._event_log.grants[solving.problem.id]
            self._races.restore(position, journalled, self._event_log.verdicts[solving.problem.id])
        self._carry_out(self._unfinished())
        self._tell(position for position, tests in enumerate(granted) if tests)
        self._stop()
        while grants := self._policy.ask(self._room()):
            blocks = self._book(grants)
            self._carry_out(blocks)
            self._tell(sorted(block.position for block in blocks))
            self._stop()

    def _room(self, programs: int | None = None) -> int:
        """How many tests fit for a problem of so many programs.

        Without a number, as many as fit wherever they go; only once there is no room for the problem with
        the most programs, as many as fit for the one with the fewest.
        """
        if programs is None:
            sizes = [len(self._races.programs(position)) for position in range(len(self._problems))]
            return self._room(max(sizes)) or self._room(min(sizes))
        return self._budget.room(
            self._backend.max_generation_cost() + self._backend.max_execution_cost(programs, 1)
        )

    def _book(self, grants: Sequence[Grant]) -> list[_Block]:
        """Reserves and journals what fits of each grant, up to the next look; takes the rest back.

        Nothing is in flight between rounds, so a test that does not fit as the first of a round never
        will: its problem is closed.
        """
        booked: list[_Block] = []
        with self._event_log.transaction():
            for grant in grants:
                problem = self._problems[grant.problem].problem.id
                granted = self._event_log.granted(problem)
                tests = min(grant.tests, self._room(len(self._races.programs(grant.problem))))
                if self._stopping is not None:
                    tests = min(tests, self._stopping.tests_to_look(granted))
                if tests < grant.tests:
                    self._policy.revoke(grant.problem, grant.tests - tests)
                if tests:
                    record = TaskRecord(problem, granted, tests)
                    self._event_log.add_grant(record)
                    booked.append(self._reserve(grant.problem, record, record.indices, written=False))
                elif not booked:
                    self._policy.close(grant.problem)
        return booked

    def _reserve(self, position: int, grant: TaskRecord, to_run: Sequence[int], *, written: bool) -> _Block:
        programs = len(self._races.programs(position))
        writing = (
            None if written else self._budget.reserve(self._backend.max_generation_cost() * grant.tests)
        )
        worst = (
            self._backend.max_execution_cost(programs, len(tests)) for tests in self._races.rungs(to_run)
        )
        execution = self._budget.reserve(Cost.total(worst))
        return _Block(position, grant, writing, execution, Cost())

    def _carry_out(self, blocks: Sequence[_Block]) -> None:
        self._in_flight = {block.grant.problem: block for block in blocks}
        for block in blocks:
            if block.writing:
                self._write(block)
            else:
                self._execute(block)
        while self._in_flight:
            results = self._backend.wait()
            with self._event_log.transaction():
                for result in results:
                    if isinstance(result, Generated):
                        self._keep_tests(result)
                    else:
                        self._keep_verdicts(result)
            for result in results:
                self._execute(self._in_flight[_problem(result)])
            self._on_progress()

    def _write(self, block: _Block) -> None:
        solving = self._problems[block.position]
        requests = self._writer.requests(solving, block.grant.indices)
        self._backend.submit(Generate(Role.REWARD_MODEL, solving.problem.id, requests))

    def _execute(self, block: _Block) -> None:
        """Sends the next of the block's tests off, or settles the block if none is left."""
        solving = self._problems[block.position]
        problem = solving.problem.id
        rungs = self._races.rungs(self._to_run(block.grant))
        if not rungs:
            self._budget.settle(block.execution, block.cost)
            del self._in_flight[problem]
            return
        self._races.update(block.position, self._event_log.verdicts[problem])
        written = self._event_log.tests[problem]
        tests = tuple(self._writer.unit_test(solving, index, written[index]) for index in rungs[0])
        programs = tuple(solving.programs[program] for program in self._races.programs(block.position))
        task = Execute(solving.problem, programs, tests, self._record, self._variations)
        self._backend.submit(task)

    def _to_run(self, grant: TaskRecord) -> list[int]:
        """The block's written tests that can vote and have not."""
        tests, verdicts = self._event_log.tests[grant.problem], self._event_log.verdicts[grant.problem]
        return [i for i in grant.indices if tests[i].status is TestStatus.USABLE and i not in verdicts]

    def _keep_tests(self, written: Generated) -> None:
        block = self._in_flight[written.task.problem]
        solving = self._problems[block.position]
        earlier = list(self._event_log.tests[solving.problem.id].values())
        records = self._writer.records(solving, written.task.requests, written.completions, earlier)
        for request, record in zip(written.task.requests, records, strict=True):
            self._event_log.add_test(solving.problem.id, request.index, record)
        if block.writing:
            self._budget.settle(block.writing, Cost.total(map(writing_cost, records)))

    def _keep_verdicts(self, executed: Executed) -> None:
        problem, tests = executed.task.problem.id, executed.task.tests
        block = self._in_flight[problem]
        outcomes = self._races.over_all(block.position, executed.outcomes)
        records = [
            VerdictRecord(
                outcomes.verdicts[:, column],
                outcomes.cpu_seconds[:, column],
                outcomes.same_process[:, column],
                int(outcomes.input_mutations[column]),
            )
            for column in range(len(tests))
        ]
        for test, record in zip(tests, records, strict=True):
            self._event_log.add_verdicts(problem, test.index, record)
        if outcomes.recorded_outputs is not None:
            for index, recorded_outputs in outputs_by_test(outcomes.recorded_outputs).items():
                self._event_log.add_recorded_outputs(problem, index, recorded_outputs)
        cost = Cost.total([block.cost, *map(execution_cost, records)])
        self._in_flight[problem] = replace(block, cost=cost)

    def _tell(self, positions: Iterable[int]) -> None:
        for position in positions:
            if self._standing is not None and not self._policy.static:
                self._policy.tell(position, self._standing.p_wrong(position))
            problem = self._problems[position].problem.id
            self._races.update(position, self._event_log.verdicts[problem])

    def _stop(self) -> None:
        if self._stopping is not None:
            for position in self._stopping.look():
                self._policy.close(position)

    def _unfinished(self) -> list[_Block]:
        """Grants of an earlier part of this run that were not carried out to the end."""
        blocks = []
        for position, solving in enumerate(self._problems):
            for grant in self._event_log.grants[solving.problem.id]:
                written = grant.first in self._event_log.tests[solving.problem.id]
                to_run = self._to_run(grant) if written else grant.indices
                if to_run:
                    blocks.append(self._reserve(position, grant, to_run, written=written))
        return blocks


def _problem(result: Generated | Executed) -> str:
    return result.task.problem if isinstance(result, Generated) else result.task.problem.id


def spent(event_log: EventLog) -> Cost:
    """What the run of a journal has spent so far."""
    extracting = map(extraction_cost, event_log.states.values())
    writing = (writing_cost(record) for tests in event_log.tests.values() for record in tests.values())
    running = (execution_cost(record) for rows in event_log.verdicts.values() for record in rows.values())
    return Cost.total(extracting) + Cost.total(writing) + Cost.total(running)
