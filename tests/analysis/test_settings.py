"""Settings of an analysis are checked when they are made."""

import pydantic
import pytest

from testbudget.analysis.settings import AnalysisSettings
from testbudget.rewards.errors import UserError


class Settings(AnalysisSettings):
    """One field with a range."""

    trials: int = pydantic.Field(1, ge=1)


def test_a_wrong_value_or_field_is_a_user_error():
    with pytest.raises(UserError, match="trials must be at least 1 but got 0"):
        Settings(trials=0)
    with pytest.raises(UserError, match="trial is not a known field"):
        Settings(trial=1)


def test_settings_are_frozen():
    with pytest.raises(pydantic.ValidationError):
        Settings().trials = 2
