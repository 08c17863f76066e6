"""Selection rules by name. A rule is imported when it is asked for, since some need SciPy."""

from functools import cache
from importlib import import_module

from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.names import SELECTION_RULES

_CLASSES = {
    "majority": ("majority", "Majority"),
    "consensus": ("consensus", "Consensus"),
    "bayesian": ("weighted", "Bayesian"),
    "dawid-skene": ("weighted", "DawidSkene"),
    "leave-one-out": ("weighted", "LeaveOneOut"),
    "outputs": ("agreement", "LargestOutputGroup"),
    "agreement": ("agreement", "OutputAgreement"),
    "soft_agreement": ("agreement", "SoftAgreement"),
    "batch": ("agreement", "BatchAgreement"),
    "auto": ("auto", "Auto"),
}
"""Module of ``rewards.selection`` and class of each rule."""


@cache
def selection_rule(name: str) -> SelectionRule:
    """The rule with this name.

    Raises:
        UserError: unknown name.
    """
    if name not in _CLASSES:
        raise UserError(f"selection must be one of {', '.join(SELECTION_RULES)} but got '{name}'")
    module, class_name = _CLASSES[name]
    rule: SelectionRule = getattr(import_module(f"testbudget.rewards.selection.{module}"), class_name)()
    return rule
