"""Settings of the training data that are made from finished runs."""

from typing import Literal

from pydantic import Field

from testbudget.analysis.settings import AnalysisSettings


class DistillSettings(AnalysisSettings):
    """Filters, sizes and split of training data."""

    judged_by: Literal["auto", "truth", "groups"] = Field(
        default="auto",
        description="what tests are judged by: ground truth, or the output group of the pick with its "
        "p_correct; auto takes the ground truth where a problem has one",
    )
    template: str | None = Field(
        default=None,
        description="prompt template of the tests (default: that of the run's model, else coderm)",
    )
    reformat: bool = Field(
        default=True,
        description="answer with the test alone in one fenced code block instead of the model's whole text",
    )
    drop_duplicates: bool = Field(
        default=True, description="keep one of equal tests of a problem, in all runs together"
    )
    pass_right: bool = Field(default=True, description="keep tests that pass every right candidate")
    reject_wrong: bool = Field(
        default=True,
        description="keep tests that reject a wrong candidate, and the best of a problem first",
    )
    tests_per_problem: int | None = Field(
        default=8, ge=1, description="most tests of a problem; none keeps all"
    )
    pairs_per_problem: int = Field(
        default=8, ge=1, description="most pairs of tests, and of candidates, of a problem"
    )
    min_margin: float = Field(
        default=0.3, gt=0, le=2, description="least difference in quality between the tests of a pair"
    )
    min_probability: float = Field(
        default=0.8, ge=0, le=1, description="least p_correct of a pick whose output group judges tests"
    )
    near_duplicate: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="share of common word triples from which two prompts count as near-duplicates",
    )
    eval_share: float = Field(default=0.2, ge=0, lt=1, description="share of problems to evaluate on")
    seed: int = Field(default=0, ge=0, description="seed of the split")
