"""Names of the allocation policies and what each needs, for job files; importing them takes no NumPy."""

from typing import TYPE_CHECKING, Literal

JOB_POLICIES: tuple[str, ...] = ("uniform", "proportional", "greedy", "binned", "adaptive")
"""Policies that a job can name: all but those that need true curves."""

ALL_POLICIES: tuple[str, ...] = (*JOB_POLICIES, "oracle-curves")
"""All names that ``registry.create_policy`` knows, in the order of its table."""

PASS_RATE_POLICIES = frozenset({"proportional", "greedy", "binned"})
"""Policies with ``uses_pass_rates``: they need a predictor."""

GAIN_MODEL_POLICIES = frozenset({"binned", "adaptive"})
"""Policies with ``uses_gain_models``: they need a finished run to fit a gain model on."""

if TYPE_CHECKING:
    JobPolicy = AnyPolicy = str
else:  # pydantic and the command line read the choices from these types
    JobPolicy = Literal[JOB_POLICIES]
    AnyPolicy = Literal[ALL_POLICIES]
