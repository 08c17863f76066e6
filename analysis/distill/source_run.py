"""A finished run as far as training data and the quality of tests need it, read when it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from testbudget.scheduler.fitting.confidence import confidence_models_of
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.picks import Pick, picks
from testbudget.traces.missing_run import missing_run
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import Trace


@dataclass(frozen=True)
class SourceRun:
    """A finished run.

    Attributes:
        name: name in rows and tables.
        directory: run directory.

    Raises:
        UserError: the directory holds no finished run.
    """

    name: str
    directory: Path

    def __post_init__(self) -> None:
        for file in ("candidates.parquet", "job.yaml"):
            if not (self.directory / file).is_file():
                raise missing_run(self.directory, file, "a finished run")

    @cached_property
    def trace(self) -> Trace:
        """Candidates, tests and verdicts."""
        return read_trace(self.directory)

    @cached_property
    def job(self) -> Job:
        """The resolved job."""
        return load_job(self.directory / "job.yaml")

    @cached_property
    def picks(self) -> Mapping[str, Pick]:
        """Picks by problem id, made again with their evidence; takes a while on a large run."""
        outputs, models = read_outputs(self.directory), confidence_models_of(self.directory)
        return {pick.problem: pick for pick in picks(self.job, self.trace, outputs.get, models)}
