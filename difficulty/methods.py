"""Prediction methods by name; the module of a method, and torch with it, is loaded on first use."""

import importlib

from testbudget.difficulty.base import PredictionMethod, StorableFit
from testbudget.difficulty.names import METHOD_NAMES, STORABLE_METHODS
from testbudget.rewards.errors import UserError

_CLASSES = {
    "probe": ("probe", "ProbeMethod"),
    "linear": ("linear", "LinearMethod"),
    "neighbours": ("baselines", "NeighboursMethod"),
    "text": ("baselines", "TextMethod"),
    "constant": ("baselines", "ConstantMethod"),
}
_STORABLE_CLASSES = {"probe": ("probe", "FittedProbe"), "linear": ("linear", "FittedLinear")}


def prediction_method(name: str) -> PredictionMethod:
    """Prediction method of that name, with default settings.

    Raises:
        UserError: the name is unknown, or the extra ``train`` is not installed.
    """
    if name not in _CLASSES:
        raise UserError(f"method must be one of {', '.join(METHOD_NAMES)} but got {name!r}")
    method: PredictionMethod = _loaded(*_CLASSES[name])()
    return method


def storable_class(name: str) -> type[StorableFit]:
    """Class of the fits of a method, which reads their arrays from a model file.

    Raises:
        UserError: no trained model consists of this method, or the extra ``train`` is not installed.
    """
    check_storable(name)
    found: type[StorableFit] = _loaded(*_STORABLE_CLASSES[name])
    return found


def check_storable(name: str) -> None:
    """Check that a trained model can consist of the method.

    Raises:
        UserError: the method is unknown or cannot be stored.
    """
    if name not in STORABLE_METHODS:
        raise UserError(f"method must be one of {', '.join(STORABLE_METHODS)} but got {name!r}")


def _loaded(module: str, name: str) -> type:
    found: type = getattr(importlib.import_module(f"testbudget.difficulty.{module}"), name)
    return found
