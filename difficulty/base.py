"""Interface of prediction methods, which learn one number in [0, 1] per problem from other problems."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from testbudget.rewards.errors import UserError
from testbudget.traces.hidden_states import HiddenStates

MIN_RATE, MAX_RATE = 0.01, 0.99
"""Bounds of a predicted mean: no prediction is certain, and policies may divide by it."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictorInputs:
    """Hidden states and prompts: all that is known about problems before their first test.

    Attributes:
        states: float32 (problems, features), hidden states of one or several layers side by side; zero
            features if there are none.
        texts: prompts, one per problem; empty if they are not available.

    Raises:
        UserError: the states have another shape or are not finite, or the number of texts differs.
    """

    states: NDArray[np.float32]
    texts: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.states.ndim != 2:
            raise UserError(
                f"hidden states must be a table of problems x features but have shape {self.states.shape}"
            )
        if not np.isfinite(self.states).all():
            raise UserError("hidden states must be finite numbers but some are not")
        if len(self.texts) not in {0, len(self.states)}:
            raise UserError(
                "there must be one text for each problem or none "
                f"but got {len(self.texts)} texts and {len(self.states)} problems"
            )

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Inputs of the selected problems."""
        chosen = np.arange(len(self))[rows].tolist()
        return type(self)(self.states[rows], [self.texts[row] for row in chosen] if self.texts else ())


def inputs_of_layers(
    states: HiddenStates, layers: Sequence[int], texts: Sequence[str] = ()
) -> PredictorInputs:
    """Hidden states of the layers side by side, with the texts of the problems.

    Raises:
        UserError: a layer is missing.
    """
    chosen = states.of_layers(layers).states
    return PredictorInputs(chosen.reshape(len(chosen), -1).astype(np.float32), texts)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Predicted mean and standard deviation of each problem's value.

    Attributes:
        mean: float64 (problems,), in [``MIN_RATE``, ``MAX_RATE``].
        deviation: float64 (problems,), standard deviation of the value that infinitely many samples would
            give; 0 where a method does not estimate it.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.mean)


def single_threaded() -> AbstractContextManager[object]:
    """Limit linear algebra in this process to one thread, as a context manager.

    The matrices are small, so a second thread saves little on idle cores. On busy cores every operation
    waits for the second thread, which triples the time.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


class FittedMethod(ABC):
    """Result of fitting a method on some problems."""

    @abstractmethod
    def predict(self, inputs: PredictorInputs) -> Prediction:
        """Predict each problem independently of the other problems in ``inputs``.

        Raises:
            UserError: the inputs do not fit those of the training.
        """


class StorableFit(FittedMethod):
    """Fitted method that a model file can hold."""

    @abstractmethod
    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Named arrays that ``from_arrays`` reads."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """Inverse of ``to_arrays`` up to float32 precision.

        Raises:
            KeyError: an array is missing.
        """


class PredictionMethod(ABC):
    """Method that learns one target from hidden states or texts. It keeps no state between two fits.

    A subclass supplies ``name`` and ``_fit``. It overrides ``_fit_each`` as well if it fits many models
    faster together than one by one. A new method is registered in ``methods.py``.
    """

    name: ClassVar[str]
    """Name in reports and model cards."""

    def fit(
        self,
        inputs: PredictorInputs,
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
        *,
        seed: int,
    ) -> FittedMethod:
        """Fit on distinct problems.

        Args:
            inputs: inputs of the problems.
            values: float64 (problems,), to be predicted, in [0, 1].
            weights: float64 (problems,), number of samples behind each value.
            seed: any integer; equal seeds and problems give equal results.

        Raises:
            UserError: the values or weights are out of range, or a method that reads texts gets none.
        """
        return self.fit_each(inputs, values, weights, [np.arange(len(inputs))], seed=seed)[0]

    def fit_each(
        self,
        inputs: PredictorInputs,
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
        parts: Sequence[NDArray[np.intp]],
        *,
        seed: int,
    ) -> list[FittedMethod]:
        """Fit once on each part of the problems.

        Args:
            inputs, values, weights: of all problems, as for ``fit``.
            parts: row numbers of the problems of each fit, intp (problems of the part,).
            seed: as for ``fit``.

        Raises:
            UserError: as for ``fit``.
        """
        check_training(inputs, values, weights)
        with single_threaded():
            return self._fit_each(inputs, values, weights, parts, seed % 2**32)

    def _fit_each(
        self,
        inputs: PredictorInputs,
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
        parts: Sequence[NDArray[np.intp]],
        seed: int,
    ) -> list[FittedMethod]:
        return [self._fit(inputs[part], values[part], weights[part], seed) for part in parts]

    @abstractmethod
    def _fit(
        self, inputs: PredictorInputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> FittedMethod:
        """Fit on checked values; ``seed`` has 32 bits, as scikit-learn requires."""


def check_training(
    inputs: PredictorInputs, values: NDArray[np.float64], weights: NDArray[np.float64]
) -> None:
    """Check the arguments of ``PredictionMethod.fit``.

    Raises:
        UserError: there is no problem, the lengths differ, or a value or weight is out of range.
    """
    if not len(values) or not len(inputs) == len(values) == len(weights):
        raise UserError(
            "training needs at least one problem, and a value and a sample count for each, "
            f"but got {len(inputs)} problems, {len(values)} values and {len(weights)} counts"
        )
    for value in values[~((values >= 0) & (values <= 1))][:1]:
        raise UserError(f"a value to learn must lie in [0, 1] but got {value}")
    for weight in weights[~((weights > 0) & np.isfinite(weights))][:1]:
        raise UserError(f"a value to learn must rest on a positive number of samples but got {weight}")
