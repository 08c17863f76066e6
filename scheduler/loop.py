"""The loop under the cap: ask the policy, have tests written and run, tell it the votes, and again.

It knows a policy, a ledger, a journal and a back end, and nothing of how they do their part. It goes in
rounds: what the policy asks for in one round is booked in the journal, carried out in whatever order the
back end gets it done, and told in the order of the problems. So a run that is killed and resumed grants
the same tests as one that was not.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from policies import Grant, Policy
from rewards.problem import NOT_RUN
from scheduler.backend import Backend, Execute, Executed, Generate, Generated, Role
from scheduler.journal import Journal
from scheduler.ledger import Cost, Ledger, Reservation
from scheduler.records import GrantRecord, TestRecord, TestStatus, VerdictRecord, votes_of
from scheduler.solving import Solving
from scheduler.writing import TestWriter


@dataclass(frozen=True, slots=True)
class _Block:
    """A grant that is being carried out, and what is set aside for it.

    Attributes:
        writing: None once its tests are written.
    """

    position: int
    grant: GrantRecord
    writing: Reservation | None
    execution: Reservation


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
    """

    def __init__(
        self,
        problems: Sequence[Solving],
        policy: Policy,
        ledger: Ledger,
        journal: Journal,
        backend: Backend,
        writer: TestWriter,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._problems = problems
        self._policy = policy
        self._ledger = ledger
        self._journal = journal
        self._backend = backend
        self._writer = writer
        self._on_progress = on_progress
        self._in_flight: dict[str, _Block] = {}

    def run(self) -> None:
        """Goes on until the cap is spent or no grant is worth its price.

        Raises:
            UserError, InfrastructureError: from the back end; what was done is in the journal.
        """
        granted = [self._journal.granted(solving.problem.id) for solving in self._problems]
        self._policy.restore(np.asarray(granted, dtype=np.int32))
        self._carry_out(self._unfinished())
        self._tell(position for position, tests in enumerate(granted) if tests)
        while grants := self._policy.ask(self._room()):
            blocks = self._book(grants)
            self._carry_out(blocks)
            self._tell(sorted(block.position for block in blocks))

    def _room(self, programs: int | None = None) -> int:
        """How many tests fit for a problem of so many programs.

        Without a number, as many as fit wherever they go; only once there is no room for the problem with
        the most programs, as many as fit for the one with the fewest.
        """
        if programs is None:
            sizes = [len(solving.programs) for solving in self._problems]
            return self._room(max(sizes)) or self._room(min(sizes))
        return self._ledger.room(self._backend.worst_writing() + self._backend.worst_execution(programs, 1))

    def _book(self, grants: Sequence[Grant]) -> list[_Block]:
        """Reserves and journals what fits of each grant; takes the rest back from the policy.

        Nothing is in flight between rounds, so a test that does not fit as the first of a round never
        will: its problem is closed.
        """
        booked: list[_Block] = []
        with self._journal.transaction():
            for grant in grants:
                solving = self._problems[grant.problem]
                tests = min(grant.tests, self._room(len(solving.programs)))
                if tests < grant.tests:
                    self._policy.revoke(grant.problem, grant.tests - tests)
                if tests:
                    record = GrantRecord(
                        solving.problem.id, self._journal.granted(solving.problem.id), tests
                    )
                    self._journal.add_grant(record)
                    booked.append(self._reserve(grant.problem, record, written=False, to_run=tests))
                elif not booked:
                    self._policy.close(grant.problem)
        return booked

    def _reserve(self, position: int, grant: GrantRecord, *, written: bool, to_run: int) -> _Block:
        programs = len(self._problems[position].programs)
        writing = None if written else self._ledger.reserve(self._backend.worst_writing() * grant.tests)
        execution = self._ledger.reserve(self._backend.worst_execution(programs, to_run))
        return _Block(position, grant, writing, execution)

    def _carry_out(self, blocks: Sequence[_Block]) -> None:
        self._in_flight = {block.grant.problem: block for block in blocks}
        for block in blocks:
            if block.writing:
                self._write(block)
            else:
                self._execute(block)
        while self._in_flight:
            results = self._backend.wait()
            with self._journal.transaction():
                for result in results:
                    if isinstance(result, Generated):
                        self._keep_tests(result)
                    else:
                        self._keep_verdicts(result)
            for result in results:
                if isinstance(result, Generated):
                    self._execute(self._in_flight[result.task.problem])
            self._on_progress()

    def _write(self, block: _Block) -> None:
        solving = self._problems[block.position]
        requests = self._writer.requests(solving, block.grant.indices)
        self._backend.submit(Generate(Role.REWARD_MODEL, solving.problem.id, requests))

    def _execute(self, block: _Block) -> None:
        solving = self._problems[block.position]
        tests = tuple(
            self._writer.unit_test(solving, index, self._journal.tests[solving.problem.id][index])
            for index in self._to_run(block.grant)
        )
        if tests:
            self._backend.submit(Execute(solving.problem, solving.programs, tests))
        else:
            self._finish(block, Cost())

    def _to_run(self, grant: GrantRecord) -> list[int]:
        """The block's written tests that can vote and have not."""
        tests, verdicts = self._journal.tests[grant.problem], self._journal.verdicts[grant.problem]
        return [i for i in grant.indices if tests[i].status is TestStatus.USABLE and i not in verdicts]

    def _keep_tests(self, written: Generated) -> None:
        block = self._in_flight[written.task.problem]
        solving = self._problems[block.position]
        earlier = list(self._journal.tests[solving.problem.id].values())
        records = self._writer.records(solving, written.task.requests, written.completions, earlier)
        for request, record in zip(written.task.requests, records, strict=True):
            self._journal.add_test(solving.problem.id, request.index, record)
        if block.writing:
            self._ledger.settle(block.writing, Cost.total(map(writing_cost, records)))

    def _keep_verdicts(self, executed: Executed) -> None:
        problem, outcomes = executed.task.problem.id, executed.outcomes
        records = [
            VerdictRecord(outcomes.verdicts[:, column], outcomes.cpu_seconds[:, column])
            for column in range(len(executed.task.tests))
        ]
        for test, record in zip(executed.task.tests, records, strict=True):
            self._journal.add_verdicts(problem, test.index, record)
        self._finish(self._in_flight[problem], Cost.total(map(execution_cost, records)))

    def _finish(self, block: _Block, cost: Cost) -> None:
        self._ledger.settle(block.execution, cost)
        del self._in_flight[block.grant.problem]

    def _tell(self, positions: Iterable[int]) -> None:
        for position in positions:
            solving = self._problems[position]
            self._policy.tell(
                position, votes_of(self._journal.verdicts[solving.problem.id], solving.distinct)
            )

    def _unfinished(self) -> list[_Block]:
        """Grants of an earlier part of this run that were not carried out to the end."""
        blocks = []
        for position, solving in enumerate(self._problems):
            for grant in self._journal.grants[solving.problem.id]:
                written = grant.first in self._journal.tests[solving.problem.id]
                to_run = len(self._to_run(grant)) if written else grant.tests
                if to_run:
                    blocks.append(self._reserve(position, grant, written=written, to_run=to_run))
        return blocks


def writing_cost(record: TestRecord) -> Cost:
    """What one written test cost, usable or not."""
    return Cost(tests=1, tokens=record.tokens, gpu_seconds=record.gpu_seconds)


def execution_cost(record: VerdictRecord) -> Cost:
    """What running one test on a problem's programs cost."""
    run = int(np.count_nonzero(record.verdicts != NOT_RUN))
    return Cost(executions=run, cpu_seconds=float(record.cpu_seconds.sum(dtype=np.float64)))


def spent(journal: Journal) -> Cost:
    """What the run of a journal has spent so far."""
    writing = (writing_cost(record) for tests in journal.tests.values() for record in tests.values())
    running = (execution_cost(record) for rows in journal.verdicts.values() for record in rows.values())
    return Cost.total(writing) + Cost.total(running)
