"""Base class of the sections of a job file."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class JobSection(BaseModel):
    """Base class of the sections of a job file. Unknown fields are refused."""

    # Schemas are built when a job is checked, since --help needs none.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _take_no_truth_value_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number is needed: they would be read as 1 and 0."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
            raise ValueError(f"must be a number but got {str(value).lower()}")
        return value


def need_exactly_one(section: JobSection, *names: str) -> None:
    """Check that exactly one of several fields is set.

    Raises:
        ValueError: none or several are set; pydantic makes it the error of the section.
    """
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        known = f"{', '.join(names[:-1])} and {names[-1]}"
        raise ValueError(f"needs exactly one of {known} but got {' and '.join(given) or 'none'}")
