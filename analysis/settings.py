"""Base class of the settings of an analysis: fields with types, ranges and descriptions."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from testbudget.rewards.errors import UserError, validation_sentence


class AnalysisSettings(BaseModel):
    """Settings that are checked when they are made, and frozen.

    The command line builds its flags from the fields and their descriptions.

    Raises:
        UserError: a value out of its range, an unknown name or an unknown field.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UserError(validation_sentence(error)) from None


class SimulationSettings(AnalysisSettings):
    """Settings of an analysis that plays policies on recorded tests."""

    slots: int = Field(
        default=256,
        ge=0,
        description="tests that the simulated run generates at the same time: dynamic policies decide a "
        "quarter of them at a time, with 16 times as many granted ahead (0: in rounds, when all are told)",
    )
