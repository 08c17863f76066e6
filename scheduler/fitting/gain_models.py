"""Gain models fitted on finished runs, cross-fitted by problem."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModelAssignment
from testbudget.rewards.confidence.model import ConfidenceModels
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.rewards.seeds import hash_order, random_folds, training_positions
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.job import Job
from testbudget.traces.files import write_text
from testbudget.traces.learning_curves import (
    LearningCurve,
    RecordedTests,
    compute_learning_curves,
    permute_tests,
    random_permutations,
)
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import ReadTrace
from testbudget.traces.trace import Trace, correct_labels

_FILE = "gain_models.json"
_FOLDS = 10
_PERMUTATIONS = 20
_BINS = 5


@dataclass(frozen=True, slots=True, eq=False)
class GainObservations:
    """Accuracy after each number of tests, in several permutations of the problems' tests.

    Attributes:
        selection: name of the selection rule.
        accuracy: float64 (permutations, problems, tests + 1), accuracy of the pick; a problem with fewer
            tests keeps its last value.
        tests: intp (problems,), number of tests of each problem.
    """

    selection: str
    accuracy: NDArray[np.float64]
    tests: NDArray[np.intp]

    @classmethod
    def of(cls, curves: Sequence[Sequence[LearningCurve]], selection: str) -> Self:
        """Observations from learning curves of the same problems.

        Args:
            curves: learning curves by permutation, then by problem.
            selection: name of the selection rule.

        Raises:
            UserError: no problem has 2 tests, so the gain of more tests is unknown.
        """
        tests = np.array([len(curve.accuracy) - 1 for curve in curves[0]])
        if tests.max() < 2:
            raise UserError("a gain model needs problems with at least 2 tests each but got none")
        accuracy = np.empty((len(curves), len(tests), tests.max() + 1))
        for permutation, of_problems in enumerate(curves):
            for problem, curve in enumerate(of_problems):
                steps = np.minimum(np.arange(tests.max() + 1), tests[problem])
                accuracy[permutation, problem] = curve.accuracy[steps]
        return cls(selection, accuracy, tests)


def fit_gain(
    observations: GainObservations,
    problems: NDArray[np.intp],
    pass_rates: NDArray[np.floating] | None = None,
) -> GainModel:
    """Fit a gain model on some of the observed problems.

    Args:
        observations: observations of these and other problems.
        problems: intp (problems to fit on,), their positions among the observed problems.
        pass_rates: predicted pass rates, floats (observed problems,); None fits no difficulty bins.
    """
    accuracy = observations.accuracy[:, problems]
    bins = None if pass_rates is None else _bins(accuracy.mean(axis=0), pass_rates[problems])
    return GainModel(observations.selection, accuracy.mean(axis=(0, 1)), bins)


def out_of_fold_gain_models(
    observations: GainObservations,
    pass_rates: NDArray[np.floating] | None = None,
    *,
    seed: int,
    folds: int = _FOLDS,
) -> GainModelAssignment:
    """Gain models for the observed problems themselves, each fitted on the other folds.

    Args:
        observations: observations of at least 2 problems.
        pass_rates: pass rates predicted without the problem itself, floats (problems,); None fits no
            difficulty bins.
        seed: seed of the folds.
        folds: largest number of folds.

    Raises:
        UserError: there is only one problem.
    """
    count = len(observations.tests)
    if count < 2:
        raise UserError(f"gain models for a run's own problems need at least 2 problems but got {count}")
    folds = min(folds, count)
    fold_of = random_folds(count, folds, np.random.default_rng(seed))
    gain_models = (
        fit_gain(observations, others, pass_rates) for others in training_positions(fold_of, folds)
    )
    return GainModelAssignment(tuple(gain_models), fold_of)


def _bins(accuracy: NDArray[np.float64], pass_rates: NDArray[np.floating]) -> DifficultyBins:
    """Difficulty bins with equally many problems, except where predicted pass rates are tied."""
    edges = np.unique(np.quantile(pass_rates, np.arange(1, _BINS) / _BINS))
    bins = DifficultyBins(edges, np.empty((0, accuracy.shape[1])))
    members = bins.bin_of(pass_rates)
    filled = np.unique(members)
    curves = np.stack([accuracy[members == number].mean(axis=0) for number in filled])
    return DifficultyBins(edges[filled[1:] - 1], curves)


@dataclass(frozen=True, slots=True, eq=False)
class CrossFittedGainModel:
    """Gain model of a finished run for the problems of another run, which may share problems with it.

    Attributes:
        members: one gain model for each fold, fitted without the problems of that fold.
        whole: gain model fitted on all problems, for new problems.
        fold_of: fold of each training problem, by content hash.
    """

    members: tuple[GainModel, ...]
    whole: GainModel
    fold_of: Mapping[str, int]

    def models_for(self, content_hashes: Iterable[str]) -> GainModelAssignment:
        """Gain models for problems, each fitted without the problem itself."""
        new = len(self.members)
        gain_model_of = [self.fold_of.get(content_hash, new) for content_hash in content_hashes]
        return GainModelAssignment((*self.members, self.whole), np.asarray(gain_model_of, np.intp))

    def to_json(self, **facts: str | int) -> str:
        """The model as JSON text, after further fields, which are not read back."""
        models = json.loads(self.models_for(self.fold_of).to_json())
        return json.dumps({**facts, "content_hashes": list(self.fold_of), "models": models}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The model from the text of :meth:`to_json`.

        Raises:
            UserError: the text is no such model, or one of another version.
        """
        try:
            document = json.loads(text)
            hashes, models = list(map(str, document["content_hashes"])), json.dumps(document["models"])
        except (ValueError, KeyError, TypeError):
            raise UserError(
                "a gain model must be a JSON document with content_hashes and models but is not"
            ) from None
        own = GainModelAssignment.from_json(models)
        *members, whole = own.gain_models
        folds = own.gain_model_of.tolist()
        if len(folds) != len(hashes) or max(folds, default=0) >= len(members):
            raise UserError("a gain model must have a fold for each content hash but has others")
        return cls(tuple(members), whole, dict(zip(hashes, folds, strict=True)))


def gain_model_of_run(
    run: Trace,
    selection: str,
    *,
    confidence_models: ConfidenceModels | None = None,
    permutations: int = _PERMUTATIONS,
    folds: int = _FOLDS,
    seed: int = 0,
) -> CrossFittedGainModel:
    """Fit a cross-fitted gain model on one finished run.

    Difficulty bins are fitted if the run predicted the pass rates of all its problems.

    Args:
        run: finished run with labels.
        selection: name of the selection rule that will pick.
        confidence_models: models of p_correct; None for the default models.
        permutations: number of random permutations of each problem's tests.
        folds: largest number of folds. A problem's fold depends only on the content hashes and the seed, so
            a problem that occurs twice is in a single fold.
        seed: seed of permutations and folds.

    Raises:
        UserError: the rule is unknown, or the run has no labels, a single problem or single tests.
    """
    observations = observe_gains(
        run, selection, confidence_models=confidence_models, permutations=permutations, seed=seed
    )
    rates = np.array([problem.predicted_pass_rate for problem in run.problems.values()])
    pass_rates = None if np.isnan(rates).any() else rates
    hashes = [problem.content_hash for problem in run.problems.values()]
    fold_of = _folds(hashes, folds, seed)
    if len(fold_of) < 2:
        raise UserError(f"a gain model needs at least 2 problems but {run.directory} has {len(fold_of)}")
    own = np.array([fold_of[content_hash] for content_hash in hashes])
    members = [
        fit_gain(observations, others, pass_rates) for others in training_positions(own, int(own.max()) + 1)
    ]
    whole = fit_gain(observations, np.arange(len(hashes)), pass_rates)
    return CrossFittedGainModel(tuple(members), whole, fold_of)


def observe_gains(
    run: Trace,
    selection: str,
    *,
    confidence_models: ConfidenceModels | None = None,
    permutations: int = _PERMUTATIONS,
    seed: int = 0,
) -> GainObservations:
    """Observations of a run's tests in random permutations; arguments as for :func:`gain_model_of_run`.

    Raises:
        UserError: the rule is unknown, or the run has no labels or only single tests.
    """
    rule = selection_rule(selection)
    outputs_by_problem = read_outputs(run.directory)
    recorded = [
        RecordedTests.of(seen, correct, outputs_by_problem.get(problem))
        for (problem, seen), correct in zip(run.problems.items(), correct_labels(run), strict=True)
    ]
    curves = []
    for permutation in range(permutations):
        drawn = random_permutations(recorded, np.random.default_rng([seed, permutation]))
        permuted = permute_tests(recorded, drawn, confidence_models)
        curves.append(compute_learning_curves(recorded, drawn, rule, permuted))
    return GainObservations.of(curves, selection)


def _folds(content_hashes: Sequence[str], folds: int, seed: int) -> dict[str, int]:
    """Fold of each distinct problem by content hash; the sizes of two folds differ by at most 1."""
    return {one: place % folds for place, one in enumerate(hash_order(content_hashes, str(seed)))}


def check_gain_model_run(job: Job, read: ReadTrace) -> None:
    """Check the run of ``policy.gain_model_from`` before anything is spent.

    Raises:
        UserError: it is no finished run, or it has no labels.
    """
    if job.policy.gain_model_from is not None:
        correct_labels(read(job.policy.gain_model_from))


def gain_models_for(
    job: Job,
    problems: Sequence[Problem],
    confidence_models: ConfidenceModels,
    read: ReadTrace,
    directory: Path,
) -> GainModelAssignment | None:
    """Gain models of a run, kept in its directory as ``gain_models.json``.

    They are read from there if they are there already. If the run of ``policy.gain_model_from`` holds gain
    models itself, for the same rule, seed and confidence models, these are taken over. Otherwise gain
    models are fitted on that run.

    Args:
        job: the job.
        problems: problems of the job; each gets a model that was fitted without it.
        confidence_models: models of p_correct, used for both runs.
        read: reads a finished run.
        directory: run directory.

    Returns:
        The gain models; None if the job names no run.

    Raises:
        UserError: no gain model can be fitted on the run, or stored ones cannot be read.
    """
    source = job.policy.gain_model_from
    if source is None:
        return None
    facts: dict[str, str | int] = {
        "selection": job.selection,
        "seed": job.seed,
        "confidence_models": hashlib.sha256(confidence_models.as_json().encode()).hexdigest(),
    }
    if (model := _stored(directory)) is None:
        model = _stored(source, facts)
        if model is None:
            model = gain_model_of_run(
                read(source), job.selection, confidence_models=confidence_models, seed=job.seed
            )
        write_text(model.to_json(**facts), directory / _FILE)
    return model.models_for(problem.content_hash for problem in problems)


def _stored(directory: Path, facts: Mapping[str, str | int] | None = None) -> CrossFittedGainModel | None:
    """The gain model that a run holds; None without one, or if its facts are others than given."""
    path = directory / _FILE
    try:
        text = path.read_text(encoding="utf-8")
        model = CrossFittedGainModel.from_json(text)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"{path} must hold gain models that a run has written: {error}") from None
    return model if facts is None or facts.items() <= json.loads(text).items() else None
