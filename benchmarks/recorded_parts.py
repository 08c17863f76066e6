"""Parts of a recorded run's tests, better and worse, chosen with the help of the labels."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from recorded_blocks import RECORDED_RUN

from testbudget.rewards.outputs import Evidence, OutputMatrix, RecordedOutputs, select_outputs
from testbudget.rewards.votes import Votes
from testbudget.traces.learning_curves import RecordedTests
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import correct_labels

MBPP = RECORDED_RUN.parent / "mbpp"
SEED = 11
_RIGHT_TEST = 0.5  # share of the correct candidates that a right test passes at least
_TESTS_IN_BUNDLE = 3


@dataclass(frozen=True, slots=True, eq=False)
class LabeledProblem:
    """Votes, recorded outputs and labels of one problem.

    Attributes:
        passed: bool (tests, candidates).
        recorded_outputs: of the distinct programs.
        programs: intp (candidates,), distinct program of each candidate.
        indices: index of each test in the run.
        correct: bool (candidates,), labels.
    """

    passed: NDArray[np.bool_]
    recorded_outputs: RecordedOutputs
    programs: NDArray[np.intp]
    indices: tuple[int, ...]
    correct: NDArray[np.bool_]

    @classmethod
    def of(cls, recording: RecordedTests) -> Self:
        """The tests of a problem that have votes; its outputs must be recorded."""
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
        """True error of each test, float64 (tests,).

        Mean of its false positive and false negative rate, or the one of them that is defined.
        """
        rates = []
        if not self.correct.all():
            rates.append(self.passed[:, ~self.correct].mean(axis=1))
        if self.correct.any():
            rates.append(1 - self.passed[:, self.correct].mean(axis=1))
        return np.asarray(np.mean(rates, axis=0))


PartChoice = Callable[[LabeledProblem, np.random.Generator], NDArray[np.intp]]
"""Chooses and orders a problem's tests: intp (shown tests, recorded tests in each of them)."""


def all_tests(problem: LabeledProblem, random: np.random.Generator) -> NDArray[np.intp]:
    """All tests in random order."""
    return random.permutation(len(problem.passed))[:, np.newaxis]


def third_by_error(number: int) -> PartChoice:
    """The best (0), middle (1) or worst (2) third of each problem's tests by their true errors."""

    def choose(problem: LabeledProblem, random: np.random.Generator) -> NDArray[np.intp]:
        shuffled = random.permutation(len(problem.passed))
        ranked = shuffled[np.argsort(problem.errors[shuffled], kind="stable")]
        return random.permutation(np.array_split(ranked, 3)[number])[:, np.newaxis]

    return choose


def few_right_tests(problem: LabeledProblem, random: np.random.Generator) -> NDArray[np.intp]:
    """At most one right test in six, right meaning that at least half of the correct candidates pass it.

    The two worst tests if all are right. All tests if no candidate is correct.
    """
    if not problem.correct.any():
        return all_tests(problem, random)
    right = problem.passed[:, problem.correct].mean(axis=1) >= _RIGHT_TEST
    wrong = np.flatnonzero(~right)
    if not len(wrong):
        return np.argsort(problem.errors, kind="stable")[-2:, np.newaxis]
    some = random.permutation(np.flatnonzero(right))[: max(1, len(wrong) // 5)]
    return random.permutation(np.concatenate([wrong, some]))[:, np.newaxis]


def lenient_tests(problem: LabeledProblem, random: np.random.Generator) -> NDArray[np.intp]:
    """Bundles of three tests; a candidate passes a bundle if it passes any of its tests."""
    shuffled = random.permutation(len(problem.passed))
    return shuffled[: len(shuffled) // _TESTS_IN_BUNDLE * _TESTS_IN_BUNDLE].reshape(-1, _TESTS_IN_BUNDLE)


AS_RECORDED = "as recorded"
PARTS: dict[str, PartChoice] = {
    AS_RECORDED: all_tests,
    "best third": third_by_error(0),
    "middle third": third_by_error(1),
    "worst third": third_by_error(2),
    "one in six right": few_right_tests,
    "lenient": lenient_tests,
}


def recorded_tests(run: Path = RECORDED_RUN) -> list[RecordedTests]:
    """Recorded tests of all problems of a finished run, with outputs."""
    trace, outputs_by_problem = read_trace(run), read_outputs(run)
    return [
        RecordedTests.of(seen, correct, outputs_by_problem[name])
        for (name, seen), correct in zip(trace.problems.items(), correct_labels(trace), strict=True)
    ]


def labeled_problems() -> list[LabeledProblem]:
    """All problems of the recorded run."""
    return [LabeledProblem.of(recording) for recording in recorded_tests()]


def keep_tests(recording: RecordedTests, tests: NDArray[np.intp]) -> RecordedTests:
    """Some of a problem's recorded tests.

    Args:
        recording: all of them.
        tests: positions among those that have votes.
    """
    kept = np.flatnonzero(recording.rows >= 0)[tests]
    return replace(
        recording,
        indices=recording.indices[kept],
        rows=recording.rows[kept],
        costs=recording.costs[kept],
    )


def keep_part(recording: RecordedTests, part: str, random: np.random.Generator) -> RecordedTests:
    """A part of a problem's recorded tests; each shown test must be one recorded test."""
    return keep_tests(recording, PARTS[part](LabeledProblem.of(recording), random).ravel())


def keep_candidates(recording: RecordedTests, count: int) -> RecordedTests:
    """Recorded tests of the first candidates. The costs are still those of all candidates."""
    votes, programs = recording.votes, recording.programs[:count]
    recorded_outputs = recording.recorded_outputs
    return replace(
        recording,
        votes=Votes.from_matrix(votes.passed()[:, :count], votes.run()[:, :count]),
        # Programs are numbered in the order in which they first appear.
        recorded_outputs=recorded_outputs
        and select_outputs(recorded_outputs, candidates=range(programs.max() + 1)),
        programs=programs,
        correct=recording.correct[:count],
    )


def evidence_of(problem: LabeledProblem, tests: NDArray[np.intp], candidates: NDArray[np.intp]) -> Evidence:
    """Evidence of some candidates on shown tests, see :data:`PartChoice`, in their order."""
    indices = [problem.indices[test] for test in tests.ravel()]
    outputs = OutputMatrix.of(problem.recorded_outputs, problem.programs[candidates], indices)
    known = outputs.known[:: tests.shape[1]]
    passed = np.asarray(problem.passed[:, candidates][tests].any(axis=1))
    return Evidence(Votes.from_matrix(passed), replace(outputs, known=known))
