"""Targets of prediction, and training examples measured on finished runs.

Targets are learned as shares in [0, 1]; a gain g in [-1, 1] is learned as (g + 1) / 2.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError
from testbudget.rewards.quality import accuracy_curve, single_test_quality
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.votes import Votes
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.problems import load_problems
from testbudget.traces.records import DistinctPrograms, votes_of
from testbudget.traces.tables import ReadTrace
from testbudget.traces.trace import ProblemTrace, Trace

_GAIN_COUNTS = (1, 2, 4, 8, 16, 32, 64)  # numbers of tests at which the gain is learned
_PERMUTATIONS = 20  # of a problem's tests behind each of its gains


@dataclass(frozen=True, slots=True)
class MeasuredProblem:
    """Measurements of one problem of a finished run.

    Attributes:
        correct: number of correct candidates.
        candidates: number of candidates.
        tests: number of generated tests, usable or not.
        false_positive_rate: false positive rate of the tests; NaN if all candidates are correct.
        false_negative_rate: false negative rate of the tests; NaN if no candidate is correct.
        gains: accuracy after n tests minus accuracy without tests, by n; up to the number of generated
            tests.
    """

    correct: int
    candidates: int
    tests: int
    false_positive_rate: float
    false_negative_rate: float
    gains: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class PredictionTarget:
    """Number per problem that predictors learn.

    Attributes:
        name: name in model files and reports.
        meaning: description in words.
        event: description of the event of ``TargetLabels.event``.
        value: measured value of a problem, NaN if it could not be measured.
        samples: number of samples behind that value.
        signed: True if values lie in [-1, 1] instead of [0, 1].
    """

    name: str
    meaning: str
    event: str
    value: Callable[[MeasuredProblem], float]
    samples: Callable[[MeasuredProblem], int]
    signed: bool = False

    def as_share(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of the target as shares in [0, 1]."""
        return (values + 1) / 2 if self.signed else values

    def from_share(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shares in [0, 1] as values of the target."""
        return 2 * shares - 1 if self.signed else shares

    def deviation_from_share(self, deviations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviations of shares as standard deviations of the target."""
        return 2 * deviations if self.signed else deviations


@dataclass(frozen=True, slots=True, eq=False)
class TargetLabels:
    """Measured values of a target.

    Attributes:
        target: the target.
        values: float64 (problems,), NaN if not measured.
        weights: float64 (problems,), number of samples behind each value.
        event: bool (problems,), True if the value exceeds a threshold (see ``target_labels``).
    """

    target: PredictionTarget
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    event: NDArray[np.bool_]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Mask of the problems where the target was measured, bool (problems,)."""
        return np.isfinite(self.values) & (self.weights > 0)

    def __getitem__(self, rows: NDArray[np.bool_]) -> "TargetLabels":
        """Labels of the selected problems."""
        return TargetLabels(self.target, self.values[rows], self.weights[rows], self.event[rows])


def target_labels(target: PredictionTarget, measured: Sequence[MeasuredProblem]) -> TargetLabels:
    """Values, weights and events of a target, one per problem.

    The event is ``value > 0``. Error rates are rarely 0, so their event is ``value > median``.
    """
    values = np.asarray([target.value(problem) for problem in measured], dtype=np.float64)
    weights = np.asarray([target.samples(problem) for problem in measured], dtype=np.float64)
    threshold = float(np.nanmedian(values)) if target in _ERROR_RATES and np.isfinite(values).any() else 0.0
    return TargetLabels(target, values, weights, values > threshold)


def gain_target(tests: int) -> PredictionTarget:
    """Target of the gain in accuracy after ``tests`` tests."""
    return PredictionTarget(
        f"gain_{tests}",
        f"accuracy of the pick after {tests} tests minus accuracy of a random candidate",
        "tests help",
        lambda problem: problem.gains.get(tests, math.nan),
        lambda problem: problem.tests,
        signed=True,
    )


PASS_RATE = PredictionTarget(
    "pass_rate",
    "share of correct candidates",
    "some candidate is correct",
    lambda problem: problem.correct / problem.candidates,
    lambda problem: problem.candidates,
)
SOLVABLE = PredictionTarget(
    "solvable",
    "1 if some candidate is correct, else 0",
    "some candidate is correct",
    lambda problem: float(problem.correct > 0),
    lambda _: 1,
)
FALSE_POSITIVE_RATE = PredictionTarget(
    "false_positive_rate",
    "probability that a test passes a wrong candidate",
    "it is above the median",
    lambda problem: problem.false_positive_rate,
    lambda problem: problem.tests,
)
FALSE_NEGATIVE_RATE = PredictionTarget(
    "false_negative_rate",
    "probability that a test fails a correct candidate",
    "it is above the median",
    lambda problem: problem.false_negative_rate,
    lambda problem: problem.tests,
)
_ERROR_RATES = (FALSE_POSITIVE_RATE, FALSE_NEGATIVE_RATE)
TARGETS = {
    target.name: target for target in (PASS_RATE, SOLVABLE, *_ERROR_RATES, *map(gain_target, _GAIN_COUNTS))
}
"""All targets by name."""


@dataclass(frozen=True, slots=True)
class TrainingExamples:
    """Problems of one finished run as training examples, in the order of the run.

    Attributes:
        directory: run directory.
        ids: ids of the problems.
        content_hashes: content hashes of the problems.
        texts: prompts; None if the source of the problems is unknown or not readable.
        hidden_states: one row per problem.
        measured: measurements of each problem.
    """

    directory: Path
    ids: tuple[str, ...]
    content_hashes: tuple[str, ...]
    texts: tuple[str, ...] | None
    hidden_states: HiddenStates
    measured: tuple[MeasuredProblem, ...]


def training_examples(
    directory: Path,
    read: ReadTrace,
    rule: SelectionRule | None,
    *,
    candidates: int | None = None,
    source: str | None = None,
    seed: int = 0,
) -> TrainingExamples:
    """Training examples of a finished run.

    Args:
        directory: run directory.
        read: reader of runs.
        rule: selection rule of the gains; None for no gains.
        candidates: number of candidates to use of each problem, the first ones; None for all.
        source: source of the problems' texts, as for ``load_problems``; None for the one that the run
            names.
        seed: seed of the permutations of tests behind the gains.

    Raises:
        UserError: the run has no labels, no hidden states or too few candidates, or ``source`` cannot be
            read or lacks a problem.
    """
    trace = read(directory)
    unlabelled = [problem for problem, seen in trace.problems.items() if seen.correct is None]
    if unlabelled:
        raise UserError(f"{directory} must have labels to learn from but problem {unlabelled[0]} has none")
    if trace.hidden_states is None:
        raise UserError(f"{directory} must hold hidden states to learn from but it has none")
    rng = np.random.default_rng(seed)
    measured = []
    for problem, seen in trace.problems.items():
        if candidates is not None and candidates > len(seen.candidates):
            raise UserError(
                f"candidates must be at most as many as each problem has in {directory} "
                f"({len(seen.candidates)} of {problem}) but got {candidates}"
            )
        measured.append(measure_problem(seen, rule, candidates, rng))
    return TrainingExamples(
        directory,
        tuple(trace.problems),
        tuple(seen.content_hash for seen in trace.problems.values()),
        _texts(trace, source),
        trace.hidden_states,
        tuple(measured),
    )


def measure_problem(
    seen: ProblemTrace, rule: SelectionRule | None, candidates: int | None, rng: np.random.Generator
) -> MeasuredProblem:
    """Measurements of one labelled problem.

    Args:
        seen: trace of the problem, with labels.
        rule: selection rule of the gains; None for no gains.
        candidates: number of candidates to use, the first ones; None for all.
        rng: source of the permutations of tests behind the gains.
    """
    assert seen.correct is not None
    correct = seen.correct[:candidates]
    distinct = DistinctPrograms.among(seen.candidates)
    votes = votes_of(
        seen.verdicts, DistinctPrograms(distinct.representatives, distinct.inverse[:candidates])
    )
    quality = single_test_quality(votes, correct)
    return MeasuredProblem(
        int(correct.sum()),
        len(correct),
        len(seen.tests),
        quality.false_positive_rate,
        quality.false_negative_rate,
        {} if rule is None else _gains(votes, len(seen.tests), correct, rule, rng),
    )


def _gains(
    votes: Votes, generated: int, correct: NDArray[np.bool_], rule: SelectionRule, rng: np.random.Generator
) -> dict[int, float]:
    counts = [count for count in _GAIN_COUNTS if count <= generated]
    curve = accuracy_curve(
        votes, generated, correct, rule, [0, *counts], permutations=_PERMUTATIONS, rng=rng
    )
    return dict(zip(counts, (curve[1:] - curve[0]).tolist(), strict=True))


def _texts(trace: Trace, source: str | None) -> tuple[str, ...] | None:
    """Prompts of the run's problems, read from their source."""
    if source is not None:
        return _prompts(trace, source)
    if trace.problem_source is None:
        return None
    try:
        return _prompts(trace, trace.problem_source)
    except UserError:
        return None  # A run may be shared without the texts of its problems.


def _prompts(trace: Trace, source: str) -> tuple[str, ...]:
    problems = load_problems(source, ids=list(trace.problems))
    for problem in problems:
        trace.problem(problem)
    by_id = {problem.id: problem.prompt for problem in problems}
    return tuple(by_id[problem] for problem in trace.problems)
