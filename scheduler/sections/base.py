"""Base class of the sections of a job file."""

from pydantic import BaseModel, ConfigDict


class JobSection(BaseModel):
    """Base class of the sections of a job file. Unknown fields are refused."""

    # Schemas are built when a job is checked, since --help needs none.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def need_exactly_one(section: JobSection, *names: str) -> None:
    """Check that exactly one of several fields is set.

    Raises:
        ValueError: none or several are set; pydantic makes it the error of the section.
    """
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        known = f"{', '.join(names[:-1])} and {names[-1]}"
        raise ValueError(f"needs exactly one of {known} but got {' and '.join(given) or 'none'}")
