"""Recorded outputs on disk: compressed bytes in the event log, Parquet tables in the run directory.

``outputs`` has one row for each distinct output of a problem. ``inputs`` has one row for each distinct
input, with one result for each of the problem's distinct programs: the number of an output, from 0 within
the problem, or -1. ``calls`` has one row for each test, with the numbers of its inputs within the problem.
Tests repeat inputs. If the programs' results on a repeated input differ, the input has another row. A run
that recorded no outputs has none of these tables.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa

from testbudget.rewards.outputs import CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.traces.paged_tables import PagedMapping, rows_by_problem
from testbudget.traces.tables import is_paged, paged_table, read_table, table_writer

_TABLES = {
    "calls": pa.schema(
        [("problem_id", pa.string()), ("test", pa.int32()), ("inputs", pa.list_(pa.int32()))]
    ),
    "inputs": pa.schema(
        [
            ("problem_id", pa.string()),
            ("function", pa.string()),
            ("arguments", pa.string()),
            ("digest", pa.uint64()),
            ("results", pa.list_(pa.int32())),
        ]
    ),
    "outputs": pa.schema(
        [
            ("problem_id", pa.string()),
            ("ending", pa.uint8()),
            ("digest", pa.uint64()),
            ("example", pa.string()),
        ]
    ),
}
_ENDINGS = tuple(CallEnding)
_LEVEL = 5  # of compression; higher ones take longer and save nothing
OUTPUT_TABLES = tuple(_TABLES)
"""Names of the tables."""

REPEATED = ("problem_id", "function", "ending")
"""Columns to encode by a dictionary. The others are smaller without one."""


def pack_outputs(recorded_outputs: RecordedOutputs) -> bytes:
    """Recorded outputs as compressed bytes."""
    inputs, outputs = recorded_outputs.inputs, recorded_outputs.outputs
    smallest = np.min_scalar_type(-max(len(outputs), 1))
    columns = (
        [item.test for item in inputs],
        [item.function for item in inputs],
        [item.arguments for item in inputs],
        [item.digest for item in inputs],
        [int(output.ending) for output in outputs],
        [output.digest for output in outputs],
        [output.example for output in outputs],
        smallest.str,
        recorded_outputs.results.astype(smallest).tobytes(),
    )
    # A candidate may return half a surrogate pair, which UTF-8 cannot hold.
    return zlib.compress(msgpack.packb(columns, unicode_errors="surrogatepass"), _LEVEL)


def unpack_outputs(packed: bytes) -> RecordedOutputs:
    """Recorded outputs from the bytes of :func:`pack_outputs`."""
    columns = msgpack.unpackb(zlib.decompress(packed), unicode_errors="surrogatepass")
    *inputs, endings, digests, examples, dtype, results = columns
    calls = tuple(map(RecordedCall, *inputs))
    outputs = tuple(map(CallResult, map(_ENDINGS.__getitem__, endings), digests, examples))
    table = np.frombuffer(results, dtype).astype(np.int32).reshape(-1, len(calls))
    return RecordedOutputs(calls, outputs, table)


def write_outputs(outputs_by_problem: Iterable[tuple[str, RecordedOutputs]], directory: Path) -> None:
    """Write the tables of a run's recorded outputs, each atomically.

    Args:
        outputs_by_problem: problem ids with recorded outputs. If it is empty, earlier tables are
            removed.
        directory: the run directory.

    Raises:
        OSError: a file cannot be written.
    """
    tables = tables_of_outputs(outputs_by_problem)
    for name in OUTPUT_TABLES:
        with table_writer(directory / f"{name}.parquet", dictionary=REPEATED) as writer:
            if name in tables:
                writer.add(tables[name])


def tables_of_outputs(outputs_by_problem: Iterable[tuple[str, RecordedOutputs]]) -> dict[str, pa.Table]:
    """Tables of the recorded outputs of some problems, by name; none if there are no problems."""
    parts: dict[str, list[pa.Table]] = {}
    for problem, recorded_outputs in outputs_by_problem:
        for name, columns in _columns_of(recorded_outputs).items():
            rows = len(columns[0])
            arrays = map(pa.array, columns, _TABLES[name].types[1:])
            part = pa.table([pa.repeat(problem, rows), *arrays], schema=_TABLES[name])
            parts.setdefault(name, []).append(part)
    return {name: pa.concat_tables(tables) for name, tables in parts.items()}


def read_outputs(directory: Path) -> Mapping[str, RecordedOutputs]:
    """Recorded outputs of a finished run by problem id; empty if the run recorded none.

    The rows of ``results`` are the problem's distinct programs.

    Raises:
        UserError: a table is damaged, lacks a column, or has another schema version.
    """
    if not (directory / "calls.parquet").exists():
        return {}
    if is_paged(directory):
        paged = [paged_table(directory, name, schema) for name, schema in _TABLES.items()]
        return PagedMapping(
            paged[0].problems, lambda problem: _outputs_of(*(one.of(problem) for one in paged))
        )
    by_problem = [rows_by_problem(read_table(directory, name, schema)) for name, schema in _TABLES.items()]
    calls, inputs, outputs = by_problem
    return {
        problem: _outputs_of(rows, inputs[problem], outputs.get(problem)) for problem, rows in calls.items()
    }


def _columns_of(recorded_outputs: RecordedOutputs) -> dict[str, tuple[Sequence[Any], ...]]:
    """Columns of each table for one problem, without the problem id."""
    numbers: dict[tuple[str, str, bytes], int] = {}
    positions: list[int] = []  # of each distinct input
    calls: list[tuple[int | None, list[int]]] = []
    results = np.ascontiguousarray(recorded_outputs.results.T, np.int32)
    for position, item in enumerate(recorded_outputs.inputs):
        key = (item.function, item.arguments, results[position].tobytes())
        number = numbers.setdefault(key, len(positions))
        if number == len(positions):
            positions.append(position)
        if not calls or calls[-1][0] != item.test:
            calls.append((item.test, []))
        calls[-1][1].append(number)
    inputs = [recorded_outputs.inputs[position] for position in positions]
    return {
        "calls": ([test for test, _ in calls], [used for _, used in calls]),
        "inputs": (
            [item.function for item in inputs],
            [item.arguments for item in inputs],
            [item.digest for item in inputs],
            list(results[positions]),
        ),
        "outputs": (
            [output.ending for output in recorded_outputs.outputs],
            [output.digest for output in recorded_outputs.outputs],
            # A candidate may return half a surrogate pair, which UTF-8 cannot hold.
            [output.example.encode(errors="replace").decode() for output in recorded_outputs.outputs],
        ),
    }


def _outputs_of(calls: pa.Table, inputs: pa.Table, outputs: pa.Table | None) -> RecordedOutputs:
    """Recorded outputs of one problem from its rows, the inverse of ``_columns_of``."""
    given = list(zip(*_columns(inputs, "function", "arguments", "digest"), strict=True))
    order = [
        (test, number)
        for test, used in zip(*_columns(calls, "test", "inputs"), strict=True)
        for number in used
    ]
    results = np.concatenate([chunk.flatten().to_numpy() for chunk in inputs["results"].chunks])
    results = results.reshape(len(inputs), -1)[[number for _, number in order]]
    rows = zip(*_columns(outputs, "ending", "digest", "example"), strict=True) if outputs else ()
    return RecordedOutputs(
        tuple(RecordedCall(test, *given[number]) for test, number in order),
        tuple(CallResult(CallEnding(ending), digest, example) for ending, digest, example in rows),
        np.ascontiguousarray(results.T),
    )


def _columns(rows: pa.Table, *names: str) -> list[list[Any]]:
    return [rows[name].to_pylist() for name in names]
