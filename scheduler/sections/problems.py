"""Section of a job file on its problems."""

from pydantic import Field

from testbudget.scheduler.sections.base import JobSection


class ProblemsSection(JobSection):
    """Problems to solve."""

    source: str = Field(description="humaneval, mbpp:FILE, or a JSONL file of problems")
    ids: list[str] | None = Field(None, description="ids of the problems to take (default: all)")
    limit: int | None = Field(
        None, ge=1, description="number of problems to take, from the first (default: all)"
    )
