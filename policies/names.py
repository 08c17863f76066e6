"""Names of the allocation policies and what each needs, for job files; importing them takes no NumPy."""

JOB_POLICIES: tuple[str, ...] = ("uniform", "proportional", "greedy", "binned", "adaptive")
"""Policies that a job can name: all of ``registry.POLICY_NAMES`` but those that need true curves."""

PASS_RATE_POLICIES = frozenset({"proportional", "greedy", "binned"})
"""Policies with ``uses_pass_rates``: they need a predictor."""

GAIN_MODEL_POLICIES = frozenset({"binned", "adaptive"})
"""Policies with ``uses_gain_models``: they need a finished run to fit a gain model on."""
