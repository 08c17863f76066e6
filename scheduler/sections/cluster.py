"""Section of a job file on the Ray cluster."""

from pydantic import Field

from testbudget.scheduler.sections.base import JobSection


class ClusterSection(JobSection):
    """Ray cluster."""

    address: str | None = Field(None, description="address of a running cluster (default: start one here)")
    num_cpus: int | None = Field(None, ge=1, description="CPU cores of a cluster started here")
    num_gpus: int | None = Field(None, ge=0, description="GPUs of a cluster started here")
    runner_label: str | None = Field(
        None,
        pattern=r"^[^=]+=[^=]+$",
        description="label KEY=VALUE of the nodes for sandboxes (default: nodes without GPUs; all where "
        "every node has some)",
    )
    reserved_cores: int = Field(
        1, ge=0, description="CPU cores that sandboxes leave free on a node with GPUs, beside the engines'"
    )
    wait_seconds: float | None = Field(
        None,
        gt=0,
        description="time in seconds without any worker of a kind after which the run ends, to be resumed "
        "(default: none)",
    )
