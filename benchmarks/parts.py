"""Better and worse tests: parts of a recorded run's tests, chosen by the truth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from recorded import RECORDED_RUN

from testbudget.difficulty.predictions import correct_labels
from testbudget.rewards.outputs import Evidence, OutputMatrix, RecordedOutputs, select_outputs
from testbudget.rewards.votes import Votes
from testbudget.traces.learning_curves import RecordedTests
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import read_trace

MBPP = RECORDED_RUN.parent / "mbpp"
SEED = 11
_VALID = 0.5  # a test is called right if so many of the right candidates pass it
_BUNDLE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What the run knows of one problem.

    Attributes:
        passed: bool (tests, candidates).
        behaviour: of the distinct programs.
        programs: which of them each candidate is.
        indices: what the behaviour calls the tests.
        correct: bool (candidates,).
    """

    passed: NDArray[np.bool_]
    recorded_outputs: RecordedOutputs
    programs: NDArray[np.intp]
    indices: tuple[int, ...]
    correct: NDArray[np.bool_]

    @classmethod
    def of(cls, recording: RecordedTests) -> Self:
        """The tests of a recording that have votes, which has outputs."""
        assert recording.recorded_outputs is not None, "outputs are recorded"
        voted = recording.rows >= 0
        rows, indices = recording.rows[voted], recording.indices[voted]
        return cls(
            recording.votes.passed()[rows],
            recording.recorded_outputs,
            recording.programs,
            tuple(indices.tolist()),
            recording.correct,
        )

    @property
    def errors(self) -> NDArray[np.float64]:
        """How often each test errs: the mean of its two rates, or the one there is, shape (tests,)."""
        rates = []
        if not self.correct.all():
            rates.append(self.passed[:, ~self.correct].mean(axis=1))
        if self.correct.any():
            rates.append(1 - self.passed[:, self.correct].mean(axis=1))
        return np.asarray(np.mean(rates, axis=0))


Choice = Callable[[Problem, np.random.Generator], NDArray[np.intp]]
"""Chooses and orders tests of a problem, shape (tests to be shown, tests in each)."""


def all_tests(problem: Problem, random: np.random.Generator) -> NDArray[np.intp]:
    """All of them, in random order."""
    return random.permutation(len(problem.passed))[:, np.newaxis]


def third(number: int) -> Choice:
    """The best, the middle or the worst third of each problem's tests by their true errors."""

    def choose(problem: Problem, random: np.random.Generator) -> NDArray[np.intp]:
        shuffled = random.permutation(len(problem.passed))
        ranked = shuffled[np.argsort(problem.errors[shuffled], kind="stable")]
        return random.permutation(np.array_split(ranked, 3)[number])[:, np.newaxis]

    return choose


def few_right(problem: Problem, random: np.random.Generator) -> NDArray[np.intp]:
    """One test in six at most that most right candidates pass; the two worst if all are such tests."""
    if not problem.correct.any():
        return all_tests(problem, random)
    right = problem.passed[:, problem.correct].mean(axis=1) >= _VALID
    wrong = np.flatnonzero(~right)
    if not len(wrong):
        return np.argsort(problem.errors, kind="stable")[-2:, np.newaxis]
    some = random.permutation(np.flatnonzero(right))[: max(1, len(wrong) // 5)]
    return random.permutation(np.concatenate([wrong, some]))[:, np.newaxis]


def lenient(problem: Problem, random: np.random.Generator) -> NDArray[np.intp]:
    """Three tests as one, which whoever passes any of them passes."""
    order = random.permutation(len(problem.passed))
    return order[: len(order) // _BUNDLE * _BUNDLE].reshape(-1, _BUNDLE)


AS_RECORDED = "as recorded"
REGIMES: dict[str, Choice] = {
    AS_RECORDED: all_tests,
    "best third": third(0),
    "middle third": third(1),
    "worst third": third(2),
    "one in six right": few_right,
    "lenient": lenient,
}


def recordings(run: Path = RECORDED_RUN) -> list[RecordedTests]:
    """All problems of a finished run, with outputs."""
    trace, outputs_by_problem = read_trace(run), read_outputs(run)
    return [
        RecordedTests.of(seen, correct, outputs_by_problem[name])
        for (name, seen), correct in zip(trace.problems.items(), correct_labels(trace), strict=True)
    ]


def problems_of_the_run() -> list[Problem]:
    """The recorded problems."""
    return [Problem.of(recording) for recording in recordings()]


def of_tests(recording: RecordedTests, tests: NDArray[np.intp]) -> RecordedTests:
    """A recording of some of the tests alone.

    Args:
        recording: the whole.
        tests: positions among those that have votes.
    """
    kept = np.flatnonzero(recording.rows >= 0)[tests]
    return replace(
        recording,
        indices=recording.indices[kept],
        rows=recording.rows[kept],
        costs=recording.costs[kept],
    )


def of_candidates(recording: RecordedTests, count: int) -> RecordedTests:
    """A recording of the first candidates alone; costs stay those of all."""
    votes, members = recording.votes, recording.programs[:count]
    recorded_outputs = recording.recorded_outputs
    return replace(
        recording,
        votes=Votes.from_matrix(votes.passed()[:, :count], votes.run()[:, :count]),
        # Programs are numbered in the order in which they first appear.
        recorded_outputs=recorded_outputs
        and select_outputs(recorded_outputs, candidates=range(members.max() + 1)),
        programs=members,
        correct=recording.correct[:count],
    )


def shown(problem: Problem, tests: NDArray[np.intp], candidates: NDArray[np.intp]) -> Evidence:
    """The evidence of some candidates on (bundles of) tests, in their order."""
    indices = [problem.indices[test] for test in tests.ravel()]
    outputs = OutputMatrix.of(problem.recorded_outputs, problem.programs[candidates], indices)
    known = outputs.known[:: tests.shape[1]]
    passed = np.asarray(problem.passed[:, candidates][tests].any(axis=1))
    return Evidence(Votes.from_matrix(passed), replace(outputs, known=known))
