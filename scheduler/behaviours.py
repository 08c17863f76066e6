"""Behaviour on its way to disk and back: packed for the journal, as Parquet tables in the run directory.

``inputs`` has one row per call that a test makes, in the order of the calls, with one result for each
distinct candidate of the problem: a number of the problem's ``outputs``, or -1. What many tests and
candidates share is so alike in neighbouring rows that compression makes little of it. The tables are read
only by those who ask for behaviour, and a run that recorded none has none.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rewards.behaviour import Behaviour, Ending, Input, Output
from scheduler.tables import read_table, write_table

_INPUTS = pa.schema(
    [
        ("problem_id", pa.string()),
        ("test", pa.int32()),
        ("function", pa.string()),
        ("arguments", pa.string()),
        ("digest", pa.uint64()),
        ("results", pa.list_(pa.int32())),
    ]
)
_OUTPUTS = pa.schema(
    [
        ("problem_id", pa.string()),
        ("output", pa.int32()),
        ("ending", pa.uint8()),
        ("digest", pa.uint64()),
        ("example", pa.string()),
    ]
)


def pack(behaviour: Behaviour) -> bytes:
    """A behaviour as few bytes."""
    texts = {
        "inputs": [(item.test, item.function, item.arguments, item.digest) for item in behaviour.inputs],
        "outputs": [(output.ending, output.digest, output.example) for output in behaviour.outputs],
    }
    # JSON's own escapes keep what UTF-8 cannot hold: a candidate may return half a surrogate pair.
    header = json.dumps(texts).encode()
    results = behaviour.results.astype(np.int32).tobytes()
    return zlib.compress(len(header).to_bytes(4, "little") + header + results)


def unpack(packed: bytes) -> Behaviour:
    """What ``pack`` has packed."""
    content = zlib.decompress(packed)
    end = 4 + int.from_bytes(content[:4], "little")
    texts = json.loads(content[4:end])
    inputs = tuple(Input(*row) for row in texts["inputs"])
    outputs = tuple(Output(Ending(ending), *rest) for ending, *rest in texts["outputs"])
    results = np.frombuffer(content, np.int32, offset=end).reshape(-1, len(inputs))
    return Behaviour(inputs, outputs, results)


def write_behaviours(behaviours: Iterable[tuple[str, Behaviour]], directory: Path) -> None:
    """Writes the behaviours of a run's problems, by problem id, into its directory.

    Without any there will be no tables, also if there were some.
    """
    inputs, outputs = [], []
    for problem, behaviour in behaviours:
        inputs.append(_input_rows(problem, behaviour))
        outputs.append(_output_rows(problem, behaviour))
    for name, schema, parts in (("inputs", _INPUTS, inputs), ("outputs", _OUTPUTS, outputs)):
        path = directory / f"{name}.parquet"
        if parts:
            write_table(pa.concat_tables(parts, schema=schema), path)
        else:
            path.unlink(missing_ok=True)


def read_behaviours(directory: Path) -> Mapping[str, Behaviour]:
    """Behaviours that a finished run recorded, by problem id; problems without any are not in it.

    The rows of a behaviour's results are the problem's distinct candidates.

    Raises:
        UserError: a table is there but is not what ``write_behaviours`` writes.
    """
    if not (directory / "inputs.parquet").exists():
        return {}
    outputs = {
        problem: tuple(
            map(Output, map(Ending, rows["ending"].to_pylist()), *_columns(rows, "digest", "example"))
        )
        for problem, rows in _by_problem(read_table(directory, "outputs", _OUTPUTS))
    }
    return {
        problem: Behaviour(
            tuple(map(Input, *_columns(rows, "test", "function", "arguments", "digest"))),
            outputs.get(problem, ()),
            np.ascontiguousarray(_flat(rows["results"]).reshape(len(rows), -1).T),
        )
        for problem, rows in _by_problem(read_table(directory, "inputs", _INPUTS))
    }


def _input_rows(problem: str, behaviour: Behaviour) -> pa.Table:
    candidates, inputs = behaviour.results.shape
    results = pa.ListArray.from_arrays(
        pa.array(np.arange(inputs + 1, dtype=np.int32) * candidates),
        pa.array(behaviour.results.T.astype(np.int32).ravel()),
    )
    columns = [
        [problem] * inputs,
        [item.test for item in behaviour.inputs],
        [item.function for item in behaviour.inputs],
        [item.arguments for item in behaviour.inputs],
        [item.digest for item in behaviour.inputs],
        results,
    ]
    return pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, _INPUTS, strict=True)], schema=_INPUTS
    )


def _output_rows(problem: str, behaviour: Behaviour) -> pa.Table:
    columns = [
        [problem] * len(behaviour.outputs),
        range(len(behaviour.outputs)),
        [output.ending for output in behaviour.outputs],
        [output.digest for output in behaviour.outputs],
        # Half a surrogate pair, which a candidate may return, has no place in a table's UTF-8.
        [output.example.encode(errors="replace").decode() for output in behaviour.outputs],
    ]
    return pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, _OUTPUTS, strict=True)], schema=_OUTPUTS
    )


def _by_problem(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each problem, which lie together."""
    ids = table["problem_id"].combine_chunks().dictionary_encode()
    ends = np.cumsum(np.bincount(ids.indices.to_numpy(), minlength=len(ids.dictionary)))
    for problem, start, end in zip(ids.dictionary.to_pylist(), [0, *ends[:-1]], ends, strict=True):
        yield problem, table.slice(start, end - start)


def _columns(rows: pa.Table, *names: str) -> list[list[Any]]:
    return [rows[name].to_pylist() for name in names]


def _flat(lists: pa.ChunkedArray) -> NDArray[np.int32]:
    return np.concatenate([chunk.flatten().to_numpy() for chunk in lists.chunks])
