"""Problem table: what each problem was granted, what was told of it, and why it is closed."""

from enum import IntEnum

import numpy as np

from testbudget.scheduler.core.events import Bools, Floats, Ints, RunStarted


class Closed(IntEnum):
    """Reason why a problem gets no more tests."""

    OPEN = 0
    HARMFUL = 1
    QUARANTINED = 2
    NO_PROGRAM = 3
    CAP = 4


class ProblemTable:
    """Columns of all problems by position.

    Attributes:
        max_tests: int64 (problems,), tests that each may get at most.
        granted: int64 (problems,), tests granted.
        told: int64 (problems,), tests granted and told.
        inputs: bool (problems,), True once its inputs are granted, or if they are not to be written.
        programs: int64 (problems,), distinct programs that the next test is executed on, as sampled or as
            last assessed.
        prepared: bool (problems,), True once its preparation is told.
        busy: bool (problems,), True while a task of it is issued and not told, or not assessed.
        closed: int64 (problems,), values of ``Closed``.
        pass_rates: float64 (problems,), predicted; NaN where not predicted.
        p_wrong: float64 (problems,), as last assessed; NaN before.
        labelled: bool (problems,).
    """

    def __init__(self, started: RunStarted) -> None:
        count = started.problems
        self.max_tests = np.asarray(started.max_tests, np.int64)
        assert self.max_tests.shape == (count,)
        self.granted, self.told, self.programs, self.closed = np.zeros((4, count), np.int64)
        self.prepared, self.labelled = np.zeros((2, count), np.bool_)
        self.inputs = np.full(count, started.inputs == 0)
        self.busy = np.ones(count, np.bool_)
        self.pass_rates, self.p_wrong = np.full((2, count), np.nan)

    def __len__(self) -> int:
        return len(self.granted)

    def close(self, problems: Ints, reason: Closed) -> None:
        """Close those of the problems that are open."""
        self.closed[problems[self.closed[problems] == Closed.OPEN]] = reason

    def reopen(self) -> Ints:
        """Open the problems that the cap had closed, and return their positions."""
        problems = np.flatnonzero(self.closed == Closed.CAP)
        self.closed[problems] = Closed.OPEN
        return problems

    def able(self) -> Ints:
        """Positions of the problems that may get tests now."""
        return np.flatnonzero(self.prepared & ~self.busy & (self.closed == Closed.OPEN))

    def free(self, problems: Ints) -> Ints:
        """Tests that each may still get, int64 (given problems,); 0 for a closed one."""
        return np.where(
            self.closed[problems] == Closed.OPEN, self.max_tests[problems] - self.granted[problems], 0
        )

    def lacks_inputs(self, problems: Ints) -> Bools:
        """True for those without granted inputs, unless they were told to have one program alone."""
        single = self.prepared[problems] & (self.programs[problems] == 1)
        return np.asarray(~self.inputs[problems] & ~single)

    def rates(self) -> Floats:
        """Predicted pass rates so far, a copy."""
        return self.pass_rates.copy()
