"""Section of a job file on its problems."""

import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from testbudget.rewards.errors import UserError, choice_sentence
from testbudget.scheduler.sections.base import JobSection
from testbudget.traces.problem_source import PRESETS, ProblemSource

_SHARD = re.compile(r"([0-9]+)/([0-9]+)")


class ProblemsSection(JobSection):
    """Problems to solve."""

    source: str = Field(
        description="humaneval, a file of rows, a dataset directory, or PRESET:FILE "
        "(docs/bringing_your_own_data.md)"
    )
    preset: str | None = Field(
        None, description=f"form of the rows, one of {', '.join(PRESETS)} (default: by their columns)"
    )
    fields: dict[str, str] = Field(
        default_factory=dict, description="column of the file by field, where the names differ"
    )
    split: str | None = Field(
        None, description="split of a dataset directory (default: the only one, or test)"
    )
    language: str | None = Field(
        None, description="language of the candidates of problems that name none (default: python)"
    )
    ids: list[str] | None = Field(None, description="ids of the problems to take (default: all)")
    limit: int | None = Field(
        None, ge=1, description="number of problems to take, from the first (default: all)"
    )
    shard: str | None = Field(
        None,
        description="part i of n of the problems, i/n with i from 1, for one of n drivers "
        "(docs/sharding.md; default: all)",
    )
    check_ground_truth: bool = Field(
        True, description="refuse problems whose ground truth cannot judge candidates"
    )

    @field_validator("ids", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        """Whole numbers as texts, as ids of rows are read."""
        whole = isinstance(value, list) and all(type(entry) in (str, int) for entry in value)
        return [str(entry) for entry in value] if whole else value

    @field_validator("shard")
    @classmethod
    def _one_of_several(cls, value: str | None) -> str | None:
        match = value and _SHARD.fullmatch(value)
        if value is not None and not (match and 1 <= int(match[1]) <= int(match[2])):
            raise ValueError(f"must be i/n with i from 1 to n, such as 1/4, but got {value}")
        return value

    @model_validator(mode="after")
    def _known_preset(self) -> Self:
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(choice_sentence("preset", self.preset, PRESETS))
        try:
            _ = self.problem_source
        except UserError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def part(self) -> slice:
        """Positions of the problems of the shard among all: every n-th from the i-th on."""
        number, shards = map(int, (self.shard or "1/1").split("/"))
        return slice(number - 1, None, shards)

    @property
    def problem_source(self) -> ProblemSource:
        """Source of the problems with the form and the columns of its rows."""
        return ProblemSource.of(self.source, self.preset, self.fields, self.split, self.language)
