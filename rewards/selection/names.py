"""Names of the selection rules, for help texts and job files that load no rule."""

from typing import Literal, get_args

SelectionName = Literal[
    "majority",
    "consensus",
    "bayesian",
    "dawid-skene",
    "leave-one-out",
    "outputs",
    "agreement",
    "soft_agreement",
    "batch",
    "auto",
]

SELECTION_RULES: tuple[SelectionName, ...] = get_args(SelectionName)
"""Names that :func:`selection_rule` knows."""
