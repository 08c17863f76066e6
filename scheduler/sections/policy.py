"""Section of a job file on its allocation policy."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from testbudget.scheduler.job_names import PolicyField, policy_needs
from testbudget.scheduler.sections.base import JobSection


class PolicySection(JobSection):
    """Allocation policy, and bounds on the number of tests of a problem."""

    name: PolicyField = Field("adaptive", description="allocation policy")
    gain_model_from: Path | None = Field(
        None, description="finished run with labels that the gain model of binned is fitted on"
    )
    change_from: list[Path] | None = Field(
        None,
        min_length=1,
        description="finished runs, labels or not, that p_change is fitted on, which adaptive weighs "
        "(default: shipped weights)",
    )
    min_tests: int = Field(0, ge=0, description="number of tests that every problem gets first")
    max_tests: int | None = Field(
        None, ge=1, description="maximum number of tests of a problem (default: no limit)"
    )
    window: int | None = Field(
        None,
        ge=1,
        description="maximum number of tests granted and not told to the policy (default: 16 per "
        "concurrent request, at least one per problem; none if static and nothing is metered)",
    )
    quantum: int | None = Field(
        None,
        ge=1,
        description="number of tests told between two decisions (default: a quarter of the concurrent "
        "requests)",
    )
    stop_when_harmful: bool = Field(
        True,
        description="close a problem once more tests are more likely to make its pick wrong than right; "
        "checked after 5, 9, 16, 29, 52, ... tests",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        needs = policy_needs(self.name)
        if "curves" in needs:
            raise ValueError(f"name {self.name} needs true accuracy curves, which no run has")
        if "gain_models" in needs and self.gain_model_from is None:
            raise ValueError(f"name {self.name} needs gain_model_from, a finished run, but there is none")
        if self.window is not None and self.quantum is not None and self.window < self.quantum:
            raise ValueError(f"window must be at least quantum ({self.quantum}) but got {self.window}")
        if self.max_tests is not None and self.max_tests < self.min_tests:
            raise ValueError(
                f"max_tests must be at least min_tests ({self.min_tests}) but got {self.max_tests}"
            )
        return self
