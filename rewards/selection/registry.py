"""Selection rules by name: built-ins and plug-ins.

A rule is imported when it is asked for, since some need SciPy.
"""

from functools import cache
from importlib import import_module

from testbudget.rewards.plugins import PluginGroup, check_name, plugin
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
    "calibrated": ("calibrated", "Calibrated"),
}
"""Module of ``rewards.selection`` and class of each rule."""


@cache
def selection_rule(name: str) -> SelectionRule:
    """The rule with this name.

    Raises:
        UserError: unknown name, or a plug-in that cannot be used.
    """
    check_name("selection", name, PluginGroup.SELECTION_RULES, SELECTION_RULES)
    rule: SelectionRule
    if name in _CLASSES:
        module, class_name = _CLASSES[name]
        rule = getattr(import_module(f"testbudget.rewards.selection.{module}"), class_name)()
    else:
        rule = plugin(PluginGroup.SELECTION_RULES, name, SelectionRule)()
    return rule
