"""Base class of the settings of an analysis: fields with types, ranges and descriptions."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

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
