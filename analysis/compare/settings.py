"""Settings of a comparison."""

from pydantic import Field

from testbudget.analysis.settings import SimulationSettings
from testbudget.rewards.selection.names import SelectionName
from testbudget.scheduler.job_names import AnyPolicyField, SelectionField

DEFAULT_CAPS = (1, 2, 3, 5, 8, 12, 20)
"""Default caps in tests per problem."""

DEFAULT_PREDICTORS = ("learned", "oracle")
"""Default predictors."""

STATIC_RULES: tuple[SelectionName, SelectionName] = ("majority", "consensus")
"""Rules of the static reference: equal budgets with the more accurate one."""


class CompareSettings(SimulationSettings):
    """Rules, policies, predictors and caps to compare.

    Equal budgets (``uniform``) are compared in any case, with every rule and with ``STATIC_RULES``.
    """

    policies: tuple[AnyPolicyField, ...] | None = Field(
        default=None, description="allocation policies beside uniform (default: all that the run allows)"
    )
    selections: tuple[SelectionField, ...] = Field(
        default=(*STATIC_RULES, "calibrated"), description="selection rules"
    )
    predictors: tuple[str, ...] | None = Field(
        default=None,
        description="predictors, each for every policy that uses pass rates (default: "
        f"{' and '.join(DEFAULT_PREDICTORS)}, as far as the run allows)",
    )
    tests_per_problem: tuple[float, ...] | None = Field(
        default=None,
        description="caps, as mean numbers of tests per problem (default: those of "
        f"{', '.join(map(str, DEFAULT_CAPS))} that the run has tests for)",
    )
    wanted: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="accuracy wanted, in (0, 1]: the smallest cap that each combination reaches it with is "
        "shown, with its interval (without labels: agreement)",
    )
    permutations: int = Field(
        default=20, ge=1, description="random permutations of each problem's tests to average over"
    )
    z: float | None = Field(
        default=None,
        ge=0,
        description="elimination threshold z (default: 1.65; 2.0 for rules that use outputs)",
    )
    seed: int = Field(
        default=0, ge=0, description="seed of permutations, noise, folds, policies and intervals"
    )
