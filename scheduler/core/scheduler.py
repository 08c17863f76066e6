"""Scheduler core: decides which problems get the next tests, and keeps the state of every task.

All state is changed by :meth:`Scheduler.handle` alone, so it is a fold of the event log. Tasks are numbered
when they are issued and *told* in that order, whatever order they finish in. A decision reads the told
prefix and what is issued, never what merely arrived: grants are a function of the seed and the results.

What happens next: a finished task is told once all before it are. As soon as the window has room for a
quantum of tests, and a quantum was told since the last decision, the next one is due: the told problems are
assessed, the policy observes their picks, and the most valuable tests that fit under the cap are issued.
"""

from collections.abc import Callable

import numpy as np

from testbudget.policies.base import Policy
from testbudget.scheduler.core import events as e
from testbudget.scheduler.core.budget import Books, Budget
from testbudget.scheduler.core.events import Command, Event, Floats, Ints, WorkerKind
from testbudget.scheduler.core.letting_go import LettingGo
from testbudget.scheduler.core.planner import UNLIMITED, Grants, NextTests, Planner
from testbudget.scheduler.core.problems import Closed, ProblemTable
from testbudget.scheduler.core.tasks import MAX_FAILURES, UNFINISHED, TaskState, TaskTable

_S = TaskState


class Scheduler:
    """The state of a run, and what to do next.

    Args:
        started: header of the log.
        policy: makes the policy from predicted pass rates, float64 (problems,), NaN where not predicted.
            It is called when the first decision is due.
        needs_all: True if that needs all problems to be prepared, since the policy reads pass rates.
        extracts: True if problems need hidden states.
        on_grant: called with the grants of each decision, also in a fold.

    Attributes:
        tasks: the task table, for reading.
        problems: the problem table, for reading.
        paused: True if no grants are made until the run is continued.
        finished: True if nothing more will happen.
    """

    def __init__(
        self,
        started: e.RunStarted,
        policy: Callable[[Floats], Policy],
        *,
        needs_all: bool = False,
        extracts: bool = False,
        on_grant: Callable[[Grants], None] | None = None,
    ) -> None:
        self._started, self._make_policy = started, policy
        self._extracts, self._on_grant = extracts, on_grant
        self.tasks, self.problems = TaskTable(), ProblemTable(started)
        self._budget = Budget(started.cap)
        self._policy: Policy | None = None
        self._planner: Planner | None = None
        # Without the number of programs, the tests that the executions leave cannot be planned.
        self._needs_all = needs_all or self._budget.bounds_executions
        self._told = self._assessed = 0  # numbers of the first task that is not
        self._untold_tests = 0
        self._told_units = 0  # tests told, and 1 for each preparation
        self._next_ask = started.quantum  # told units before which no decision is due
        self._assessing: e.Assess | None = None
        self._letting_go = LettingGo()
        self.paused = self._exhausted = self._closed = False

    @property
    def finished(self) -> bool:
        """True if nothing more will happen."""
        return self._closed and bool(self.problems.labelled.all())

    @property
    def books(self) -> Books:
        """Amounts by quantity."""
        return self._budget.books(ended=self.finished)

    def start(self) -> list[Command]:
        """Issue the preparation of every problem, once, before the first event."""
        everyone = np.arange(len(self.problems))
        tasks = self.tasks.issue(everyone, 0, 0, 0, _S.SAMPLING)
        return [e.Sample(tasks, everyone)]

    def handle(self, event: Event) -> list[Command]:
        """Change the state by an event, and return what is to be done."""
        commands: list[Command] = []
        match event:
            case e.Sampled(tasks, programs):
                commands = self._sampled(tasks, programs)
            case e.Extracted(tasks, pass_rates):
                new = self.tasks.advance(tasks, _S.EXTRACTING, _S.DONE)
                self.problems.pass_rates[self.tasks.problem[tasks[new]]] = pass_rates[new]
                commands = self._decide()
            case e.Generated(tasks, usable):
                some = self.tasks.advance(tasks[usable > 0], _S.GENERATING, _S.EXECUTING)
                self.tasks.advance(tasks[usable == 0], _S.GENERATING, _S.DONE)
                commands = [*self.tasks.commands(tasks[usable > 0][some]), *self._decide()]
            case e.Executed():
                commands = self._executed(event)
            case e.Assessed():
                commands = self._observe(event)
            case e.Labelled(problems):
                self.problems.labelled[problems] = True
            case e.Failed(tasks):
                commands = self._failed(tasks)
            case e.Quarantined(tasks):
                commands = self._quarantine(tasks)
            case e.CapChanged(cap):
                commands = self._change(cap)
            case e.Paused() | e.Continued():
                self.paused = isinstance(event, e.Paused)
                commands = self._decide()
            case _:
                commands = [*self._budget.handle(event), *self._after_metering()]
        return commands

    def pending(self) -> list[Command]:
        """Commands of all unfinished work, for a driver that continues the run."""
        commands = self.tasks.commands(self.tasks.unfinished(self._told))
        waiting = np.flatnonzero(~self.problems.labelled)
        state = self.tasks.state[: len(self.problems)]  # preparations have the first numbers
        if len(sampled := waiting[state[waiting] != _S.SAMPLING]):
            commands.append(e.Label(sampled))
        return [*commands, *([self._assessing] if self._assessing else []), *self._letting_go.again()]

    def closed_because(self, position: int) -> str | None:
        """Reason why a problem got no more tests, at the end of a run.

        Returns:
            "harmful", "quarantined" or "no_program" if it was closed; else "cap" if no further test of it
            fits; else "max_tests" if it has all that it may get; else None: its next test has no value.
        """
        if reason := Closed(self.problems.closed[position]):
            return reason.name.lower()
        if self._exhausted or not self._budget.remaining(int(self._executions(np.array([position]))[0])):
            return "cap"
        return "max_tests" if self.problems.granted[position] >= self.problems.max_tests[position] else None

    def validate(self) -> None:
        """Check every invariant; tests call it after every event."""
        self._budget.validate()
        tasks, problems, state = self.tasks, self.problems, self.tasks.state
        ended = (_S.TOLD, _S.CUT, _S.QUARANTINED)
        assert self._assessed <= self._told <= len(tasks)
        assert np.isin(state[: self._told], ended).all()
        assert not (state[self._told :] == _S.TOLD).any(), "told in order"
        untold = np.arange(self._assessed, len(tasks))
        assert len(np.unique(tasks.problem[untold])) == len(untold), "one open task a problem"
        voting = tasks.voting_tests()
        granted = np.bincount(tasks.problem, voting, len(problems))
        told = np.bincount(tasks.problem[: self._told], voting[: self._told], len(problems))
        assert (granted == problems.granted).all()
        assert (told == problems.told).all(), "each test told once"
        assert (problems.granted <= problems.max_tests).all()
        assert self._untold_tests == tasks.tests[self._told :].sum() <= max(self._started.window, 0)
        books = self._budget.books()
        assert books.spent["tests"] == tasks.tests[: self._told].sum()
        assert books.reserved["tests"] == self._untold_tests
        assert books.reserved["executions"] == tasks.reserved[self._told :].sum()
        assert (tasks.executions <= tasks.reserved).all()

    # ---- events ----

    def _sampled(self, tasks: Ints, programs: Ints) -> list[Command]:
        new = self.tasks.advance(tasks, _S.SAMPLING, _S.EXTRACTING if self._extracts else _S.DONE)
        problems = self.tasks.problem[tasks[new]]
        self.problems.programs[problems] = programs[new]
        label: list[Command] = [e.Label(problems)] if len(problems) else []
        return [*self.tasks.commands(tasks[new]), *label, *self._decide()]

    def _executed(self, event: e.Executed) -> list[Command]:
        table = self.tasks
        new = (table.state[event.tasks] == _S.EXECUTING) & (table.rung[event.tasks] == event.rungs)
        tasks, left = event.tasks[new], event.left[new]
        table.executions[tasks] += event.executions[new]
        table.rung[tasks] += 1
        table.advance(tasks[left == 0], _S.EXECUTING, _S.DONE)
        commands = [*self.tasks.commands(tasks[left > 0]), *self._decide()]
        if self._budget.mixes:  # what was reserved may be what engines need
            commands += [*self._budget.renew_all(), *self._after_metering()]
        return commands

    def _failed(self, tasks: Ints) -> list[Command]:
        tasks = tasks[np.isin(self.tasks.state[tasks], UNFINISHED)]
        self.tasks.failures[tasks] += 1
        given_up = self.tasks.failures[tasks] >= MAX_FAILURES
        return [*self.tasks.commands(tasks[~given_up]), *self._quarantine(tasks[given_up])]

    def _quarantine(self, tasks: Ints) -> list[Command]:
        self.tasks.end(tasks, _S.QUARANTINED)
        problems = self.tasks.problem[tasks]
        self._close(problems, Closed.QUARANTINED)
        without_candidates = problems[self.tasks.tests[tasks] == 0]
        self.problems.labelled[without_candidates] = True
        return self._decide()

    def _change(self, cap: e.Cap) -> list[Command]:
        """Go on under another cap, with the problems that the one before had closed."""
        self._budget.change(cap)
        self._exhausted = self._closed = False
        self._letting_go.reopen()
        reopened = self.problems.reopen()
        if self._planner is not None:
            self._planner.release(reopened)
        return [*self._budget.renew_all(), *self._after_metering(), *self._decide()]

    def _after_metering(self) -> list[Command]:
        """Cut off the work that no worker can do any more under the cap."""
        if not self._budget.meters:
            return []
        states: set[TaskState] = set()
        if self._budget.exhausted(WorkerKind.RUNNER):
            states |= {_S.GENERATING, _S.EXECUTING}
        waits = self._budget.mixes and self.tasks.count[_S.EXECUTING] > 0
        if not waits and self._budget.exhausted(WorkerKind.REWARD_MODEL):
            states |= {_S.GENERATING}
        if self._budget.exhausted(WorkerKind.EXTRACTOR):
            states |= {_S.EXTRACTING}
        if not states:
            return []
        self._exhausted = True
        tasks = self.tasks.unfinished(self._told, *states)
        self.tasks.end(tasks, _S.CUT)
        abort: list[Command] = [e.Abort(tasks)] if len(tasks) else []
        return [*abort, *self._decide()]

    # ---- decisions ----

    def _decide(self) -> list[Command]:
        """Tell finished tasks in order, up to wherever a decision is due, so that none reads too much."""
        commands: list[Command] = []
        while not self._closed and self._assessing is None:
            if self._is_due():
                if command := self._to_assess():
                    self._assessing = command
                    commands.append(command)
                    break
                granted = self._grant()
                commands += granted
                if granted:
                    continue
                if self._told == len(self.tasks):
                    self._closed = not self.paused
                    break
            if not self._tell():
                break
        granted_all = self._closed or self._exhausted or not self._budget.remaining(0)
        return [*commands, *self._letting_go.due(self.tasks.count, granted_all=granted_all)]

    def _is_due(self) -> bool:
        if self._told == len(self.tasks):
            return True
        if self._needs_all and self._told < len(self.problems):
            return False
        started = self._started
        return self._untold_tests <= started.window - started.quantum and self._told_units >= self._next_ask

    def _tell(self) -> bool:
        """Tell the tasks that are next in order and finished, up to the next decision."""
        table, started = self.tasks, self._started
        # Every task is a unit at least, so that no more are told before the next decision.
        fits = self._untold_tests - (started.window - started.quantum)
        units = self._next_ask - self._told_units
        unprepared = len(self.problems) - self._told if self._needs_all else 0
        stop = self._told + max(fits, units, unprepared, 1)
        ended = table.state[self._told : stop] >= _S.DONE
        ready = len(ended) if ended.all() else int(np.argmin(ended))
        if not ready:
            return False
        tests = table.tests[self._told : self._told + ready]
        last = max(
            int(np.searchsorted(np.cumsum(tests), fits)),
            int(np.searchsorted(np.cumsum(np.maximum(tests, 1)), units)),
            unprepared - 1,
        )
        tasks = np.arange(self._told, self._told + min(ready, last + 1))
        tests, problems = table.tests[tasks], table.problem[tasks]
        table.advance(tasks, _S.DONE, _S.TOLD)
        self._told = int(tasks[-1]) + 1
        self._untold_tests -= int(tests.sum())
        self._told_units += int(np.maximum(tests, 1).sum())
        self.problems.told[problems] += table.voting_tests(tasks)
        prepared = problems[(tests == 0) & (table.state[tasks] == _S.TOLD)]
        self.problems.prepared[prepared] = True
        self._close(prepared[self.problems.programs[prepared] == 0], Closed.NO_PROGRAM)
        self._budget.settle(
            int(tests.sum()), int(table.reserved[tasks].sum()), int(table.executions[tasks].sum())
        )
        return True

    def _to_assess(self) -> e.Assess | None:
        """The assessment that the due decision needs; None if the told problems may get tests again."""
        tasks = np.arange(self._assessed, self._told)
        with_votes = tasks[(self.tasks.tests[tasks] > 0) & (self.tasks.state[tasks] == _S.TOLD)]
        if len(with_votes) and self._started.assesses:
            problems = self.tasks.problem[with_votes]
            return e.Assess(with_votes, problems, self.problems.told[problems])
        self._release()
        return None

    def _observe(self, event: e.Assessed) -> list[Command]:
        if self._assessing is None or not np.array_equal(event.tasks, self._assessing.tasks):
            return []
        problems = self._assessing.problems
        self._assessing = None
        self.problems.p_wrong[problems] = event.p_wrong
        self.problems.programs[problems] = event.programs
        self._close(problems[event.harmful], Closed.HARMFUL)
        if self._policy is not None and not self._policy.static:
            self._policy.observe(problems, self.problems.told[problems], event.p_wrong, event.p_change)
        self._release()
        return self._decide()

    def _release(self) -> None:
        problems = self.tasks.problem[self._assessed : self._told]
        self._assessed = self._told
        self.problems.busy[problems] = False
        if self._planner is not None:
            self._planner.release(problems[self.problems.prepared[problems]])

    def _close(self, problems: Ints, reason: Closed) -> None:
        self.problems.close(problems, reason)
        if self._planner is not None:
            self._planner.close(problems)

    def _grant(self) -> list[Command]:
        """Issue the most valuable tests that fit into the window and under the cap."""
        self._next_ask = self._told_units + self._started.quantum
        if self.paused or self._exhausted:
            return []
        if self._planner is None:
            self._policy = self._make_policy(self.problems.rates())
            self._planner = Planner(self._started, self.problems, self._policy)
            self._planner.release(self.problems.able())
        remaining, room = self._remaining(), self._started.window - self._untold_tests
        if min(remaining, room) <= 0:
            return []
        idle = self._told == len(self.tasks)
        choice = self._planner.choose(remaining, room, idle=idle)
        executions = self._executions(choice.problems, choice.of_inputs)
        tests = self._budget.fit(choice.tests, executions)
        fitting = tests > 0
        self.problems.inputs[choice.problems[~fitting & choice.of_inputs]] = True  # a test may still fit
        if len(fitting) and idle and not fitting.any():
            self._close_what_never_fits()
            return self._grant()
        self._planner.put_back(choice.problems[~fitting])
        if not fitting.any():
            return []
        if self._started.window < UNLIMITED and tests.sum() == min(remaining, room):
            self._next_ask = 0  # nothing was short: the window alone decides when the next decision is due
        return self._issue(choice.of(fitting, tests), (tests * executions)[fitting])

    def _close_what_never_fits(self) -> None:
        """Close the problems that no test of fits into an idle run: it will not fit later either."""
        open_ = self.problems.able()
        each, of_problem = np.unique(self._executions(open_), return_inverse=True)
        fits = np.array([self._budget.remaining(executions) > 0 for executions in each.tolist()])
        self._close(open_[~fits[of_problem]], Closed.CAP)

    def _issue(self, choice: NextTests, reserved: Ints) -> list[Command]:
        assert self._planner is not None
        problems, first, tests = choice.problems, choice.first, choice.tests
        tasks = self.tasks.issue(problems, first, tests, reserved, _S.GENERATING)
        if self._on_grant is not None:
            terms = self._planner.terms(choice)
            self._on_grant(Grants(tasks, problems, first, tests, choice.values, terms))
        self.problems.granted[problems] += self.tasks.voting_tests(tasks)
        self.problems.inputs[problems[choice.of_inputs]] = True
        self.problems.busy[problems] = True
        self._untold_tests += int(tests.sum())
        self._budget.reserve(int(tests.sum()), int(reserved.sum()))
        return self.tasks.commands(tasks)

    def _remaining(self) -> int:
        """Tests that fit under the counted limits, each on the most programs; if none, on the fewest."""
        if not self._budget.bounds_executions:
            return self._budget.remaining(0)
        free = self.problems.free(np.arange(len(self.problems)))
        if not len(executions := self._executions(np.flatnonzero(free > 0))):
            return 0
        return self._budget.remaining(int(executions.max())) or self._budget.remaining(
            int(executions.min())
        )

    def _executions(self, problems: Ints, of_inputs: e.Bools | bool = False) -> Ints:
        """Executions of one test, or of the written inputs, of each problem at most."""
        started = self._started
        return self.problems.programs[problems] * np.where(
            of_inputs, started.inputs, started.executions_per_pair
        )
