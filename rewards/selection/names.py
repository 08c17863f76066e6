"""Names of the selection rules, for job files and the command line; importing them takes no NumPy."""

SELECTION_RULES: tuple[str, ...] = (
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
)
"""All names that ``registry.selection_rule`` knows, in the order of its table."""
