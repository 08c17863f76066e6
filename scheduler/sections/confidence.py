"""Section of a job file on the probability that a pick is correct."""

from pathlib import Path

from pydantic import Field

from testbudget.scheduler.sections.base import JobSection


class ConfidenceSection(JobSection):
    """Estimate of p_correct, the probability that a pick is correct."""

    abstain_below: float = Field(
        0, ge=0, le=1, description="picks with a lower p_correct are marked as abstained"
    )
    fit_from: list[Path] | None = Field(
        None,
        min_length=1,
        description="finished runs with labels to fit the confidence models on (default: shipped models)",
    )
