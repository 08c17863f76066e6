"""Problems, candidates, unit tests and verdicts: the values that all packages share."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison


class Verdict(IntEnum):
    """Outcome of one candidate on one unit test.

    All but ``PASSED`` count as not passed in a vote; reports distinguish them. ``UNCONFIRMED``: the test
    passed in a process that it shared with the candidate, and the candidate could have forged that.
    ``COMPILE_ERROR``: the candidate does not compile. A failure of the infrastructure is an exception, not
    a verdict. Run tables store the numbers.
    """

    FAILED = 0
    PASSED = 1
    ERRORED = 2
    TIMED_OUT = 3
    OUT_OF_MEMORY = 4
    KILLED = 5
    UNCONFIRMED = 6
    COMPILE_ERROR = 7


NOT_RUN = 255
"""Number in place of a verdict for a pair that was not run. It counts as not passed."""

NO_VERDICT = 254
"""Number in place of a verdict for a pair that was run on written inputs, which expect nothing."""

WRITTEN_INPUTS = -1
"""Index, among the tests of a problem, of the inputs without expected values that a model wrote for it.

They are one test in every count of what is spent, and have no vote. The code of such a test is a JSON list
of calls, whatever its kind.
"""

NO_PROGRAM = "no program"
"""Note of a candidate whose answer holds no program."""


class TestKind(StrEnum):
    """Form of a unit test.

    Code of the kinds but ``STDIN`` is a program in the language of the candidates. At least one of its
    assertions must run and all that run must hold.

    Attributes:
        ASSERT: a program that runs after the candidate in the same namespace.
        UNITTEST: a module with ``unittest.TestCase`` classes, all of whose cases are run.
        PYTEST: a module with pytest functions or classes, all of which are run.
        CHECK: a program that defines ``check(candidate)``, which is called with the entry point.
        STDIN: a `StdinCase`: the candidate is run as a program that reads standard input and prints.
    """

    __test__ = False  # pytest would collect it by its name

    ASSERT = "assert"
    UNITTEST = "unittest"
    PYTEST = "pytest"
    CHECK = "check"
    STDIN = "stdin"


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Reference tests of a problem. A candidate is correct if it passes all of them.

    Attributes:
        kind: form of the tests.
        tests: codes of the tests, at least one, each as in `UnitTest.code`.
    """

    kind: TestKind
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A programming task.

    Attributes:
        id: unique within a job.
        prompt: text that the policy model continues or answers: signature and docstring, or a description.
        entry_point: name of the function or class that the tests call; None for a program that reads
            standard input.
        language: programming language of the candidates, in lower case.
        ground_truth: reference tests, if there are any. They give the labels of candidates for reports and
            training. The scheduler never uses them.
        comparison: comparison of expected and given outputs.
        reference: a correct program, if one is known. The ground truth is checked with it, and nothing else
            uses it.
        metadata: further fields of the problem's row, which appear in the outputs.
    """

    id: str
    prompt: str
    entry_point: str | None = None
    language: str = "python"
    ground_truth: GroundTruth | None = None
    comparison: Comparison = DEFAULT_COMPARISON
    reference: str | None = field(default=None, compare=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def content_hash(self) -> str:
        """Hex SHA-256 of all fields but id, reference and metadata; identifies the problem in every run."""
        tests = self.ground_truth.tests if self.ground_truth else ("",)
        parts = [self.prompt, self.entry_point or "", self.language, *tests]
        if self.comparison != DEFAULT_COMPARISON:
            parts.append(self.comparison.as_text())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One program by the policy model for a problem.

    Attributes:
        problem: id of the problem.
        index: position among the problem's candidates.
        code: the whole program, which defines the entry point if the problem has one.
        tokens: number of generated tokens.
    """

    problem: str
    index: int
    code: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class UnitTest:
    """One test by the reward model for a problem.

    Attributes:
        problem: id of the problem.
        index: position among the problem's generated tests, unusable ones included.
        code: the test program, without the candidate; for ``STDIN``, the text of a `StdinCase`.
        seed: seed of the sampling.
        kind: form of the code.
    """

    problem: str
    index: int
    code: str
    seed: int = 0
    kind: TestKind = TestKind.UNITTEST
