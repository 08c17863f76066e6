"""Blocks of real candidates and tests, from the recorded run in ``examples/humaneval``."""

from collections.abc import Callable, Iterator, Sequence
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
TESTS_PER_BLOCK = 8
MOSTLY = 0.9
_HARMLESS = (Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED)


@dataclass(frozen=True, slots=True)
class Block:
    """Candidates and tests of one problem, to be run all against all.

    Attributes:
        entry_point: the function under test.
        candidates: distinct programs.
        tests: ``unittest.TestCase`` classes.
    """

    entry_point: str
    candidates: tuple[str, ...]
    tests: tuple[UnitTest, ...]

    def of(self, rows: Sequence[int]) -> "Block":
        """The same tests with some of the candidates."""
        return Block(self.entry_point, tuple(self.candidates[row] for row in rows), self.tests)


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """What the run knows of one problem.

    Candidates that ever timed out, ran out of memory or were killed in it are left out: some of the ways
    that are compared would run them without any limits.

    Attributes:
        solving: the problem and its programs.
        trace: the answers that hold the tests.
        programs: positions of the harmless ones.
        tests: indices of the usable ones.
        passed: bool (programs, tests), by the recorded verdicts.
    """

    solving: ProblemCandidates
    trace: ProblemTrace
    programs: NDArray[np.intp]
    tests: NDArray[np.intp]
    passed: NDArray[np.bool_]

    def block(self, rows: Sequence[int], columns: Sequence[int]) -> Block:
        """The texts of some programs and tests."""
        writer = UnitTestGenerator(template=None, seed=0)
        tests = (
            writer.unit_test(self.solving, index, self.trace.tests[index])
            for index in self.tests[list(columns)].tolist()
        )
        programs = (self.solving.programs[index].code for index in self.programs[list(rows)])
        return Block(self.solving.problem.entry_point, tuple(programs), tuple(tests))


Choice = Callable[[Recorded, np.random.Generator], Block | None]
"""Chooses candidates and tests of a problem, or none of it."""


def random_pairs(problem: Recorded, random: np.random.Generator) -> Block | None:
    """All candidates of a problem and a few random tests."""
    columns = random.permutation(len(problem.tests))[:TESTS_PER_BLOCK]
    return problem.block(range(len(problem.programs)), columns.tolist())


def passing_pairs(problem: Recorded, random: np.random.Generator) -> Block | None:
    """The better half of a problem's candidates, and a few tests that nearly all of these pass."""
    rows = np.argsort(-problem.passed.mean(axis=1), kind="stable")[: (len(problem.programs) + 1) // 2]
    (columns,) = np.nonzero(problem.passed[rows].mean(axis=0) >= MOSTLY)
    if not len(columns):
        return None
    return problem.block(rows.tolist(), random.permutation(columns)[:TESTS_PER_BLOCK].tolist())


def blocks(problems: Sequence[Recorded], choose: Choice, random: np.random.Generator) -> Iterator[Block]:
    """A block of each problem for which there is one, in random order."""
    for index in random.permutation(len(problems)):
        block = choose(problems[index], random)
        if block is not None:
            yield block


def recorded_problems() -> list[Recorded]:
    """All problems of the recorded run that have candidates and tests."""
    trace = read_trace(RECORDED_RUN)
    problems = []
    for problem in load_problems("humaneval"):
        seen = trace.of(problem)
        usable = [
            index for index, record in sorted(seen.tests.items()) if record.status is TestStatus.USABLE
        ]
        verdicts = np.stack([seen.verdicts[index].verdicts for index in usable], axis=1)
        (harmless,) = np.nonzero(np.isin(verdicts, _HARMLESS).all(axis=1))
        if len(harmless):
            passed = verdicts[harmless] == Verdict.PASSED
            solving = ProblemCandidates.of(problem, seen.candidates)
            problems.append(Recorded(solving, seen, harmless, np.array(usable, np.intp), passed))
    return problems
