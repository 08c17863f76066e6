"""Task table: number, state and size of every task, and the legal transitions between states."""

from enum import IntEnum

import numpy as np

from testbudget.rewards.problem import WRITTEN_INPUTS
from testbudget.scheduler.core.events import Bools, Command, Execute, Extract, Generate, Ints, Sample

MAX_FAILURES = 3
"""Failures of the infrastructure after which a task is quarantined."""


class TaskState(IntEnum):
    """State of a task. Tasks without tests prepare a problem, the others are grants."""

    SAMPLING = 0
    EXTRACTING = 1
    GENERATING = 2
    EXECUTING = 3
    DONE = 4
    TOLD = 5
    CUT = 6
    QUARANTINED = 7


_S = TaskState
UNFINISHED = (_S.SAMPLING, _S.EXTRACTING, _S.GENERATING, _S.EXECUTING)

LEGAL = np.zeros((len(_S), len(_S)), np.bool_)
"""bool (states, states), True where a task may move from the first state to the second."""
for _before, _after in [
    (_S.SAMPLING, _S.EXTRACTING),
    (_S.SAMPLING, _S.DONE),
    (_S.EXTRACTING, _S.DONE),
    (_S.GENERATING, _S.EXECUTING),
    (_S.GENERATING, _S.DONE),
    (_S.EXECUTING, _S.DONE),
    (_S.DONE, _S.TOLD),
]:
    LEGAL[_before, _after] = True
for _before in UNFINISHED:  # the cap is used up, or the infrastructure failed too often
    LEGAL[_before, [_S.CUT, _S.QUARANTINED]] = True


class TaskTable:
    """Columns of all tasks by number, in amortised constant time per task.

    Attributes:
        problem: int64 (tasks,), position of the problem.
        first: int64 (tasks,), index of the first test among the problem's; ``WRITTEN_INPUTS`` for the task
            of its written inputs.
        tests: int64 (tasks,), number of tests; 0 for a task that prepares its problem.
        state: int64 (tasks,), values of ``TaskState``.
        rung: int64 (tasks,), rungs executed so far.
        reserved: int64 (tasks,), executions reserved when it was issued.
        executions: int64 (tasks,), executions made so far.
        failures: int64 (tasks,), failures of the infrastructure so far.
        count: int64 (states,), number of tasks in each state.
    """

    _COLUMNS = ("problem", "first", "tests", "state", "rung", "reserved", "executions", "failures")

    problem: Ints
    first: Ints
    tests: Ints
    state: Ints
    rung: Ints
    reserved: Ints
    executions: Ints
    failures: Ints

    def __init__(self) -> None:
        self._issued = 0
        self.count = np.zeros(len(TaskState), np.int64)
        self._memory = {name: np.zeros(1024, np.int64) for name in self._COLUMNS}
        self._show()

    def __len__(self) -> int:
        return self._issued

    def voting_tests(self, tasks: Ints | slice = slice(None)) -> Ints:
        """Number of tests of tasks that get an index and a vote: all but written inputs."""
        return np.where(self.first[tasks] == WRITTEN_INPUTS, 0, self.tests[tasks])

    def issue(
        self, problems: Ints, first: Ints | int, tests: Ints | int, reserved: Ints | int, state: TaskState
    ) -> Ints:
        """Add tasks in a state and return their numbers, int64 (new tasks,)."""
        start, stop = self._issued, self._issued + len(problems)
        if stop > len(self._memory["problem"]):
            size = max(stop, 2 * len(self._memory["problem"]))
            for name, column in self._memory.items():
                self._memory[name] = np.concatenate([column, np.zeros(size - len(column), np.int64)])
        self._issued = stop
        self._show()
        new = slice(start, stop)
        self.problem[new], self.first[new], self.tests[new] = problems, first, tests
        self.reserved[new], self.state[new] = reserved, state
        self.count[state] += len(problems)
        return np.arange(start, stop)

    def advance(self, tasks: Ints, before: TaskState, after: TaskState) -> Bools:
        """Move tasks from one state to another.

        Returns:
            bool (tasks,), True for those that were in the first state. The others stay: they are late
            doubles of work that was thought lost.
        """
        assert LEGAL[before, after]
        moved = self.state[tasks] == before
        self.state[tasks[moved]] = after
        moves = int(moved.sum())
        self.count[before] -= moves
        self.count[after] += moves
        return np.asarray(moved)

    def end(self, tasks: Ints, after: TaskState) -> None:
        """Move unfinished tasks to ``CUT`` or ``QUARANTINED``."""
        for state in UNFINISHED:
            self.advance(tasks, state, after)

    def commands(self, tasks: Ints) -> list[Command]:
        """Commands of the work that unfinished tasks wait for, by their states."""
        commands: list[Command] = []
        states = self.state[tasks]
        for state in np.unique(states).tolist():
            own = tasks[states == state]
            problems, first, tests = self.problem[own], self.first[own], self.tests[own]
            match state:
                case TaskState.SAMPLING:
                    commands.append(Sample(own, problems))
                case TaskState.EXTRACTING:
                    commands.append(Extract(own, problems))
                case TaskState.GENERATING:
                    commands.append(Generate(own, problems, first, tests))
                case TaskState.EXECUTING:
                    commands.append(Execute(own, problems, first, tests, self.rung[own]))
        return commands

    def unfinished(self, since: int, *states: TaskState) -> Ints:
        """Numbers, from ``since`` on, of the tasks in any of the states; all unfinished ones by default."""
        found = np.isin(self.state[since:], states or UNFINISHED)
        return np.asarray(since + np.flatnonzero(found))

    def _show(self) -> None:
        for name, column in self._memory.items():
            setattr(self, name, column[: self._issued])
