"""Names of the allocation policies and what each needs, importable without NumPy.

The registry holds the classes; a test holds these names equal to them.
"""

from typing import Literal, get_args

JobPolicyName = Literal["uniform", "proportional", "greedy", "binned", "adaptive"]
"""Type of the names that a job may give."""

PolicyName = Literal[JobPolicyName, "oracle-curves"]
"""Type of all names."""

JOB_POLICIES: tuple[JobPolicyName, ...] = get_args(JobPolicyName)
"""Policies that a job may name: all that do not need true accuracy curves."""

POLICY_NAMES: tuple[PolicyName, ...] = get_args(PolicyName)
"""All policies, in the order of reports."""

PASS_RATE_POLICIES = frozenset({"proportional", "greedy", "binned"})
"""Policies that need predicted pass rates."""

GAIN_MODEL_POLICIES = frozenset({"binned", "adaptive"})
"""Policies that need a gain model, fitted on a finished run."""

CURVE_POLICIES = frozenset({"oracle-curves"})
"""Policies that need the true accuracy curve of each problem."""
