"""A sampler whose every draw can be repeated by itself."""

import hashlib
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial


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
