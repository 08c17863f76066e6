"""Parquet tables of a run directory, compressed with zstd.

======================  ======================  ===========================================================
table                   one row for each        written by
======================  ======================  ===========================================================
``problems``            problem                 this module; with hidden states and their cost, and the
                                                texts, which a shared run may lack
``candidates``          candidate               this module
``tests``               generated test          this module
``votes``               executed test           this module
``calls``, ``inputs``,  test, distinct input,   ``output_tables``, if outputs were recorded
``outputs``             distinct output
``reasons``             distinct reason of a    ``reason_tables``, if reasons are known
                        test
``grants``, ``work``,   grant, piece of work,   ``run_tables``, except by an imported run
``pools``,              use of workers,
``assessments``         assessment of a pick
======================  ======================  ===========================================================

The metadata of each table hold :data:`SCHEMA_VERSION`. The metadata of ``problems`` also hold the source of
the problems' texts, and the provenance of hidden states as JSON.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from testbudget.rewards.comparison import Comparison
from testbudget.rewards.errors import UserError, one_line
from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.traces.files import whole_file
from testbudget.traces.hidden_states import HiddenStates, Provenance
from testbudget.traces.problems import source_from_folder
from testbudget.traces.records import CandidateRecord, Cost, TestRecord, TestStatus, VerdictRecord
from testbudget.traces.trace import ProblemTrace, Trace

ReadTrace = Callable[[Path], Trace]
"""Type of :func:`read_trace`. Callers may cache it, since a job may name a run in several places."""

SCHEMA_VERSION = 1
"""Version of the tables of a run directory. A table of another version is refused."""

_VERSION_KEY = b"testbudget.schema"
_SOURCE_KEY = b"testbudget.problem_source"
_PROVENANCE_KEY = b"testbudget.hidden_states"

_HIDDEN = "hidden_layer_"
_TRUNCATED = "prompt_truncated"
_EXTRACTION = {
    "predictor_cpu_seconds": "cpu_seconds",
    "predictor_gpu_seconds": "gpu_seconds",
}  # columns of the cost of extracting hidden states
_TEXTS = ("prompt", "entry_point", "language", "ground_truth", "comparison", "metadata")
"""Columns of the problems' texts, fields of ``Problem``; null where a run does not hold them."""
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


def write_trace(trace: Trace) -> None:
    """Write the tables of a run into its directory, each atomically.

    Raises:
        OSError: a file cannot be written.
    """
    problems = [
        {
            "problem_id": problem,
            "content_hash": recorded.content_hash,
            "predicted_pass_rate": None
            if np.isnan(recorded.predicted_pass_rate)
            else recorded.predicted_pass_rate,
        }
        for problem, recorded in trace.problems.items()
    ]
    table = _with_texts(
        pa.Table.from_pylist(problems, schema=_TABLES["problems"]),
        [recorded.problem for recorded in trace.problems.values()],
    )
    if trace.hidden_states is not None:
        costs = [recorded.extraction for recorded in trace.problems.values()]
        table = _with_hidden_states(table, trace.hidden_states, costs)
    if trace.problem_source is not None:
        table = _with_metadata(table, _SOURCE_KEY, trace.problem_source)
    write_table(table, trace.directory / "problems.parquet")
    for name, rows in (
        ("candidates", _candidate_rows(trace)),
        ("tests", _test_rows(trace)),
        ("votes", _vote_rows(trace)),
    ):
        table = pa.Table.from_pylist(list(rows), schema=_TABLES[name])
        write_table(table, trace.directory / f"{name}.parquet")


def read_trace(directory: Path) -> Trace:
    """Read a finished run. A relative problem source is taken to be relative to the run directory.

    Raises:
        UserError: a table is missing, is damaged, lacks a column, or has another schema version.
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
    lists = (_lists(votes[name]) for name in ("verdicts", "cpu_seconds", "same_process"))
    scalars = (votes[name].to_pylist() for name in ("problem_id", "test", "input_mutations"))
    for problem, test, input_mutations, *columns in zip(*scalars, *lists, strict=True):
        codes, cpu_seconds, same_process = columns
        verdicts[problem][test] = VerdictRecord(codes, cpu_seconds, same_process, input_mutations)
    extraction, texts = _extraction(problems), _texts(problems)
    traces = {
        row["problem_id"]: ProblemTrace(
            row["content_hash"],
            _number(row["predicted_pass_rate"]),
            [_candidate_record(candidate) for candidate in candidates[row["problem_id"]]],
            _labels(candidates[row["problem_id"]]),
            tests[row["problem_id"]],
            verdicts[row["problem_id"]],
            extraction[position],
            texts[position],
        )
        for position, row in enumerate(problems.select(_TABLES["problems"].names).to_pylist())
    }
    return Trace(directory, traces, _hidden_states(problems), _problem_source(problems, directory))


def write_table(table: pa.Table, path: Path, *, dictionary: Sequence[str] | None = None) -> None:
    """Write one table with its schema version atomically.

    Args:
        table: all rows of the table.
        path: the file.
        dictionary: names of the columns to encode by a dictionary; None encodes all.

    Raises:
        OSError: the file cannot be written.
    """
    with whole_file(path) as partial:
        pq.write_table(
            _with_metadata(table, _VERSION_KEY, str(SCHEMA_VERSION)),
            partial,
            compression="zstd",
            compression_level=19,
            use_dictionary=True if dictionary is None else list(dictionary),
        )


def read_table(directory: Path, name: str, schema: pa.Schema) -> pa.Table:
    """Read one table of a run.

    Args:
        directory: run directory.
        name: name of the table, without the ending of the file.
        schema: the columns that the table must have. It may have others.

    Raises:
        UserError: the table is missing, is damaged, lacks a column, or has another schema version.
    """
    path = directory / f"{name}.parquet"
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{directory} must be a finished run but it has no {name}.parquet") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} must be a Parquet table of a run but {one_line(error)}") from None
    check_schema_version(path, int((table.schema.metadata or {}).get(_VERSION_KEY, 0)))
    missing = [column for column in schema.names if column not in table.column_names]
    if missing:
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
    return CandidateRecord(row["text"], row["continues_prompt"], row["tokens"], _number(row["gpu_seconds"]))


def _labels(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_] | None:
    labels = [row["correct"] for row in rows]
    return None if not labels or None in labels else np.asarray(labels, dtype=np.bool_)


def _with_texts(table: pa.Table, problems: Sequence[Problem | None]) -> pa.Table:
    if any(problem is not None for problem in problems):
        columns = [_text_columns(problem) for problem in problems]
        for place, name in enumerate(_TEXTS):
            table = table.append_column(name, pa.array([values[place] for values in columns], pa.string()))
    return table


def _text_columns(problem: Problem | None) -> tuple[str | None, ...]:
    """Values of the columns of a problem's texts."""
    if problem is None:
        return (None,) * len(_TEXTS)
    truth = problem.ground_truth
    return (
        problem.prompt,
        problem.entry_point,
        problem.language,
        None if truth is None else json.dumps({"kind": truth.kind, "tests": truth.tests}),
        problem.comparison.as_text(),
        json.dumps(dict(problem.metadata)),
    )


def _texts(problems: pa.Table) -> Sequence[Problem | None]:
    """Problems with their texts, None where the table lacks them."""
    if any(name not in problems.column_names for name in _TEXTS):
        return [None] * len(problems)
    return [
        None if row["prompt"] is None else _problem(row)
        for row in problems.select(["problem_id", *_TEXTS]).to_pylist()
    ]


def _problem(row: Mapping[str, Any]) -> Problem:
    """Problem of a row that holds its texts."""
    truth = row["ground_truth"] and json.loads(row["ground_truth"])
    return Problem(
        row["problem_id"],
        row["prompt"],
        row["entry_point"],
        row["language"],
        truth and GroundTruth(TestKind(truth["kind"]), tuple(truth["tests"])),
        Comparison.from_text(row["comparison"]),
        metadata=json.loads(row["metadata"]),
    )


def _with_hidden_states(table: pa.Table, hidden: HiddenStates, costs: Sequence[Cost]) -> pa.Table:
    for position, layer in enumerate(hidden.layers):
        states = np.ascontiguousarray(hidden.states[:, position], dtype=np.float16)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(states.ravel()), states.shape[1])
        table = table.append_column(f"{_HIDDEN}{layer}", vectors)
    if hidden.truncated is not None:
        table = table.append_column(_TRUNCATED, pa.array(hidden.truncated))
    for column, quantity in _EXTRACTION.items():
        amounts = pa.array([getattr(cost, quantity) for cost in costs], pa.float64(), from_pandas=True)
        table = table.append_column(column, amounts)
    if hidden.provenance is not None:
        table = _with_metadata(table, _PROVENANCE_KEY, hidden.provenance.to_json())
    return table


def _with_metadata(table: pa.Table, key: bytes, value: str) -> pa.Table:
    return table.replace_schema_metadata({**(table.schema.metadata or {}), key: value})


def _problem_source(problems: pa.Table, directory: Path) -> str | None:
    source = (problems.schema.metadata or {}).get(_SOURCE_KEY)
    return None if source is None else source_from_folder(source.decode(), directory.resolve())


def _extraction(problems: pa.Table) -> Sequence[Cost]:
    """Cost of each problem's hidden states."""
    if not _layers(problems):
        return [Cost()] * len(problems)
    amounts = zip(*(problems[column].to_pylist() for column in _EXTRACTION), strict=True)
    return [Cost(**dict(zip(_EXTRACTION.values(), map(_number, row), strict=True))) for row in amounts]


def _hidden_states(problems: pa.Table) -> HiddenStates | None:
    layers = _layers(problems)
    if not layers:
        return None
    columns = [problems[f"{_HIDDEN}{layer}"].combine_chunks() for layer in layers]
    states = [column.flatten().to_numpy().reshape(len(column), -1) for column in columns]
    truncated = problems[_TRUNCATED].to_numpy() if _TRUNCATED in problems.column_names else None
    provenance = (problems.schema.metadata or {}).get(_PROVENANCE_KEY)
    return HiddenStates(
        layers, np.stack(states, axis=1), truncated, provenance and Provenance.from_json(provenance)
    )


def _layers(problems: pa.Table) -> tuple[int, ...]:
    names = (name for name in problems.column_names if name.startswith(_HIDDEN))
    return tuple(sorted(int(name.removeprefix(_HIDDEN)) for name in names))


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
