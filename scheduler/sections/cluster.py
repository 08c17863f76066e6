"""Section of a job file on the Ray cluster."""

from pydantic import Field

from testbudget.scheduler.sections.base import JobSection


class ClusterSection(JobSection):
    """Ray cluster."""

    address: str | None = Field(None, description="address of a running cluster (default: start one here)")
    num_cpus: int | None = Field(None, ge=1, description="CPU cores of a cluster started here")
    num_gpus: int | None = Field(None, ge=0, description="GPUs of a cluster started here")
