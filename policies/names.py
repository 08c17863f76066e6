"""Names of the allocation policies and the inputs that they need, importable without NumPy."""

from typing import Literal, get_args

JobPolicyName = Literal["uniform", "proportional", "greedy", "binned", "adaptive"]
"""Type of the names that a job may give: policies that do not need true accuracy curves."""

PolicyName = Literal[JobPolicyName, "oracle-curves"]
"""Type of all names."""

POLICY_NAMES: tuple[PolicyName, ...] = get_args(PolicyName)
"""All policies, in the order of reports."""

# Repeats ``needs`` of the classes, which import NumPy; test_names.py holds them equal.
PASS_RATE_POLICIES = frozenset({"proportional", "greedy", "binned"})
"""Policies that need predicted pass rates."""

GAIN_MODEL_POLICIES = frozenset({"binned"})
"""Policies that need a gain model, fitted on a finished run."""
