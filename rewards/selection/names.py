"""Names of the selection rules, importable without NumPy."""

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
    "calibrated",
]
"""Type of the names."""

SELECTION_RULES: tuple[SelectionName, ...] = get_args(SelectionName)
"""All names, in the order of reports."""
