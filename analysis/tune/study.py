"""The Optuna study: a file of trials that several processes can share and that can be resumed.

Each draw depends only on a seed of its own, so an interrupted study ends as an uninterrupted one.
"""

import fcntl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from testbudget.analysis.tune.evaluate import PreparedStudy
from testbudget.analysis.tune.results import STUDY_FILE, Trial
from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.space import Choice
from testbudget.rewards.errors import UserError, one_line
from testbudget.rewards.seeds import hashed
from testbudget.traces.records import QUANTITIES

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_P_PRUNED = 0.05  # probability that a choice as good as the best so far is pruned at a check
# Numbers of permutations after which a trial may be pruned. There are few, because each check can prune a
# choice that is not worse, and because SciPy's exact test of 9 to 13 pairs with ties takes seconds.
_CHECKS = (5, 8, 14)

optuna.logging.set_verbosity(optuna.logging.WARNING)


class _RepeatableSampler(optuna.samplers.BaseSampler):  # type: ignore[misc]
    """Optuna's tree-structured Parzen estimator (TPE), one parameter at a time, with a seed for each draw.

    The seed of a draw depends only on the study's seed, the number of the trial and the name of the
    parameter. An interrupted trial and all later trials therefore draw the same values as without
    the interruption.

    Args:
        seed: seed of the study.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002 - Optuna's signature
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Empty search space or sample: no parameters are drawn jointly."""
        return {}

    def sample_relative(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Empty search space or sample: no parameters are drawn jointly."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one parameter, given the finished trials and those that other processes run."""
        seed = hashed(f"{self._seed}:{trial.number}:{param_name}")
        tpe = optuna.samplers.TPESampler(seed=seed, multivariate=False)
        return tpe.sample_independent(study, trial, param_name, param_distribution)


@contextmanager
def open_study(
    folder: Path, settings: StudySettings, identity: dict[str, Any], prepared: PreparedStudy
) -> Iterator[optuna.Study]:
    """Begin or resume a study.

    The study's file in the folder is locked until the context ends, and its last line is removed if its
    write was interrupted. A storage that is shared is not locked: several processes begin and resume its
    studies.

    Args:
        folder: folder of the study, which exists.
        settings: name and storage of the study.
        identity: settings that a resumed study must share.
        prepared: search space, with the choices to try first.

    Raises:
        UserError: another process has the file open, the storage cannot be used, or it holds another
            study under this name.
    """
    with nullcontext() if settings.storage else _locked(folder / STUDY_FILE):
        storage = _storage(folder, settings)
        metrics = ["accuracy"] if settings.saves is None else ["accuracy", settings.saves]
        if settings.study in [one.study_name for one in storage.get_all_studies()]:
            study = optuna.load_study(storage=storage, study_name=settings.study)
        else:
            directions = ["maximize", "minimize"][: len(metrics)]
            study = optuna.create_study(
                storage=storage, study_name=settings.study, directions=directions, load_if_exists=True
            )
        _check_identity(study, identity, settings.storage or str(folder), prepared)
        if study.metric_names != metrics:
            with _experimental_calls():
                study.set_metric_names(metrics)
        _equip(study, settings.seed)
        yield study


def join_study(folder: Path, settings: StudySettings) -> optuna.Study:
    """Load the study that another process has opened, to run trials for it."""
    study = optuna.load_study(storage=_storage(folder, settings), study_name=settings.study)
    _equip(study, settings.seed)
    return study


def interrupted_trials(study: optuna.Study) -> list[optuna.Trial]:
    """Trials that began and did not end; they can be resumed if no other process runs trials."""
    begun = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    return [optuna.Trial(study, trial._trial_id) for trial in begun]


def finished_trials(study: optuna.Study, prepared: PreparedStudy) -> tuple[Trial, ...]:
    """Finished trials of a study, by number."""
    return tuple(
        Trial(
            number=record.number,
            choice=_choice_of(record, prepared),
            complete=record.state is TrialState.COMPLETE,
            accuracy=record.values[0] if record.state is TrialState.COMPLETE else None,
            accuracy_by_permutation=tuple(record.intermediate_values.values()),
            spent={name: record.user_attrs[name] for name in QUANTITIES if name in record.user_attrs},
        )
        for record in study.get_trials(deepcopy=False, states=_FINISHED)
    )


def count_finished(study: optuna.Study) -> int:
    """Number of finished trials of a study."""
    return len(study.get_trials(deepcopy=False, states=_FINISHED))


def run_trial(
    study: optuna.Study,
    prepared: PreparedStudy,
    settings: StudySettings,
    trial: optuna.Trial | None = None,
) -> None:
    """Evaluate a choice on the training problems, one permutation after the other, and record the result.

    A study with one aim prunes a choice that is worse than the best so far by a Wilcoxon signed-rank test
    on the permutations that both were evaluated in. Optuna prunes no study with two aims.

    Args:
        study: the open study.
        prepared: search space and evaluators.
        settings: settings of the study.
        trial: an interrupted trial to resume; None begins one.
    """
    trial = trial or study.ask()
    choice = prepared.space.suggest(trial)
    reported = len(study.get_trials(deepcopy=False)[trial.number].intermediate_values)
    for permutation in range(settings.permutations):
        accuracy = float(prepared.training.evaluate(choice, permutation).accuracy.mean())
        if settings.saves is None and permutation + 1 >= reported:
            if permutation == reported:
                trial.report(accuracy, permutation)
                reported += 1
            if reported in _CHECKS and reported < settings.permutations and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                return
    result = prepared.training.evaluate_all(choice)
    spent = dict(zip(QUANTITIES, result.spent.mean(axis=(0, 1)).tolist(), strict=True))
    for name, amount in spent.items():
        if np.isfinite(amount):
            trial.set_user_attr(name, amount)
    aims = [float(result.accuracy.mean())]
    study.tell(trial, aims if settings.saves is None else [*aims, spent[settings.saves]])


def best_choices(study: optuna.Study, prepared: PreparedStudy, wanted: float | None = None) -> list[Choice]:
    """The most accurate choice, or the Pareto front from the cheapest.

    Args:
        study: the study.
        prepared: search space.
        wanted: accuracy on the training problems for which the cheapest choice alone is returned.

    Raises:
        UserError: no choice has the accuracy that is wanted.
    """
    if len(study.directions) == 1:
        return [_choice_of(study.best_trial, prepared)]
    best = sorted(study.best_trials, key=lambda trial: (trial.values[1], trial.number))
    if wanted is not None:
        enough = [trial for trial in best if trial.values[0] >= wanted]
        if not enough:
            raise UserError(
                f"wanted must be an accuracy that a choice reaches but {wanted:g} is above "
                f"{max(trial.values[0] for trial in best):.3f}, the best of the trials"
            )
        return [_choice_of(enough[0], prepared)]
    front: dict[tuple[float, ...], FrozenTrial] = {}
    for trial in best:
        front.setdefault(tuple(trial.values), trial)
    return [_choice_of(trial, prepared) for trial in front.values()]


def _choice_of(trial: FrozenTrial, prepared: PreparedStudy) -> Choice:
    return prepared.space.suggest(optuna.trial.FixedTrial(trial.params))


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{file.parent} must not be in use but another process tunes in it") from None
        _drop_partial_line(file)
        yield


def _storage(folder: Path, settings: StudySettings) -> BaseStorage:
    """The shared storage, by its URL or its path, or the file in the folder."""
    place = settings.storage or str(folder / STUDY_FILE)
    try:
        if "://" in place:
            return RDBStorage(place)
        return JournalStorage(JournalFileBackend(place))
    except Exception as error:
        raise UserError(f"{place} must be a storage of studies but {one_line(error)}") from None


def _equip(study: optuna.Study, seed: int) -> None:
    """Set sampler and pruner, which Optuna does not store."""
    study.sampler = _RepeatableSampler(seed)
    with _experimental_calls():
        study.pruner = optuna.pruners.WilcoxonPruner(p_threshold=_P_PRUNED, n_startup_steps=_CHECKS[0])


@contextmanager
def _experimental_calls() -> Iterator[None]:
    """Calls of Optuna that it warns of as experimental, without the warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _drop_partial_line(file: Path) -> None:
    """Remove the rest of an interrupted write, which would make the next line unreadable."""
    if file.exists():
        with file.open("rb+") as opened:
            content = opened.read()
            opened.truncate(content.rfind(b"\n") + 1)


def _check_identity(
    study: optuna.Study, identity: dict[str, Any], place: str, prepared: PreparedStudy
) -> None:
    known = study.user_attrs.get("settings")
    if known is None:
        for parameters in prepared.space.first():
            study.enqueue_trial(parameters, skip_if_exists=True)
        study.set_user_attr("settings", identity)
        return
    for name, value in identity.items():
        if known.get(name) != value:
            raise UserError(
                f"{place} holds a study with {name} {_readable(known.get(name))} but got "
                f"{_readable(value)}; another --out or --study begins another study"
            )


def _readable(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
