"""A finished run as a value of the public Python API."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from testbudget.analysis.summary import RunSummary
    from testbudget.analysis.view.finished_run import FinishedRun
    from testbudget.frames import TableName
    from testbudget.scheduler.job import Job
    from testbudget.scheduler.picks import Pick
    from testbudget.traces.pair_reasons import PairReasons
    from testbudget.traces.trace import Trace


@dataclass(frozen=True)
class Run:
    """A finished run. What is read from its files is read on first use.

    Attributes:
        directory: run directory.

    Example:
        >>> run = load("examples/mbpp")
        >>> len(run.picks)
        208
        >>> run.table("votes").num_rows
        12688
    """

    directory: Path

    @functools.cached_property
    def job(self) -> "Job":
        """Job as resolved."""
        from testbudget.scheduler.job_file import load_job

        return load_job(self.directory / "job.yaml")

    @functools.cached_property
    def trace(self) -> "Trace":
        """Candidates, tests and verdicts of every problem.

        Raises:
            UserError: the directory is not a finished run.
        """
        from testbudget.traces.tables import read_trace

        return read_trace(self.directory)

    @functools.cached_property
    def reasons(self) -> "Mapping[str, PairReasons]":
        """Reasons of the verdicts by problem id; empty if the run has none."""
        from testbudget.traces.reason_tables import read_reasons

        return read_reasons(self.directory)

    @functools.cached_property
    def finished(self) -> "FinishedRun":
        """All that the page of the run shows.

        Raises:
            UserError: the directory is not a finished run.
        """
        from testbudget.analysis.view.finished_run import read_finished_run

        return read_finished_run(self.directory)

    @property
    def picks(self) -> "tuple[Pick, ...]":
        """Pick of each problem, in the order of the problems."""
        return tuple(self.finished.picks.values())

    @functools.cached_property
    def summary(self) -> "RunSummary":
        """Figures of the run: accuracy, estimates without labels, costs, verdicts."""
        from testbudget.analysis.summary import summarise_run

        return summarise_run(self.finished)

    def table(self, name: "TableName") -> "pa.Table":
        """A table of the run; docs/python.md lists the columns.

        Args:
            name: ``problems``, ``candidates``, ``tests``, ``votes`` (a row for each pair of a candidate and
                a test) or ``spending`` (a row for each grant).

        Raises:
            UserError: there is no such table, or the directory is not a finished run.
        """
        from testbudget.frames import run_table

        return run_table(self.finished, name)

    def to_pandas(self, name: "TableName" = "problems") -> "pd.DataFrame":
        """A table of the run as a data frame of pandas; see :meth:`table`.

        Raises:
            UserError: pandas is not installed, or as :meth:`table`.
        """
        from testbudget.rewards.errors import require_extra

        with require_extra("pandas", "to_pandas"):
            import pandas as pd  # noqa: F401 - pyarrow's own error names no extra

        return self.table(name).to_pandas()

    def export(self, out: str | Path, *, least_p_correct: float = 0.0, with_abstained: bool = False) -> int:
        """Write the picked programs: a file of rows if the name ends in ``.jsonl``, otherwise a folder.

        Args:
            out: file or folder; must not exist.
            least_p_correct: programs below it are left out.
            with_abstained: True to write the programs of abstained picks too.

        Returns:
            Number of programs.

        Raises:
            UserError: the place cannot be written to, or nothing is left to write.
        """
        from testbudget.exports import export_picks

        return export_picks(
            self.directory, Path(out), least_p_correct=least_p_correct, with_abstained=with_abstained
        )
