"""A sampler whose every draw can be repeated by itself."""

import fcntl
import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from testbudget.analysis.tune.evaluate import RuleRuns
from testbudget.analysis.tune.space import Choice, StudySettings
from testbudget.rewards.errors import UserError
from testbudget.traces.records import QUANTITIES


class RepeatableSampler(optuna.samplers.BaseSampler):  # type: ignore[misc]
    """Optuna's tree-structured Parzen estimator (TPE), parameter by parameter, with a seed for each.

    The seed of a draw hangs on the study's, the trial's number and the parameter's name alone, not on what
    the process drew before: a trial that was cut off in the midst of its draws, and all that follow, get
    what they would have got.

    Args:
        seed: of the study.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002 - as Optuna calls it
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Nothing is drawn together."""
        return {}

    def sample_relative(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Nothing is drawn together."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A draw that looks at the trials that have come to an end, and at those that others are at."""
        told = hashlib.sha256(f"{self._seed}:{trial.number}:{param_name}".encode()).digest()
        tpe = optuna.samplers.TPESampler(seed=int.from_bytes(told[:4], "big"), multivariate=False)
        return tpe.sample_independent(study, trial, param_name, param_distribution)


# ~ """The study: an Optuna journal that any number of processes tries choices for, now and later."""


NAME = "tune"
"""Of the study in its journal."""

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

_GIVEN_UP_AT = 0.05  # chance that a choice at least as good as the best so far looks as bad as this
# Orders after which a trial may be given up. Each look is another chance to give up what is not worse, and
# SciPy's exact test of 9 to 13 pairs with ties takes seconds.
_LOOKS = (5, 8, 14)

optuna.logging.set_verbosity(optuna.logging.WARNING)


@contextmanager
def open_study(event_log: Path, identity: dict[str, Any], field: RuleRuns) -> Iterator[optuna.Study]:
    """Begins a study or goes on with one, alone.

    A write that was cut off in the midst of its line is taken out of the journal.

    Args:
        journal: the file, in a folder that exists.
        identity: what must be the same for a study to be gone on with.
        field: gives what is to be tried first.

    Raises:
        UserError: another process is at it, the file is no journal, or of another study.
    """
    with event_log.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"{event_log.parent} must not be in use but another process tunes in it"
            ) from None
        _drop_half_a_line(event_log)
        storage = _storage(event_log)
        names = [one.study_name for one in storage.get_all_studies()]
        if names == [NAME]:
            study = optuna.load_study(storage=storage, study_name=NAME)
        elif names:
            raise UserError(
                f"{event_log} must hold one study named '{NAME}' but it holds {', '.join(names)}"
            )
        else:
            directions = ["maximize"] if identity["pareto"] is None else ["maximize", "minimize"]
            study = optuna.create_study(storage=storage, study_name=NAME, directions=directions)
        _check_identity(study, identity, event_log, field)
        _equip(study, identity["seed"])
        yield study


def load_study(event_log: Path, seed: int) -> optuna.Study:
    """The study that another process has open, to take part in it."""
    study = optuna.load_study(storage=_storage(event_log), study_name=NAME)
    _equip(study, seed)
    return study


def cut_off(study: optuna.Study) -> list[optuna.Trial]:
    """Trials that were begun and not brought to an end, to be gone on with where nobody else is at them."""
    begun = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    return [optuna.Trial(study, trial._trial_id) for trial in begun]


def evaluate_trial(
    study: optuna.Study, field: RuleRuns, settings: StudySettings, trial: optuna.Trial | None = None
) -> None:
    """Tries a choice on the training problems, one order after the other, and tells the study.

    With a single aim, a choice that is clearly worse than the best so far is given up: a Wilcoxon
    signed-rank test on the orders that both were tried in. Optuna prunes no studies with two aims.

    One process alone tries the same choices whether it was interrupted or not.

    Args:
        study: open.
        field: of the study.
        settings: of the study.
        trial: one that was cut off; None begins another.
    """
    trial = trial or study.ask()
    choice = field.space.suggest(trial)
    reported = len(study.get_trials(deepcopy=False)[trial.number].intermediate_values)
    for order in range(settings.orders):
        accuracy = float(field.training.play(choice, order).accuracy.mean())
        if settings.pareto is None and order + 1 >= reported:
            if order == reported:
                trial.report(accuracy, order)
                reported += 1
            if reported in _LOOKS and reported < settings.orders and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                return
    outcome = field.training.play_all(choice)
    spent = dict(zip(QUANTITIES, outcome.spent.mean(axis=(0, 1)).tolist(), strict=True))
    for name, amount in spent.items():
        if np.isfinite(amount):
            trial.set_user_attr(name, amount)
    aims = [float(outcome.accuracy.mean())]
    study.tell(trial, aims if settings.pareto is None else [*aims, spent[settings.pareto]])


def chosen(study: optuna.Study, field: RuleRuns) -> list[Choice]:
    """The most accurate choice, or those that nothing beats, from the cheapest."""
    if len(study.directions) == 1:
        return [choice_of(study.best_trial, field)]
    best = sorted(study.best_trials, key=lambda trial: (trial.values[1], trial.number))
    front: dict[tuple[float, ...], FrozenTrial] = {}
    for trial in best:
        front.setdefault(tuple(trial.values), trial)
    return [choice_of(trial, field) for trial in front.values()]


def choice_of(trial: FrozenTrial, field: RuleRuns) -> Choice:
    """What a trial tried."""
    return field.space.suggest(optuna.trial.FixedTrial(trial.params))


def _storage(event_log: Path) -> JournalStorage:
    try:
        return JournalStorage(JournalFileBackend(str(event_log)))
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{event_log} must be the journal of a study but {error}") from None


def _equip(study: optuna.Study, seed: int) -> None:
    """Optuna keeps neither sampler nor pruner with a study."""
    study.sampler = RepeatableSampler(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.pruner = optuna.pruners.WilcoxonPruner(p_threshold=_GIVEN_UP_AT, n_startup_steps=_LOOKS[0])


def _drop_half_a_line(event_log: Path) -> None:
    """A write that was cut off would spoil the next one."""
    if event_log.exists():
        with event_log.open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)


def _check_identity(
    study: optuna.Study, identity: dict[str, Any], event_log: Path, field: RuleRuns
) -> None:
    known = study.user_attrs.get("settings")
    if known is None:
        for parameters in field.space.first():
            study.enqueue_trial(parameters, skip_if_exists=True)
        study.set_user_attr("settings", identity)
        return
    for name, value in identity.items():
        if known.get(name) != value:
            raise UserError(
                f"{event_log.parent} holds a study with {name} {_shown(known.get(name))} but got "
                f"{_shown(value)}; another --out begins another study"
            )


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
