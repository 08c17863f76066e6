"""Pass rates predicted from hidden states, before a problem's first test."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from testbudget.difficulty.base import Prediction
from testbudget.difficulty.examples import PASS_RATE
from testbudget.rewards.errors import UserError, require_extra
from testbudget.rewards.problem import Problem
from testbudget.scheduler.job import Job
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.tables import ReadTrace

if TYPE_CHECKING:
    from testbudget.difficulty.card import DifficultyModel

_Predict = Callable[[HiddenStates, Sequence[str], Sequence[str]], Prediction]


class Predictor:
    """Predicted pass rates of a job's problems, each by a model that was fitted without it.

    A model of ``predictor.fit_from`` is fitted when the first problem is predicted.

    Args:
        job: names the model or the runs to fit one on.
        read: reads a finished run.
    """

    def __init__(self, job: Job, read: ReadTrace) -> None:
        self._job = job
        self._read = read
        self._predict: _Predict | None = None

    @classmethod
    def of(cls, job: Job, read: ReadTrace) -> "Predictor | None":
        """The predictor of a job; None without one. Checks it before anything is spent.

        Raises:
            UserError: the model or a training run is missing, or the job does not extract the layers of the
                model.
        """
        if job.predictor is None or job.hidden_states is None:
            return None
        for run in job.predictor.fit_from or []:
            read(run)
        if job.predictor.path is not None:
            needed, given = _model(job.predictor.path).card.layers, job.hidden_states.layers
            if given is not None and set(needed) - set(given):
                raise UserError(
                    f"hidden_states.layers must include those of predictor.path, {needed}, but got {given}"
                )
        return cls(job, read)

    def pass_rates(self, problems: Sequence[Problem], states: HiddenStates) -> NDArray[np.float64]:
        """Predicted pass rates, float64 (problems,).

        Args:
            problems: the problems.
            states: their hidden states, in the same order.

        Raises:
            UserError: the model or a training run cannot be used, or has other hidden states.
        """
        if self._predict is None:
            self._predict = self._loaded(states)
        hashes = [problem.content_hash for problem in problems]
        return self._predict(states, hashes, [problem.prompt for problem in problems]).mean

    def _loaded(self, states: HiddenStates) -> _Predict:
        predictor, section = self._job.predictor, self._job.hidden_states
        assert predictor is not None
        assert section is not None
        if predictor.path is not None:
            return partial(_model(predictor.path).predict, PASS_RATE.name)
        with require_extra("train", "a predictor"):
            from testbudget.difficulty.predictions import fit_pass_rates
        runs = predictor.fit_from or []
        return fit_pass_rates(runs, states, self._read, self._job.seed, section.layers).predict


def _model(directory: Path) -> "DifficultyModel":
    """A trained model; its library is imported here alone, so that a job without a predictor needs none."""
    with require_extra("train", "a predictor"):
        from testbudget.difficulty.card import DifficultyModel
    return DifficultyModel.load(directory)
