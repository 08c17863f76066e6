"""Settings of a study."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from testbudget.analysis.settings import SimulationSettings
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.scheduler.job_names import PolicyField, SelectionField

_Quantity = Literal["tests", "tokens", "executions", "cpu_seconds", "gpu_seconds"]
_SLOW_RULES = ("bayesian", "dawid-skene")

# All rules except those that take minutes to pick after every number of tests.
_USUAL_SELECTIONS = tuple(name for name in SELECTION_RULES if name not in _SLOW_RULES)


class StudySettings(SimulationSettings):
    """Aim and search space of a study. Exactly one of ``tests_per_problem`` and ``pareto`` is given."""

    tests_per_problem: float | None = Field(
        default=None,
        description="cap, as a mean number of tests per problem; the most accurate choice is sought",
    )
    pareto: _Quantity | None = Field(
        default=None,
        description="quantity to save; choices and caps are sought that no other beats in both accuracy "
        "and this quantity",
    )
    selections: tuple[SelectionField, ...] = Field(
        default=_USUAL_SELECTIONS,
        description=f"selection rules to try (default: all but {' and '.join(_SLOW_RULES)})",
    )
    policies: tuple[PolicyField, ...] | None = Field(
        default=None,
        description="policies to try beside uniform (default: all that a job for this run can have)",
    )
    trials: int = Field(
        default=60, ge=1, description="choices to try, including earlier trials of the same study"
    )
    permutations: int = Field(
        default=20, ge=1, description="random permutations of each problem's tests to average over"
    )
    held_out: float = Field(default=0.3, gt=0, lt=1, description="share of the problems that are held out")
    seed: int = Field(
        default=0, ge=0, description="seed of the split, permutations, fits, search and intervals"
    )

    @model_validator(mode="after")
    def _one_aim(self) -> Self:
        if (self.tests_per_problem is None) == (self.pareto is None):
            raise ValueError("a study needs exactly one of tests_per_problem and pareto")
        return self

    def identity(self) -> dict[str, Any]:
        """The fields that tell studies apart, as JSON values; all but the number of trials."""
        return self.model_dump(mode="json", exclude={"trials"})
