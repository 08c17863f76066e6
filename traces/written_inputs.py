"""Table of written inputs: the inputs without expected values that a model wrote for each problem.

The table ``written_inputs`` has one row for each problem for which a model was asked. Calls and outputs on
the inputs are in ``calls``, ``inputs`` and ``outputs``, with the test ``WRITTEN_INPUTS``. A run that asked
for no inputs has no such table.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from testbudget.rewards.problem import NO_VERDICT, NOT_RUN
from testbudget.traces.records import TestRecord, TestStatus, VerdictRecord, WrittenInputs

WRITTEN_INPUTS_SCHEMA = pa.schema(
    [
        ("problem_id", pa.string()),
        ("status", pa.string()),
        ("text", pa.string()),
        ("seed", pa.int64()),
        ("tokens", pa.int32()),
        ("gpu_seconds", pa.float32()),
        ("mean_logprob", pa.float32()),
        ("tests", pa.int32()),
        ("inputs", pa.int32()),
        ("executed", pa.list_(pa.bool_())),
        ("cpu_seconds", pa.list_(pa.float32())),
    ]
)
"""Columns of the table; those from ``inputs`` on are null if the inputs were not executed."""


def written_inputs_table(written: Iterable[tuple[str, WrittenInputs]]) -> pa.Table:
    """The table of some problems, by problem id."""
    return pa.Table.from_pylist([_row(*one) for one in written], schema=WRITTEN_INPUTS_SCHEMA)


def written_inputs_in(table: pa.Table) -> Mapping[str, WrittenInputs]:
    """Written inputs in the table, by problem id."""
    return {row["problem_id"]: _written_inputs(row) for row in table.to_pylist()}


def written_inputs_path(directory: Path) -> Path:
    """Path of the table in a run directory."""
    return directory / "written_inputs.parquet"


def _row(problem: str, written: WrittenInputs) -> dict[str, Any]:
    answer, executed = written.answer, written.executed
    return {
        "problem_id": problem,
        "status": answer.status.value,
        "text": answer.text,
        "seed": answer.seed,
        "tokens": None if np.isnan(answer.tokens) else int(answer.tokens),
        "gpu_seconds": answer.gpu_seconds,
        "mean_logprob": answer.mean_logprob,
        "tests": written.tests,
        "inputs": None if executed is None else 1 + executed.input_mutations,
        "executed": None if executed is None else executed.verdicts != NOT_RUN,
        "cpu_seconds": None if executed is None else np.round(executed.cpu_seconds, 3),
    }


def _written_inputs(row: Mapping[str, Any]) -> WrittenInputs:
    nan = float("nan")
    answer = TestRecord(
        TestStatus(row["status"]),
        row["text"],
        row["seed"],
        nan if row["tokens"] is None else row["tokens"],
        nan if row["gpu_seconds"] is None else row["gpu_seconds"],
        mean_logprob=row["mean_logprob"],
    )
    if row["inputs"] is None:
        return WrittenInputs(answer, None, row["tests"])
    run = np.asarray(row["executed"], np.bool_)
    executed = VerdictRecord(
        np.where(run, np.uint8(NO_VERDICT), np.uint8(NOT_RUN)),
        np.asarray(row["cpu_seconds"], np.float32),
        np.zeros(len(run), np.bool_),
        row["inputs"] - 1,
    )
    return WrittenInputs(answer, executed, row["tests"])
