"""Lessons from recorded tests in many orders: curves, and what the doubt about picks promises."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.curves import envelope_slopes
from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModels
from testbudget.rewards.confidence.model import ConfidenceModels
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.rewards.seeds import hash_order, random_folds, training_positions
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.job import Job
from testbudget.traces.learning_curves import (
    LearningCurve,
    RecordedTests,
    learning_curves,
    permute_tests,
    random_permutations,
)
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import ReadTrace
from testbudget.traces.trace import Trace, correct_labels

GAIN_FOLDS = 10

_COUNTS = (1, 2, 3, 5, 8, 12, 20, 30)
_HORIZON = 8  # tests ahead: one often changes nothing
_BINS = 5


@dataclass(frozen=True, slots=True, eq=False)
class GainObservations:
    """What was seen of problems whose tests were shown in several orders.

    Attributes:
        selection: name of the rule that picked.
        accuracy: float64 (orders, problems, tests + 1), of the pick after so many tests; a problem that has
            fewer stays as it was at its last.
        tests: intp (problems,), how many each has.
        doubts: float64 (orders, problems, tests + 1), the chance then that the pick is wrong, as far as can
            be told without ground truth.
    """

    selection: str
    accuracy: NDArray[np.float64]
    tests: NDArray[np.intp]
    p_wrong: NDArray[np.float64]

    @classmethod
    def of(cls, orders: Sequence[Sequence[LearningCurve]], selection: str) -> Self:
        """Watches courses of the same problems in each order.

        Raises:
            UserError: no problem has two tests, so that nothing can be seen of what more of them do.
        """
        tests = np.array([len(course.accuracy) - 1 for course in orders[0]])
        if tests.max() < 2:
            raise UserError("lessons need problems with at least 2 tests each but got none")
        accuracy, p_wrong = np.empty((2, len(orders), len(tests), tests.max() + 1))
        for order, courses in enumerate(orders):
            for problem, course in enumerate(courses):
                steps = np.minimum(np.arange(tests.max() + 1), tests[problem])
                accuracy[order, problem] = course.accuracy[steps]
                p_wrong[order, problem] = course.p_wrong[steps]
        return cls(selection, accuracy, tests, p_wrong)

    @property
    def counts(self) -> NDArray[np.intp]:
        """Numbers of tests at which doubts can be weighed: there are more tests to gain from."""
        return np.array([count for count in _COUNTS if count < self.tests.max()])


def fit_gain(
    seen: GainObservations, problems: NDArray[np.intp], pass_rates: NDArray[np.floating] | None = None
) -> GainModel:
    """The lesson of some problems.

    Args:
        seen: of these and other problems.
        problems: positions of those to learn from.
        pass_rates: shape (all problems,), predicted ones; None learns no bins.
    """
    accuracy = seen.accuracy[:, problems]
    curve = accuracy.mean(axis=(0, 1))
    counts = seen.counts
    usual, weights = np.zeros((2, len(counts)))
    for number, count in enumerate(counts):
        able = seen.tests[problems] > count
        later = min(count + _HORIZON, accuracy.shape[2] - 1)
        rise = float(envelope_slopes(curve[np.newaxis])[0, count:later].sum())
        if able.any():
            p_wrong = seen.p_wrong[:, problems[able], count]
            usual[number] = p_wrong.mean()
            if able.sum() > 2 and rise > 0 and usual[number] > 0:
                gain = accuracy[:, able, later] - accuracy[:, able, count]
                weights[number] = _certain_slope(p_wrong / usual[number] - 1, gain) / rise
    bins = None if pass_rates is None else _bins(accuracy.mean(axis=0), pass_rates[problems])
    return GainModel(seen.selection, curve, _most(accuracy.mean(axis=0)), counts, usual, weights, bins)


def cross_fit_gain(
    seen: GainObservations,
    pass_rates: NDArray[np.floating] | None = None,
    *,
    seed: int,
    folds: int = GAIN_FOLDS,
) -> GainModels:
    """Lessons for the very problems that were seen, for each from those of the other folds.

    Args:
        seen: of at least two problems.
        pass_rates: shape (problems,), predicted without the problem itself; None learns no bins.
        seed: deals problems out into folds.
        folds: how many, at most.

    Raises:
        UserError: there is only one problem.
    """
    count = len(seen.tests)
    if count < 2:
        raise UserError(f"lessons for a run's own problems need at least 2 problems but got {count}")
    folds = min(folds, count)
    fold_of = random_folds(count, folds, np.random.default_rng(seed))
    gain_models = (fit_gain(seen, others, pass_rates) for others in training_positions(fold_of, folds))
    return GainModels(tuple(gain_models), fold_of)


def _certain_slope(excess: NDArray[np.float64], gain: NDArray[np.float64]) -> float:
    """Least-squares slope of the gain on a signal, less a standard error; 0 where it is not positive.

    A negative slope is not believed: where tests gain little on the whole, a slope of chance is large
    beside it, and would take the tests from exactly those problems whose pick is most doubtful.

    Orders of one problem are no independent cases: the standard error is clustered by problem (Liang and
    Zeger 1986, 'Longitudinal data analysis using generalized linear models').

    Args:
        excess: shape (orders, problems), of the signal over its mean.
        gain: shape (orders, problems).
    """
    variance = float((excess**2).mean())
    if variance == 0:
        return 0.0
    gain = gain - gain.mean()
    slope = float((excess * gain).mean()) / variance
    scores = (excess * (gain - slope * excess)).sum(axis=0) / gain.size
    error = float(np.sqrt((scores**2).sum())) / variance
    return max(slope - error, 0.0)


def _most(accuracy: NDArray[np.float64]) -> int | None:
    """Where mean accuracy is highest, if its fall until the end is more than a standard error.

    At least one test: whether tests do any good is known only by tests.

    Args:
        accuracy: shape (problems, tests + 1).
    """
    peak = 1 + int(accuracy[:, 1:].mean(axis=0).argmax())
    fall = accuracy[:, peak] - accuracy[:, -1]
    certain = fall.mean() > fall.std() / np.sqrt(len(fall))
    return peak if certain else None


def _bins(accuracy: NDArray[np.float64], pass_rates: NDArray[np.floating]) -> DifficultyBins:
    """Bins with equally many problems, as far as these differ in what was predicted of them."""
    edges = np.unique(np.quantile(pass_rates, np.arange(1, _BINS) / _BINS))
    bins = DifficultyBins(edges, np.empty((0, accuracy.shape[1])))
    members = bins.of(pass_rates)
    filled = np.unique(members)
    curves = np.stack([accuracy[members == number].mean(axis=0) for number in filled])
    return DifficultyBins(edges[filled[1:] - 1], curves)


# ~ """Lessons for new jobs: learned from finished runs, kept in a file, given out by problem."""


GAIN_PERMUTATIONS = 20
"""Random orders of each problem's tests to learn from."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossFittedGainModel:
    """What finished runs taught.

    Attributes:
        members: lessons, one a fold, each learned without the problems of its fold.
        whole: the lesson of all problems, for those that were in none.
        fold_of: fold of each problem that was learned from, by content hash.
    """

    members: tuple[GainModel, ...]
    whole: GainModel
    fold_of: Mapping[str, int]

    def models_for(self, content_hashes: Iterable[str]) -> GainModels:
        """Lessons for some problems, none by what was learned on the problem itself."""
        new = len(self.members)
        gain_model_of = [self.fold_of.get(content_hash, new) for content_hash in content_hashes]
        return GainModels((*self.members, self.whole), np.asarray(gain_model_of, np.intp))

    def save(self, path: Path) -> None:
        """Writes a JSON file."""
        fields = {
            "whole": json.loads(self.whole.to_json()),
            "members": [json.loads(member.to_json()) for member in self.members],
            "fold_of": dict(self.fold_of),
        }
        path.write_text(json.dumps(fields), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file that ``save`` wrote.

        Raises:
            UserError: there is none, or it is something else.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            members = tuple(GainModel.from_json(json.dumps(member)) for member in fields["members"])
            whole = GainModel.from_json(json.dumps(fields["whole"]))
            fold_of = {str(content_hash): int(fold) for content_hash, fold in fields["fold_of"].items()}
            if any(not 0 <= fold < len(members) for fold in fold_of.values()):
                raise ValueError(f"folds beyond the {len(members)} lessons")
        except OSError as error:
            raise UserError(f"lessons cannot be read from {path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} must hold lessons from finished runs but {type(error).__name__}: {error}"
            ) from None
        return cls(members, whole, fold_of)


def fit_gain_model(
    run: Trace,
    selection: str,
    *,
    confidence_models: ConfidenceModels | None = None,
    orders: int = GAIN_PERMUTATIONS,
    folds: int = GAIN_FOLDS,
    seed: int = 0,
) -> CrossFittedGainModel:
    """What one finished run teaches under a selection rule.

    Bins are learned where the run predicted pass rates.

    Args:
        run: with labels.
        selection: name of the rule that will pick.
        calibration: says how doubtful a pick is.
        orders: random orders of each problem's tests.
        folds: how many; a problem's fold hangs on its content hash and the seed alone, so that a problem
            that occurs twice is in one.
        seed: of orders and folds.

    Raises:
        UserError: there is no such rule, or the run has no labels, a single problem or single tests.
    """
    seen = observe_gains(run, selection, confidence_models=confidence_models, orders=orders, seed=seed)
    rates = np.array([problem.predicted_pass_rate for problem in run.problems.values()])
    pass_rates = None if np.isnan(rates).any() else rates
    hashes = [problem.content_hash for problem in run.problems.values()]
    fold_of = _folds(hashes, folds, seed)
    if len(fold_of) < 2:
        raise UserError(f"lessons need at least 2 problems but {run.directory} has {len(fold_of)}")
    own = np.array([fold_of[content_hash] for content_hash in hashes])
    members = [fit_gain(seen, others, pass_rates) for others in training_positions(own, int(own.max()) + 1)]
    return CrossFittedGainModel(tuple(members), fit_gain(seen, np.arange(len(hashes)), pass_rates), fold_of)


def observe_gains(
    run: Trace,
    selection: str,
    *,
    confidence_models: ConfidenceModels | None = None,
    orders: int = GAIN_PERMUTATIONS,
    seed: int = 0,
) -> GainObservations:
    """Watches what a run's tests would have shown in random orders.

    Raises:
        UserError: there is no such rule, or the run has no labels or only single tests.
    """
    rule = selection_rule(selection)
    outputs_by_problem = read_outputs(run.directory)
    recordings = [
        RecordedTests.of(seen, correct, outputs_by_problem.get(problem))
        for (problem, seen), correct in zip(run.problems.items(), correct_labels(run), strict=True)
    ]
    watched = []
    for order in range(orders):
        drawn = random_permutations(recordings, np.random.default_rng([seed, order]))
        watched.append(
            learning_curves(recordings, drawn, rule, permute_tests(recordings, drawn, confidence_models))
        )
    return GainObservations.of(watched, selection)


def _folds(content_hashes: Sequence[str], folds: int, seed: int) -> dict[str, int]:
    """Deals distinct problems out evenly, in an order that looks random and is the same everywhere."""
    return {one: place % folds for place, one in enumerate(hash_order(content_hashes, str(seed)))}


# ~ """What a job's policy goes by beside beliefs: lessons of a finished run."""


def check_gain_model_run(job: Job, read: ReadTrace) -> None:
    """Finds a run that teaches nothing before anything is spent.

    Raises:
        UserError: ``policy.train_on`` is no finished run, or has no labels.
    """
    if job.policy.gain_model_from is not None:
        correct_labels(read(job.policy.gain_model_from))


def gain_models_for(
    job: Job, problems: Sequence[Problem], confidence_models: ConfidenceModels, read: ReadTrace
) -> GainModels | None:
    """What ``policy.train_on`` teaches, for each problem without that problem; None where there is none.

    Args:
        job: names the run.
        problems: of the job.
        calibration: says how doubtful picks are, there and in this job.
        read: reads a run.

    Raises:
        UserError: the run cannot be learned from.
    """
    if job.policy.gain_model_from is None:
        return None
    teaching = fit_gain_model(
        read(job.policy.gain_model_from), job.selection, confidence_models=confidence_models, seed=job.seed
    )
    return teaching.models_for(problem.content_hash for problem in problems)
