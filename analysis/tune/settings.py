"""Settings of a study."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from testbudget.analysis.settings import SimulationSettings
from testbudget.analysis.tune.space_file import read_space
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.scheduler.job_names import PolicyField, SelectionField

_Quantity = Literal["tests", "tokens", "executions", "cpu_seconds", "gpu_seconds"]
_SLOW_RULES = ("bayesian", "dawid-skene")

# All rules except those that take minutes to pick after every number of tests.
_USUAL_SELECTIONS = tuple(name for name in SELECTION_RULES if name not in _SLOW_RULES)


class StudySettings(SimulationSettings):
    """Aim and search space of a study.

    Exactly one of ``tests_per_problem``, ``pareto`` and ``wanted`` is given.
    """

    tests_per_problem: float | None = Field(
        default=None,
        description="cap, as a mean number of tests per problem; the most accurate choice is sought",
    )
    pareto: _Quantity | None = Field(
        default=None,
        description="quantity to save; choices and caps are sought that no other beats in both accuracy "
        "and this quantity",
    )
    wanted: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="accuracy wanted, in (0, 1]: of the choices and caps that no other beats in accuracy "
        "and tests, the one with fewest tests that reaches it (without labels: agreement)",
    )
    space: Path | None = Field(
        default=None,
        description="YAML file of values to try, by parameter: a list, or {low: N, high: N} of whole "
        "numbers, with log: true for even ratios",
    )
    storage: str | None = Field(
        default=None,
        description="storage of the study that several machines share: a URL as Optuna takes it "
        "(postgresql://..., sqlite:///FILE), or a journal file (default: study.journal in the folder)",
    )
    study: str = Field(default="tune", min_length=1, description="name of the study in its storage")
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
        aims = (self.tests_per_problem, self.pareto, self.wanted)
        if sum(aim is not None for aim in aims) != 1:
            raise ValueError("a study needs exactly one of tests_per_problem, pareto and wanted")
        return self

    @property
    def saves(self) -> str | None:
        """Quantity to save beside accuracy; None if the cap is given."""
        return self.pareto if self.wanted is None else "tests"

    def identity(self) -> dict[str, Any]:
        """The fields that tell studies apart, as JSON values.

        The number of trials may grow, and another accuracy may be wanted of the same trials.
        """
        fields = self.model_dump(mode="json", exclude={"trials", "storage", "study", "wanted", "space"})
        space = None if self.space is None else read_space(self.space)
        return fields | {"pareto": self.saves, "space": space}
