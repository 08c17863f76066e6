"""Tables of a large run, written problem by problem in row groups, in memory for one group."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from testbudget.rewards.outputs import RecordedOutputs
from testbudget.traces.output_tables import OUTPUT_TABLES, REPEATED, tables_of_outputs
from testbudget.traces.pair_reasons import PairReasons
from testbudget.traces.reason_tables import REASONS_TABLE, table_of_reasons
from testbudget.traces.table_writer import TableWriter
from testbudget.traces.tables import table_writer, tables_of
from testbudget.traces.trace import Trace

_OF_TRACE = ("problems", "candidates", "tests", "votes", "written_inputs", REASONS_TABLE)


class TraceWriter:
    """Tables of a run's problems. A context manager: all tables are in their places at the end.

    If the block raises, no table has changed. A killed writer leaves files that the next one overwrites.

    Args:
        directory: the run directory.
    """

    def __init__(self, directory: Path) -> None:
        self._writers: dict[str, TableWriter] = {
            name: table_writer(directory / f"{name}.parquet") for name in _OF_TRACE
        } | {
            name: table_writer(directory / f"{name}.parquet", dictionary=REPEATED) for name in OUTPUT_TABLES
        }
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for writer in self._writers.values():
            self._stack.enter_context(writer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(
        self,
        part: Trace,
        outputs_by_problem: Mapping[str, RecordedOutputs],
        reasons_by_problem: Mapping[str, PairReasons],
    ) -> None:
        """Write some problems as a row group of each table. All parts of a run have the same columns.

        Args:
            part: the problems; its directory is not used.
            outputs_by_problem: recorded outputs of those that have any.
            reasons_by_problem: reasons of those that have any.

        Raises:
            OSError: a file cannot be written.
        """
        tables = tables_of(part) | tables_of_outputs(outputs_by_problem.items())
        reasons = table_of_reasons(reasons_by_problem.items())
        if reasons is not None:
            tables[REASONS_TABLE] = reasons
        for name, table in tables.items():
            self._writers[name].add(table)
