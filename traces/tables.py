"""The Parquet tables of a run directory: how a trace is written and read.

``problems``, ``candidates``, ``tests`` and ``votes``, compressed with zstd; one row per problem,
candidate, written test and executed test. Hidden states are columns ``hidden_layer_N`` of ``problems``,
beside ``prompt_truncated`` and what their extraction cost; where they came from is JSON in the table's
metadata.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError
from testbudget.traces.hidden_states import HiddenStates, Provenance
from testbudget.traces.records import CandidateRecord, Cost, TestRecord, TestStatus, VerdictRecord
from testbudget.traces.trace import ProblemTrace, Trace

ReadTrace = Callable[[Path], Trace]
"""``read_trace``, or the same with a memory: a job may name one run in several places."""

_HIDDEN = "hidden_layer_"
_TRUNCATED = "prompt_truncated"
_PREDICTOR = "predictor_"
_EXTRACTION = ("cpu_seconds", "gpu_seconds")  # the quantities that extraction can cost
_PROVENANCE = "hidden_states"
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
            ("together", pa.list_(pa.bool_())),
            ("variations", pa.int32()),
        ]
    ),
}


def write_trace(trace: Trace) -> None:
    """Writes the tables of a run into its directory, each whole or not at all."""
    problems = [
        {
            "problem_id": problem,
            "content_hash": seen.content_hash,
            "predicted_pass_rate": None if np.isnan(seen.predicted_pass_rate) else seen.predicted_pass_rate,
        }
        for problem, seen in trace.problems.items()
    ]
    table = pa.Table.from_pylist(problems, schema=_TABLES["problems"])
    if trace.hidden_states is not None:
        costs = [seen.extraction for seen in trace.problems.values()]
        table = _with_hidden_states(table, trace.hidden_states, costs)
    write_table(table, trace.directory / "problems.parquet")
    for name, rows in (
        ("candidates", _candidate_rows(trace)),
        ("tests", _test_rows(trace)),
        ("votes", _vote_rows(trace)),
    ):
        table = pa.Table.from_pylist(list(rows), schema=_TABLES[name])
        write_table(table, trace.directory / f"{name}.parquet")


def read_trace(directory: Path) -> Trace:
    """Reads a finished run.

    Raises:
        UserError: the directory is no finished run, or its tables are not what ``write_trace`` writes.
    """
    tables = {name: read_table(directory, name, schema) for name, schema in _TABLES.items()}
    problems = tables["problems"]
    candidates: dict[str, list[dict[str, Any]]] = {
        problem: [] for problem in problems["problem_id"].to_pylist()
    }
    for row in (
        tables["candidates"].sort_by([("problem_id", "ascending"), ("candidate", "ascending")]).to_pylist()
    ):
        candidates[row["problem_id"]].append(row)
    tests: dict[str, dict[int, TestRecord]] = {problem: {} for problem in candidates}
    for row in tables["tests"].to_pylist():
        tests[row["problem_id"]][row["test"]] = TestRecord(
            TestStatus(row["status"]),
            row["text"],
            row["seed"],
            _number(row["tokens"]),
            _number(row["gpu_seconds"]),
        )
    verdicts: dict[str, dict[int, VerdictRecord]] = {problem: {} for problem in candidates}
    votes = tables["votes"]
    lists = (_lists(votes[name]) for name in ("verdicts", "cpu_seconds", "together"))
    scalars = (votes[name].to_pylist() for name in ("problem_id", "test", "variations"))
    for problem, test, input_mutations, *columns in zip(*scalars, *lists, strict=True):
        codes, cpu_seconds, same_process = columns
        verdicts[problem][test] = VerdictRecord(codes, cpu_seconds, same_process, input_mutations)
    extraction = _extraction(problems)
    seen = {
        row["problem_id"]: ProblemTrace(
            row["content_hash"],
            _number(row["predicted_pass_rate"]),
            [_candidate_record(candidate) for candidate in candidates[row["problem_id"]]],
            _labels(candidates[row["problem_id"]]),
            tests[row["problem_id"]],
            verdicts[row["problem_id"]],
            extraction[position],
        )
        for position, row in enumerate(problems.select(_TABLES["problems"].names).to_pylist())
    }
    return Trace(directory, seen, _hidden_states(problems))


def write_table(table: pa.Table, path: Path, *, dictionary: Sequence[str] | None = None) -> None:
    """Writes one table, whole or not at all.

    Args:
        table: with all its rows.
        path: the file.
        dictionary: columns to encode by a dictionary; None for all.
    """
    partial = path.with_suffix(".partial")
    pq.write_table(
        table,
        partial,
        compression="zstd",
        compression_level=19,
        use_dictionary=True if dictionary is None else list(dictionary),
    )
    partial.replace(path)


def read_table(directory: Path, name: str, schema: pa.Schema) -> pa.Table:
    """Reads one table of a run, which has at least the columns of the schema.

    Raises:
        UserError: it is not there, or not such a table.
    """
    path = directory / f"{name}.parquet"
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{directory} must be a finished run but it has no {name}.parquet") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(
            f"{path} must be a Parquet table of a run but {' '.join(str(error).split())}"
        ) from None
    missing = [column for column in schema.names if column not in table.column_names]
    if missing:
        raise UserError(f"{path} must have the columns of a run but lacks {', '.join(missing)}")
    return table


def _candidate_rows(trace: Trace) -> Iterable[dict[str, Any]]:
    for problem, seen in trace.problems.items():
        for index, record in enumerate(seen.candidates):
            yield {
                "problem_id": problem,
                "candidate": index,
                "text": record.text,
                "continues_prompt": record.continues_prompt,
                "tokens": record.tokens,
                "gpu_seconds": record.gpu_seconds,
                "correct": None if seen.correct is None else bool(seen.correct[index]),
            }


def _test_rows(trace: Trace) -> Iterable[dict[str, Any]]:
    for problem, seen in trace.problems.items():
        for index, record in sorted(seen.tests.items()):
            yield {
                "problem_id": problem,
                "test": index,
                "status": record.status.value,
                "text": record.text,
                "seed": record.seed,
                "tokens": None if np.isnan(record.tokens) else int(record.tokens),
                "gpu_seconds": record.gpu_seconds,
            }


def _vote_rows(trace: Trace) -> Iterable[dict[str, Any]]:
    for problem, seen in trace.problems.items():
        for index, record in sorted(seen.verdicts.items()):
            yield {
                "problem_id": problem,
                "test": index,
                "verdicts": record.verdicts,
                # To the millisecond: finer is noise, and noise does not compress.
                "cpu_seconds": np.round(record.cpu_seconds, 3),
                "together": record.same_process,
                "variations": record.input_mutations,
            }


def _candidate_record(row: Mapping[str, Any]) -> CandidateRecord:
    return CandidateRecord(row["text"], row["continues_prompt"], row["tokens"], _number(row["gpu_seconds"]))


def _labels(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_] | None:
    labels = [row["correct"] for row in rows]
    return None if not labels or None in labels else np.asarray(labels, dtype=np.bool_)


def _with_hidden_states(table: pa.Table, hidden: HiddenStates, costs: Sequence[Cost]) -> pa.Table:
    for column, layer in enumerate(hidden.layers):
        states = np.ascontiguousarray(hidden.states[:, column], dtype=np.float16)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(states.ravel()), states.shape[1])
        table = table.append_column(f"{_HIDDEN}{layer}", vectors)
    if hidden.truncated is not None:
        table = table.append_column(_TRUNCATED, pa.array(hidden.truncated))
    for quantity in _EXTRACTION:
        amounts = pa.array([getattr(cost, quantity) for cost in costs], pa.float64(), from_pandas=True)
        table = table.append_column(f"{_PREDICTOR}{quantity}", amounts)
    if hidden.provenance is not None:
        table = table.replace_schema_metadata({_PROVENANCE: hidden.provenance.to_json()})
    return table


def _extraction(problems: pa.Table) -> Sequence[Cost]:
    """What each problem's hidden states cost: unknown in a table of before it was measured."""
    if not _layers(problems):
        return [Cost()] * len(problems)
    unknown = pa.nulls(len(problems), pa.float64())
    names = [f"{_PREDICTOR}{quantity}" for quantity in _EXTRACTION]
    columns = [problems[name] if name in problems.column_names else unknown for name in names]
    amounts = zip(*(column.to_pylist() for column in columns), strict=True)
    return [Cost(**dict(zip(_EXTRACTION, map(_number, row), strict=True))) for row in amounts]


def _hidden_states(problems: pa.Table) -> HiddenStates | None:
    layers = _layers(problems)
    if not layers:
        return None
    columns = [problems[f"{_HIDDEN}{layer}"].combine_chunks() for layer in layers]
    states = [column.flatten().to_numpy().reshape(len(column), -1) for column in columns]
    truncated = problems[_TRUNCATED].to_numpy() if _TRUNCATED in problems.column_names else None
    provenance = (problems.schema.metadata or {}).get(_PROVENANCE.encode())
    return HiddenStates(
        layers, np.stack(states, axis=1), truncated, provenance and Provenance.from_json(provenance)
    )


def _layers(problems: pa.Table) -> tuple[int, ...]:
    names = (name for name in problems.column_names if name.startswith(_HIDDEN))
    return tuple(sorted(int(name.removeprefix(_HIDDEN)) for name in names))


def _lists(column: pa.ChunkedArray) -> Iterator[NDArray[Any]]:
    """Each row of a column of lists, without a Python object for each entry."""
    for chunk in column.chunks:
        entries, ends = (
            chunk.flatten().to_numpy(zero_copy_only=False),
            chunk.value_lengths().to_numpy().cumsum(),
        )
        yield from np.split(entries, ends[:-1]) if len(ends) else ()


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
