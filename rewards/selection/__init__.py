"""Rules that pick among the candidates of one problem by their votes."""

from rewards.errors import UserError
from rewards.selection.base import SelectionRule
from rewards.selection.consensus import Consensus
from rewards.selection.majority import Majority

__all__ = ["SELECTION_RULES", "Consensus", "Majority", "SelectionRule", "selection_rule"]

_RULES: dict[str, SelectionRule] = {rule.name: rule for rule in (Majority(), Consensus())}

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
