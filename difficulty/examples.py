"""What a predictor may learn of a problem, and how each of it is measured on a finished run.

Values are learned as shares in [0, 1]; a gain g in [-1, 1] is learned as (g + 1)/2.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError
from testbudget.rewards.quality import accuracy_curve, test_quality
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.votes import Votes
from testbudget.scheduler.job_file import load_job
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.problems import load_problems
from testbudget.traces.records import DistinctPrograms, votes_of
from testbudget.traces.tables import ReadTrace
from testbudget.traces.trace import ProblemTrace, Trace

GAIN_COUNTS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of tests at which the gain over none is learned."""


@dataclass(frozen=True, slots=True)
class MeasuredProblem:
    """What a finished run says of one problem.

    Attributes:
        right, candidates: right ones among the candidates.
        tests: written tests, usable or not.
        false_positive_rate, false_negative_rate: of the tests; NaN where there was nothing to err on.
        gains: by number of tests, as far as the run can tell.
    """

    right: int
    candidates: int
    tests: int
    false_positive_rate: float
    false_negative_rate: float
    gains: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class PredictionTarget:
    """One number a problem.

    Attributes:
        name: what model files and reports call it.
        meaning: in words.
        event: the yes-or-no question behind it, for which a predictor's ranking is scored.
        value: of a problem as measured, NaN where it could not be.
        samples: how many samples stand behind that value.
        signed: whether values lie in [-1, 1] rather than [0, 1].
    """

    name: str
    meaning: str
    event: str
    value: Callable[[MeasuredProblem], float]
    samples: Callable[[MeasuredProblem], int]
    signed: bool = False

    def as_share(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of the target as what a predictor learns, in [0, 1]."""
        return (values + 1) / 2 if self.signed else values

    def from_share(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a predictor says, in [0, 1], as values of the target."""
        return 2 * shares - 1 if self.signed else shares

    def deviation_from_share(self, deviations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviations of what a predictor says, as those of the target."""
        return 2 * deviations if self.signed else deviations


@dataclass(frozen=True, slots=True, eq=False)
class TargetLabels:
    """A target as measured on some problems.

    Attributes:
        values: float64 (problems,), NaN where it could not be measured.
        weights: float64 (problems,), how many samples stand behind each value.
        event: bool (problems,), the answer to the target's yes-or-no question; False where unknown.
    """

    target: PredictionTarget
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    event: NDArray[np.bool_]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which problems it was measured on, shape (problems,)."""
        return np.isfinite(self.values) & (self.weights > 0)

    def __getitem__(self, rows: NDArray[np.bool_]) -> "TargetLabels":
        """Those of some problems."""
        return TargetLabels(self.target, self.values[rows], self.weights[rows], self.event[rows])


def target_labels(target: PredictionTarget, measured: Sequence[MeasuredProblem]) -> TargetLabels:
    """A target of each problem.

    Its event is a positive value, but for rates of error, which are rarely nothing: a value above the
    median of these problems.
    """
    values = np.asarray([target.value(problem) for problem in measured], dtype=np.float64)
    weights = np.asarray([target.samples(problem) for problem in measured], dtype=np.float64)
    threshold = float(np.nanmedian(values)) if target in _ERROR_RATES and np.isfinite(values).any() else 0.0
    return TargetLabels(target, values, weights, values > threshold)


def gain_target(tests: int) -> PredictionTarget:
    """What so many tests add to the accuracy of the pick."""
    return PredictionTarget(
        f"gain_{tests}",
        f"accuracy of the pick by {tests} of its tests, less that of a random candidate",
        "tests help",
        lambda problem: problem.gains.get(tests, math.nan),
        lambda problem: problem.tests,
        signed=True,
    )


PASS_RATE = PredictionTarget(
    "pass_rate",
    "share of right candidates",
    "some candidate is right",
    lambda problem: problem.right / problem.candidates,
    lambda problem: problem.candidates,
)
SOLVABLE = PredictionTarget(
    "solvable",
    "whether some candidate is right",
    "some candidate is right",
    lambda problem: float(problem.right > 0),
    lambda _: 1,
)
FALSE_POSITIVE_RATE = PredictionTarget(
    "false_positive_rate",
    "chance that a test passes a wrong candidate",
    "it is above the median",
    lambda problem: problem.false_positive_rate,
    lambda problem: problem.tests,
)
FALSE_NEGATIVE_RATE = PredictionTarget(
    "false_negative_rate",
    "chance that a test fails a right candidate",
    "it is above the median",
    lambda problem: problem.false_negative_rate,
    lambda problem: problem.tests,
)
_ERROR_RATES = (FALSE_POSITIVE_RATE, FALSE_NEGATIVE_RATE)
TARGETS = {
    target.name: target for target in (PASS_RATE, SOLVABLE, *_ERROR_RATES, *map(gain_target, GAIN_COUNTS))
}
"""All targets by name."""


# ~ """Finished runs as examples to learn from: hidden states, texts, and what was measured."""


_ORDERS = 20  # random orders of a problem's tests behind each of its gains


@dataclass(frozen=True, slots=True)
class TrainingExamples:
    """The problems of one finished run.

    Attributes:
        directory: where the run lies.
        ids, content_hashes: of the problems, in the run's order.
        texts: their prompts; None where the run's source of problems is not at hand.
        hidden_states: one row a problem.
        measured: what the run says of each.
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
    """What can be learned from a finished run.

    Args:
        directory: of the run.
        read: reads it.
        rule: picks, where the gain of tests is measured; None leaves the gains out.
        candidates: only the first so many of each problem; None takes all.
        source: where the problems' texts come from, as in ``load_problems``; None looks where the run's own
            job says.
        seed: of the random orders of tests behind the gains.

    Raises:
        UserError: the run has no labels, no hidden states, or fewer candidates; or the given source
            cannot be read or lacks a problem.
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
    """What a run says of one labelled problem, by its first ``candidates`` candidates.

    Args:
        seen: what the run saw, labels included.
        rule: picks, where the gain of tests is measured; None leaves the gains out.
        candidates: None for all.
        rng: draws the orders of tests behind the gains.
    """
    assert seen.correct is not None
    correct = seen.correct[:candidates]
    distinct = DistinctPrograms.among(seen.candidates)
    votes = votes_of(
        seen.verdicts, DistinctPrograms(distinct.representatives, distinct.inverse[:candidates])
    )
    judged = test_quality(votes, correct)
    return MeasuredProblem(
        int(correct.sum()),
        len(correct),
        len(seen.tests),
        judged.false_positive_rate,
        judged.false_negative_rate,
        {} if rule is None else _gains(votes, len(seen.tests), correct, rule, rng),
    )


def _gains(
    votes: Votes, written: int, correct: NDArray[np.bool_], rule: SelectionRule, rng: np.random.Generator
) -> dict[int, float]:
    counts = [count for count in GAIN_COUNTS if count <= written]
    curve = accuracy_curve(votes, written, correct, rule, [0, *counts], orders=_ORDERS, rng=rng)
    return dict(zip(counts, (curve[1:] - curve[0]).tolist(), strict=True))


def _texts(trace: Trace, source: str | None) -> tuple[str, ...] | None:
    """Prompts of the run's problems, looked up where they came from."""
    if source is not None:
        return _prompts(trace, source)
    try:
        return _prompts(trace, load_job(trace.directory / "job.yaml").problems.source)
    except UserError:
        return None  # a run may be shared without the texts that it was made from


def _prompts(trace: Trace, source: str) -> tuple[str, ...]:
    problems = load_problems(source, ids=list(trace.problems))
    for problem in problems:
        trace.of(problem)
    by_id = {problem.id: problem.prompt for problem in problems}
    return tuple(by_id[problem] for problem in trace.problems)
