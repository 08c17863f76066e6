"""The plain values that everything else speaks of: problems, candidates, unit tests and verdicts."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Verdict(IntEnum):
    """How one candidate fared on one unit test.

    All but ``PASSED`` count as 'not passed' in a vote; they are told apart for reports. ``UNCONFIRMED``:
    the test passed in an interpreter that it shared with a candidate able to forge that. A failure of
    the infrastructure is an exception, never a verdict. The numbers are what run tables store.
    """

    FAILED = 0
    PASSED = 1
    ERRORED = 2
    TIMED_OUT = 3
    OUT_OF_MEMORY = 4
    KILLED = 5
    UNCONFIRMED = 6


NOT_RUN = 255
"""Stands among verdicts for a pair that was not run; such a pair is not passed either."""


class TestKind(StrEnum):
    """How a unit test's code is to be run.

    ``UNITTEST``: one ``unittest.TestCase`` class, passed when it has at least one case and all its
    cases pass. ``ASSERTIONS``: a program that runs after the candidate in the same namespace, passed
    when it ends without an exception.
    """

    __test__ = False  # pytest would collect it by its name

    UNITTEST = "unittest"
    ASSERTIONS = "assertions"


@dataclass(frozen=True, slots=True)
class Problem:
    """A programming task.

    Attributes:
        id: unique within a job.
        prompt: what the policy model continues or answers: signature and docstring, or plain words.
        language: programming language of the candidates, in lower case.
        entry_point: name of the function or class that the tests call.
        ground_truth: code of a reference test of kind ``ASSERTIONS``, if there is one. It labels
            candidates for reports and training; the scheduler never decides by it.
    """

    id: str
    prompt: str
    entry_point: str
    language: str = "python"
    ground_truth: str | None = None

    @property
    def content_hash(self) -> str:
        """Hex SHA-256 over everything but the id; ties a recorded run to the texts it was made from."""
        parts = (self.prompt, self.entry_point, self.language, self.ground_truth or "")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One solution that the policy model wrote: a whole program that defines the entry point."""

    problem: str
    index: int
    code: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class UnitTest:
    """One test that the reward model wrote for a problem.

    Attributes:
        index: position among the problem's tests, also counting those that could not be used.
        code: the test program, without the candidate.
        seed: what the model sampled it with.
        kind: how it is to be run.
    """

    problem: str
    index: int
    code: str
    seed: int = 0
    kind: TestKind = TestKind.UNITTEST
