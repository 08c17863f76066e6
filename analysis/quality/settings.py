"""Settings of a report on the quality of tests."""

from pydantic import Field

from testbudget.analysis.settings import AnalysisSettings
from testbudget.scheduler.job_names import SelectionField

TOGETHER = (1, 2, 5, 10, 20, 50, 100)
"""Numbers of tests of a problem that are judged together, as far as the runs hold them."""


class QualitySettings(AnalysisSettings):
    """Rule and sizes of a report on the quality of tests."""

    selection: SelectionField = Field(
        default="majority", description="rule by which several tests together accept candidates"
    )
    together: tuple[int, ...] = Field(
        default=TOGETHER, description="numbers of tests of a problem that are judged together"
    )
    permutations: int = Field(
        default=10, ge=1, description="random permutations of each problem's tests to average over"
    )
    seed: int = Field(default=0, ge=0, description="seed of permutations and intervals")
