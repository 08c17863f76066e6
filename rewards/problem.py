"""Problems, candidates, unit tests and verdicts: the values that all packages share."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Verdict(IntEnum):
    """Outcome of one candidate on one unit test.

    All but ``PASSED`` count as not passed in a vote; reports distinguish them. ``UNCONFIRMED``: the test
    passed in a process that it shared with the candidate, and the candidate could have forged that. A
    failure of the infrastructure is an exception, not a verdict. Run tables store the numbers.
    """

    FAILED = 0
    PASSED = 1
    ERRORED = 2
    TIMED_OUT = 3
    OUT_OF_MEMORY = 4
    KILLED = 5
    UNCONFIRMED = 6


NOT_RUN = 255
"""Number in place of a verdict for a pair that was not run. It counts as not passed."""


class TestKind(StrEnum):
    """Form of a unit test's code.

    ``UNITTEST``: one ``unittest.TestCase`` class; it passes if it has at least one case and all cases pass.
    ``ASSERT``: a program that runs after the candidate in the same namespace; it passes if it ends
    without an exception.
    """

    __test__ = False  # pytest would collect it by its name

    UNITTEST = "unittest"
    ASSERT = "assert"


@dataclass(frozen=True, slots=True)
class Problem:
    """A programming task.

    Attributes:
        id: unique within a job.
        prompt: text that the policy model continues or answers: signature and docstring, or a description.
        language: programming language of the candidates, in lower case.
        entry_point: name of the function or class that the tests call.
        ground_truth: code of a reference test of kind ``ASSERT``, if there is one. It gives the labels
            of candidates for reports and training. The scheduler never uses it.
    """

    id: str
    prompt: str
    entry_point: str
    language: str = "python"
    ground_truth: str | None = None

    @property
    def content_hash(self) -> str:
        """Hex SHA-256 of all fields but the id; identifies the problem in every run."""
        parts = (self.prompt, self.entry_point, self.language, self.ground_truth or "")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One program by the policy model for a problem.

    Attributes:
        problem: id of the problem.
        index: position among the problem's candidates.
        code: the whole program, which defines the entry point.
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
        code: the test program, without the candidate.
        seed: seed of the sampling.
        kind: form of the code.
    """

    problem: str
    index: int
    code: str
    seed: int = 0
    kind: TestKind = TestKind.UNITTEST
