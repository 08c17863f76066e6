"""Rules that pick among the candidates of one problem by their votes and by what they do."""

from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.agreement import (
    BatchAgreement,
    OutputAgreement,
    OutputGroups,
    SoftAgreement,
)
from testbudget.rewards.selection.auto import Auto
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.consensus import Consensus
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.selection.weighted import Bayesian, DawidSkene, LeaveOneOut

__all__ = ["SELECTION_RULES", "Consensus", "Majority", "SelectionRule", "selection_rule"]

_RULES: dict[str, SelectionRule] = {
    rule.name: rule
    for rule in (
        Majority(),
        Consensus(),
        Bayesian(),
        DawidSkene(),
        LeaveOneOut(),
        OutputGroups(),
        OutputAgreement(),
        SoftAgreement(),
        BatchAgreement(),
        Auto(),
    )
}

SELECTION_RULES: tuple[str, ...] = tuple(_RULES)
"""Names that :func:`selection_rule` knows."""


def selection_rule(name: str) -> SelectionRule:
    """The rule of that name.

    Raises:
        UserError: when there is none.
    """
    if name not in _RULES:
        raise UserError(f"selection must be one of {', '.join(SELECTION_RULES)} but got '{name}'")
    return _RULES[name]
