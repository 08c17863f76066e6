"""Blocks of real candidates and tests, from the recorded run in ``examples/humaneval``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.rewards.problem import UnitTest, Verdict
from testbudget.traces.problems import load_problems
from testbudget.traces.records import ProblemCandidates, TestStatus
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import ProblemTrace

RECORDED_RUN = Path(__file__).parents[1] / "examples" / "humaneval"
MOSTLY_PASSED = 0.9
_MAX_CPU_SECONDS = 0.1
_HARMLESS = (Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED)


@dataclass(frozen=True, slots=True)
class RecordedBlock:
    """Candidates and tests of one problem; every candidate is run on every test.

    Attributes:
        entry_point: function under test.
        candidates: programs.
        tests: ``unittest.TestCase`` classes.
    """

    entry_point: str
    candidates: tuple[str, ...]
    tests: tuple[UnitTest, ...]

    def of(self, rows: Sequence[int]) -> "RecordedBlock":
        """The same tests with some of the candidates."""
        return RecordedBlock(self.entry_point, tuple(self.candidates[row] for row in rows), self.tests)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedProblem:
    """Programs, tests and verdicts of one problem.

    Programs that ever timed out, ran out of memory or were killed, or took more than `_MAX_CPU_SECONDS`,
    are left out: a few of them would decide a figure that is meant for all.

    Attributes:
        candidates: the problem and its programs.
        trace: the answers that hold the tests.
        programs: positions of the harmless programs.
        tests: indices of the usable tests.
        passed: bool (programs, tests), recorded verdicts.
    """

    candidates: ProblemCandidates
    trace: ProblemTrace
    programs: NDArray[np.intp]
    tests: NDArray[np.intp]
    passed: NDArray[np.bool_]

    def block(self, rows: Sequence[int], columns: Sequence[int]) -> RecordedBlock:
        """The block of some programs and tests."""
        generator = UnitTestGenerator(template=None, seed=0)
        tests = (
            generator.unit_test(self.candidates, index, self.trace.tests[index])
            for index in self.tests[list(columns)].tolist()
        )
        programs = (self.candidates.programs[index].code for index in self.programs[list(rows)])
        return RecordedBlock(self.candidates.problem.entry_point, tuple(programs), tuple(tests))


def mixed_block(
    problem: RecordedProblem, random: np.random.Generator, candidates: int, tests: int
) -> RecordedBlock | None:
    """Random candidates of a problem on good and on random tests, half of each.

    Good tests are those that nearly all of the better half of the candidates pass. Candidates and tests are
    repeated if there are too few.

    Returns:
        The block; None if the problem has no good test.
    """
    order = np.argsort(-problem.passed.mean(axis=1), kind="stable")
    better = order[: (len(order) + 1) // 2]
    (good,) = np.nonzero(problem.passed[better].mean(axis=0) >= MOSTLY_PASSED)
    if not len(good):
        return None
    count = (tests + 1) // 2
    others = np.resize(random.permutation(len(problem.tests)), tests - count)
    columns = random.permutation(np.concatenate([np.resize(random.permutation(good), count), others]))
    rows = np.resize(random.permutation(len(order)), candidates)
    return problem.block(rows.tolist(), columns.tolist())


def recorded_problems() -> list[RecordedProblem]:
    """All problems of the recorded run that have harmless programs."""
    trace = read_trace(RECORDED_RUN)
    problems = []
    for problem in load_problems("humaneval"):
        seen = trace.problem(problem)
        usable = [
            index for index, record in sorted(seen.tests.items()) if record.status is TestStatus.USABLE
        ]
        verdicts = np.stack([seen.verdicts[index].verdicts for index in usable], axis=1)
        used = np.stack([seen.verdicts[index].cpu_seconds for index in usable], axis=1)
        (harmless,) = np.nonzero((np.isin(verdicts, _HARMLESS) & (used <= _MAX_CPU_SECONDS)).all(axis=1))
        if len(harmless):
            passed = verdicts[harmless] == Verdict.PASSED
            candidates = ProblemCandidates.of(problem, seen.candidates)
            problems.append(RecordedProblem(candidates, seen, harmless, np.array(usable, np.intp), passed))
    return problems
