"""Parquet tables of a run directory, compressed with zstd.

======================  ======================  ===========================================================
table                   one row for each        written by
======================  ======================  ===========================================================
``problems``            problem                 this module; ``problem_columns`` has hidden states,
                                                their cost, and the texts, which a shared run may lack
``candidates``          candidate               this module
``tests``               generated test          this module
``votes``               executed test           this module
``calls``, ``inputs``,  test, distinct input,   ``output_tables``, if outputs were recorded
``outputs``             distinct output
``written_inputs``      problem for which a     this module, if a model was asked for inputs
                        model wrote inputs
``reasons``             distinct reason of a    ``reason_tables``, if reasons are known
                        test
``grants``, ``work``,   grant, piece of work,   ``run_tables``, except by an imported run
``pools``,              use of workers,
``assessments``         assessment of a pick
======================  ======================  ===========================================================

The metadata of each table hold :data:`SCHEMA_VERSION`. The metadata of ``problems`` also hold the source of
the problems' texts, and the provenance of hidden states as JSON.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError, one_line
from testbudget.rewards.problem import TestKind
from testbudget.traces.missing_run import missing_run
from testbudget.traces.paged_tables import MAX_WHOLE, PagedMapping, PagedTable
from testbudget.traces.problem_columns import (
    extraction_costs,
    hidden_states_in,
    problem_source_of,
    texts_in,
    with_hidden_states,
    with_problem_source,
    with_texts,
)
from testbudget.traces.records import (
    CandidateRecord,
    TestRecord,
    TestStatus,
    VerdictRecord,
    WrittenInputs,
)
from testbudget.traces.table_writer import TableWriter
from testbudget.traces.trace import ProblemTrace, Trace
from testbudget.traces.written_inputs import (
    WRITTEN_INPUTS_SCHEMA,
    written_inputs_in,
    written_inputs_path,
    written_inputs_table,
)

ReadTrace = Callable[[Path], Trace]
"""Type of :func:`read_trace`. Callers may cache it, since a job may name a run in several places."""

SCHEMA_VERSION = 1
"""Version of the tables of a run directory. A table of another version is refused."""

_VERSION_KEY = b"testbudget.schema"
_TABLES = {
    "problems": pa.schema(
        [("problem_id", pa.string()), ("content_hash", pa.string()), ("predicted_pass_rate", pa.float64())]
    ),
    "candidates": pa.schema(
        [
            ("problem_id", pa.string()),
            ("candidate", pa.int32()),
            ("text", pa.string()),
            ("continues_prompt", pa.bool_()),
            ("tokens", pa.int32()),
            ("gpu_seconds", pa.float32()),
            ("correct", pa.bool_()),
        ]
    ),
    "tests": pa.schema(
        [
            ("problem_id", pa.string()),
            ("test", pa.int32()),
            ("status", pa.string()),
            ("text", pa.string()),
            ("seed", pa.int64()),
            ("tokens", pa.int32()),
            ("gpu_seconds", pa.float32()),
        ]
    ),
    "votes": pa.schema(
        [
            ("problem_id", pa.string()),
            ("test", pa.int32()),
            ("verdicts", pa.list_(pa.uint8())),
            ("cpu_seconds", pa.list_(pa.float32())),
            ("same_process", pa.list_(pa.bool_())),
            ("input_mutations", pa.int32()),
        ]
    ),
}
_OF_PROBLEMS = ("candidates", "tests", "votes")
_MORE = (pa.field("metadata", pa.string()), pa.field("mean_logprob", pa.float32()))
_NOTES = (pa.field("notes", pa.list_(pa.string())), *_MORE)
"""Further columns of candidates, which a table written without them may lack."""
_GIVEN = (pa.field("kind", pa.string()), *_MORE)
"""Further columns of tests, which a table written without them may lack."""


def write_trace(trace: Trace) -> None:
    """Write the tables of a run into its directory, each atomically; see ``trace_writer`` for large runs.

    Raises:
        OSError: a file cannot be written.
    """
    tables = tables_of(trace)
    for name, table in tables.items():
        write_table(table, trace.directory / f"{name}.parquet")
    if "written_inputs" not in tables:
        written_inputs_path(trace.directory).unlink(missing_ok=True)


def tables_of(trace: Trace) -> dict[str, pa.Table]:
    """Tables of a run, or of some of its problems, by name; ``written_inputs`` only if there are any."""
    rows = [
        {
            "problem_id": problem,
            "content_hash": recorded.content_hash,
            "predicted_pass_rate": None
            if np.isnan(recorded.predicted_pass_rate)
            else recorded.predicted_pass_rate,
        }
        for problem, recorded in trace.problems.items()
    ]
    problems = with_texts(
        pa.Table.from_pylist(rows, schema=_TABLES["problems"]),
        [recorded.problem for recorded in trace.problems.values()],
    )
    if trace.hidden_states is not None:
        costs = [recorded.extraction for recorded in trace.problems.values()]
        problems = with_hidden_states(problems, trace.hidden_states, costs)
    if trace.problem_source is not None:
        problems = with_problem_source(problems, trace.problem_source)
    tables = {"problems": problems}
    for name, schema, of_trace in (
        ("candidates", pa.schema([*_TABLES["candidates"], *_NOTES]), _candidate_rows(trace)),
        ("tests", pa.schema([*_TABLES["tests"], *_GIVEN]), _test_rows(trace)),
        ("votes", _TABLES["votes"], _vote_rows(trace)),
    ):
        tables[name] = pa.Table.from_pylist(list(of_trace), schema=schema)
    of_problems = ((problem, seen.written_inputs) for problem, seen in trace.problems.items())
    if written := [(problem, found) for problem, found in of_problems if found]:
        tables["written_inputs"] = written_inputs_table(written)
    return tables


def read_trace(directory: Path) -> Trace:
    """Read a finished run. A relative problem source is taken to be relative to the run directory.

    Raises:
        UserError: a table is missing, is damaged, lacks a column, or has another schema version.
    """
    problems = read_table(directory, "problems", _TABLES["problems"])
    written: Mapping[str, WrittenInputs] = {}
    if written_inputs_path(directory).exists():
        written = written_inputs_in(read_table(directory, "written_inputs", WRITTEN_INPUTS_SCHEMA))
    traces: Mapping[str, ProblemTrace]
    if is_paged(directory):
        candidates, tests, votes = (paged_table(directory, name, _TABLES[name]) for name in _OF_PROBLEMS)
        ids = problems["problem_id"].to_pylist()
        row_of = {problem: row for row, problem in enumerate(ids)}

        def trace_of(problem: str) -> ProblemTrace:
            row = problems.slice(row_of[problem], 1)
            rows = (candidates.of(problem), tests.of(problem), votes.of(problem))
            return _problem_traces(row, *rows, written)[problem]

        traces = PagedMapping(ids, trace_of)
    else:
        whole = [read_table(directory, name, _TABLES[name]) for name in _OF_PROBLEMS]
        traces = _problem_traces(problems, whole[0], whole[1], whole[2], written)
    return Trace(directory, traces, hidden_states_in(problems), problem_source_of(problems, directory))


def _problem_traces(
    problems: pa.Table,
    of_candidates: pa.Table,
    of_tests: pa.Table,
    votes: pa.Table,
    written: Mapping[str, WrittenInputs],
) -> dict[str, ProblemTrace]:
    """Traces of some problems from their rows of each table."""
    candidates: dict[str, list[dict[str, Any]]] = {
        problem: [] for problem in problems["problem_id"].to_pylist()
    }
    for row in of_candidates.sort_by([("problem_id", "ascending"), ("candidate", "ascending")]).to_pylist():
        candidates[row["problem_id"]].append(row)
    tests: dict[str, dict[int, TestRecord]] = {problem: {} for problem in candidates}
    for row in of_tests.to_pylist():
        tests[row["problem_id"]][row["test"]] = TestRecord(
            TestStatus(row["status"]),
            row["text"],
            row["seed"],
            _number(row["tokens"]),
            _number(row["gpu_seconds"]),
            TestKind(row["kind"]) if row.get("kind") else None,
            row.get("metadata") or "",
            row.get("mean_logprob"),
        )
    verdicts: dict[str, dict[int, VerdictRecord]] = {problem: {} for problem in candidates}
    lists = (_lists(votes[name]) for name in ("verdicts", "cpu_seconds", "same_process"))
    scalars = (votes[name].to_pylist() for name in ("problem_id", "test", "input_mutations"))
    for problem, test, input_mutations, *columns in zip(*scalars, *lists, strict=True):
        codes, cpu_seconds, same_process = columns
        verdicts[problem][test] = VerdictRecord(codes, cpu_seconds, same_process, input_mutations)
    extraction, texts = extraction_costs(problems), texts_in(problems)
    return {
        row["problem_id"]: ProblemTrace(
            row["content_hash"],
            _number(row["predicted_pass_rate"]),
            [_candidate_record(candidate) for candidate in candidates[row["problem_id"]]],
            _labels(candidates[row["problem_id"]]),
            tests[row["problem_id"]],
            verdicts[row["problem_id"]],
            extraction[position],
            texts[position],
            written.get(row["problem_id"]),
        )
        for position, row in enumerate(problems.select(_TABLES["problems"].names).to_pylist())
    }


def write_table(table: pa.Table, path: Path, *, dictionary: Sequence[str] | None = None) -> None:
    """Write one table with its schema version atomically.

    Args:
        table: all rows of the table.
        path: the file.
        dictionary: names of the columns to encode by a dictionary; None encodes all.

    Raises:
        OSError: the file cannot be written.
    """
    with table_writer(path, dictionary=dictionary) as writer:
        writer.add(table)


def table_writer(path: Path, *, dictionary: Sequence[str] | None = None) -> TableWriter:
    """Writer of one table of a run with its schema version, in row groups; see :func:`write_table`."""
    return TableWriter(path, {_VERSION_KEY: str(SCHEMA_VERSION).encode()}, dictionary)


def is_paged(directory: Path) -> bool:
    """True for a run of so many problems that its tables are read problem by problem."""
    try:
        return bool(pq.read_metadata(directory / "problems.parquet").num_rows > MAX_WHOLE)
    except (OSError, pa.ArrowInvalid):
        return False


def read_table(directory: Path, name: str, schema: pa.Schema) -> pa.Table:
    """Read one table of a run.

    Args:
        directory: run directory.
        name: name of the table, without the ending of the file.
        schema: the columns that the table must have. It may have others.

    Raises:
        UserError: the table is missing, is damaged, lacks a column, or has another schema version.
    """
    table: pa.Table = _checked(directory, name, schema, pq.read_table)
    return table


def paged_table(directory: Path, name: str, schema: pa.Schema) -> PagedTable:
    """One table of a run, to be read problem by problem; see :func:`read_table`."""
    table: PagedTable = _checked(directory, name, schema, PagedTable)
    return table


def _checked(directory: Path, name: str, schema: pa.Schema, read: Callable[[Path], Any]) -> Any:
    path = directory / f"{name}.parquet"
    try:
        table = read(path)
    except (FileNotFoundError, NotADirectoryError):
        raise missing_run(directory, path.name, "a finished run") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} must be a Parquet table of a run but {one_line(error)}") from None
    found = table.schema
    check_schema_version(path, int((found.metadata or {}).get(_VERSION_KEY, 0)))
    if missing := [column for column in schema.names if column not in found.names]:
        raise UserError(f"{path} must have the columns of a run but lacks {', '.join(missing)}")
    return table


def check_schema_version(path: Path, version: int, expected: int = SCHEMA_VERSION) -> None:
    """Refuse a file of a run directory that has another schema version.

    Args:
        path: the file, in the run directory.
        version: found in the file; 0 if it has none.
        expected: the version that this code reads.

    Raises:
        UserError: the versions differ.
    """
    if version != expected:
        raise UserError(
            f"{path} has schema {version} but this testbudget reads {expected}. Run its job again: "
            f"testbudget run {path.parent / 'job.yaml'} --out DIR (or import it again: testbudget import "
            "votes FILE --out DIR)."
        )


def _candidate_rows(trace: Trace) -> Iterable[dict[str, Any]]:
    for problem, recorded in trace.problems.items():
        for index, record in enumerate(recorded.candidates):
            yield {
                "problem_id": problem,
                "candidate": index,
                "text": record.text,
                "continues_prompt": record.continues_prompt,
                "tokens": record.tokens,
                "gpu_seconds": record.gpu_seconds,
                "correct": None if recorded.correct is None else bool(recorded.correct[index]),
                "notes": record.notes,
                "metadata": record.metadata or None,
                "mean_logprob": record.mean_logprob,
            }


def _test_rows(trace: Trace) -> Iterable[dict[str, Any]]:
    for problem, recorded in trace.problems.items():
        for index, record in sorted(recorded.tests.items()):
            yield {
                "problem_id": problem,
                "test": index,
                "status": record.status.value,
                "text": record.text,
                "seed": record.seed,
                "tokens": None if np.isnan(record.tokens) else int(record.tokens),
                "gpu_seconds": record.gpu_seconds,
                "kind": record.kind and record.kind.value,
                "metadata": record.metadata or None,
                "mean_logprob": record.mean_logprob,
            }


def _vote_rows(trace: Trace) -> Iterable[dict[str, Any]]:
    for problem, recorded in trace.problems.items():
        for index, record in sorted(recorded.verdicts.items()):
            yield {
                "problem_id": problem,
                "test": index,
                "verdicts": record.verdicts,
                # In milliseconds: smaller differences are noise, and noise does not compress.
                "cpu_seconds": np.round(record.cpu_seconds, 3),
                "same_process": record.same_process,
                "input_mutations": record.input_mutations,
            }


def _candidate_record(row: Mapping[str, Any]) -> CandidateRecord:
    notes = tuple(row.get("notes") or ())
    return CandidateRecord(
        row["text"],
        row["continues_prompt"],
        row["tokens"],
        _number(row["gpu_seconds"]),
        notes,
        row.get("metadata") or "",
        row.get("mean_logprob"),
    )


def _labels(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_] | None:
    labels = [row["correct"] for row in rows]
    return None if not labels or None in labels else np.asarray(labels, dtype=np.bool_)


def _lists(column: pa.ChunkedArray) -> Iterator[NDArray[Any]]:
    """Rows of a column of lists as arrays, without a Python object for each entry."""
    for chunk in column.chunks:
        entries, ends = (
            chunk.flatten().to_numpy(zero_copy_only=False),
            chunk.value_lengths().to_numpy().cumsum(),
        )
        yield from np.split(entries, ends[:-1]) if len(ends) else ()


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
