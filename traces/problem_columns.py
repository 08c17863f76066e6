"""Columns of the table of problems: their texts, metadata, hidden states and the cost of these.

The metadata of the table hold the source of the texts, and the provenance of hidden states as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from testbudget.rewards.comparison import Comparison
from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.traces.hidden_states import HiddenStates, Provenance
from testbudget.traces.problem_source import source_from_folder
from testbudget.traces.records import Cost

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


def with_metadata(table: pa.Table, key: bytes, value: str) -> pa.Table:
    """The table with one further entry in its metadata."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), key: value})


def with_texts(table: pa.Table, problems: Sequence[Problem | None]) -> pa.Table:
    """The table with the columns of the problems' texts, if there are texts."""
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


def texts_in(problems: pa.Table) -> Sequence[Problem | None]:
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


def with_hidden_states(table: pa.Table, hidden: HiddenStates, costs: Sequence[Cost]) -> pa.Table:
    """The table with a column for each layer of hidden states, and their costs by problem."""
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
        table = with_metadata(table, _PROVENANCE_KEY, hidden.provenance.to_json())
    return table


def with_problem_source(table: pa.Table, source: str) -> pa.Table:
    """The table with the source of the problems' texts in its metadata."""
    return with_metadata(table, _SOURCE_KEY, source)


def problem_source_of(problems: pa.Table, directory: Path) -> str | None:
    """Source of the problems' texts, relative paths resolved against the run directory; None if unknown."""
    source = (problems.schema.metadata or {}).get(_SOURCE_KEY)
    return None if source is None else source_from_folder(source.decode(), directory.resolve())


def extraction_costs(problems: pa.Table) -> Sequence[Cost]:
    """Cost of each problem's hidden states."""
    if not _layers(problems):
        return [Cost()] * len(problems)
    amounts = zip(*(problems[column].to_pylist() for column in _EXTRACTION), strict=True)
    return [Cost(**dict(zip(_EXTRACTION.values(), map(_number, row), strict=True))) for row in amounts]


def hidden_states_in(problems: pa.Table) -> HiddenStates | None:
    """Hidden states of all problems; None if the table has none."""
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


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
