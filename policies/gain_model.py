"""Gain models: accuracy after each number of tests, as fitted on finished runs."""

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError

_VERSION = 2  # of the document of an assignment


@dataclass(frozen=True, slots=True, eq=False)
class DifficultyBins:
    """Mean accuracy curves of problems with similar predicted pass rates.

    Attributes:
        edges: float64 (bins - 1,), ascending pass rates. A pass rate on an edge belongs to the bin above.
        accuracy: float64 (bins, tests + 1), mean accuracy of the pick after m tests of each problem.
    """

    edges: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    def bin_of(self, pass_rates: NDArray[np.floating]) -> NDArray[np.intp]:
        """Bin number of each predicted pass rate, intp (problems,)."""
        return np.searchsorted(self.edges, pass_rates, side="right")

    def to_fields(self) -> dict[str, Any]:
        """Plain lists by name, for JSON."""
        return {"edges": self.edges.tolist(), "accuracy": self.accuracy.tolist()}

    @classmethod
    def from_fields(cls, fields: Any) -> Self:
        """Bins from what :meth:`to_fields` returned.

        Raises:
            UserError: a field is missing or has wrong numbers.
        """
        bins = cls(_floats(fields, "edges", 1), _floats(fields, "accuracy", 2))
        _require(
            len(bins.accuracy) == len(bins.edges) + 1 and bool((np.diff(bins.edges) > 0).all()),
            f"bins must have ascending edges, one fewer than curves, but have {bins.edges.tolist()} for "
            f"{len(bins.accuracy)} curves",
        )
        return bins


@dataclass(frozen=True, slots=True, eq=False)
class GainModel:
    """Accuracy by number of tests, fitted on the problems of a finished run under one selection rule.

    Attributes:
        selection: name of the rule.
        accuracy: float64 (tests + 1,), mean accuracy of the pick after m tests of each problem.
        bins: accuracy by predicted pass rate; None if pass rates were not predicted.
    """

    selection: str
    accuracy: NDArray[np.float64]
    bins: DifficultyBins | None = None

    def to_fields(self) -> dict[str, Any]:
        """Plain numbers, lists and texts by name, for JSON."""
        return {
            "selection": self.selection,
            "accuracy": self.accuracy.tolist(),
            "bins": self.bins and self.bins.to_fields(),
        }

    @classmethod
    def from_fields(cls, fields: Any) -> Self:
        """A gain model from what :meth:`to_fields` returned.

        Raises:
            UserError: a field is missing or has wrong numbers.
        """
        bins = _field(fields, "bins")
        return cls(
            _text(fields, "selection"),
            _floats(fields, "accuracy", 1),
            None if bins is None else DifficultyBins.from_fields(bins),
        )


@dataclass(frozen=True, slots=True, eq=False)
class GainModelAssignment:
    """The gain model of each problem, fitted without that problem.

    Attributes:
        gain_models: at least one.
        gain_model_of: intp (problems,), positions in ``gain_models``.
    """

    gain_models: tuple[GainModel, ...]
    gain_model_of: NDArray[np.intp]

    @classmethod
    def shared(cls, gain_model: GainModel, problems: int) -> Self:
        """One gain model for all problems, fitted on none of them."""
        return cls((gain_model,), np.zeros(problems, np.intp))

    def to_json(self) -> str:
        """A versioned document, JSON text. Floats keep all their digits."""
        return json.dumps(
            {
                "version": _VERSION,
                "gain_models": [one.to_fields() for one in self.gain_models],
                "gain_model_of": self.gain_model_of.tolist(),
            },
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """An assignment from the text of :meth:`to_json`.

        Raises:
            UserError: the text is no such document, or one of another version.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise UserError(f"gain models must be a JSON document but are not: {error}") from None
        version = _field(document, "version")
        _require(version == _VERSION, f"version must be {_VERSION} but is {version!r}: fit them anew")
        listed = _field(document, "gain_models")
        _require(
            isinstance(listed, list) and len(listed) > 0,
            f"gain_models must be a list with at least one model but is {listed!r:.60}",
        )
        gain_model_of = _integers(document, "gain_model_of")
        _require(
            bool(((gain_model_of >= 0) & (gain_model_of < len(listed))).all()),
            f"gain_model_of must be positions of {len(listed)} gain models but holds others",
        )
        return cls(tuple(map(GainModel.from_fields, listed)), gain_model_of)


def _field(fields: Any, name: str) -> Any:
    _require(isinstance(fields, dict) and name in fields, f"{name} is required but it is missing")
    return fields[name]


def _text(fields: Any, name: str) -> str:
    value = _field(fields, name)
    _require(isinstance(value, str), f"{name} must be a text but is {value!r:.60}")
    return str(value)


def _floats(fields: Any, name: str, dimensions: int) -> NDArray[np.float64]:
    return _array(fields, name, "iuf", dimensions).astype(np.float64)


def _integers(fields: Any, name: str) -> NDArray[np.intp]:
    return _array(fields, name, "iu", 1).astype(np.intp)


def _array(fields: Any, name: str, kinds: str, dimensions: int) -> NDArray[Any]:
    """A list of numbers as an array; ``kinds`` are the kinds of NumPy types that it may have."""
    value = _field(fields, name)
    try:
        array = np.array(value)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    numeric = array.size == 0 or (array.dtype.kind in kinds and bool(np.isfinite(array).all()))
    if array.ndim != dimensions or not numeric:
        kind, plural = "finite" if "f" in kinds else "whole", "s" * (dimensions > 1)
        raise _wrong(
            f"{name} must hold {kind} numbers in {dimensions} dimension{plural} but is {value!r:.60}"
        )
    return array


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise _wrong(sentence)


def _wrong(sentence: str) -> UserError:
    return UserError(f"gain models: {sentence}")
