"""Reasons of pairs on disk: compressed bytes in the event log, the table ``reasons`` in a run directory.

``reasons`` has one row for each distinct reason of a test: the sentence, a column for each detail, and the
positions of the programs that have it among the problem's distinct programs. ``cut_at`` holds, for each of
these programs, the CPU-seconds after which the pair was cut off; it is null if none was. A run without
reasons, such as an imported one, has no such table.
"""

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa

from testbudget.rewards.verdict_reason import DetailName, VerdictReason
from testbudget.traces.paged_tables import PagedMapping
from testbudget.traces.pair_reasons import NO_REASON, PairReasons, distinct_reasons
from testbudget.traces.tables import is_paged, paged_table, read_table, table_writer

REASONS_TABLE = "reasons"
"""Name of the table."""
_TEXTS = ("reason", *DetailName)
_TABLE = pa.schema(
    [
        ("problem_id", pa.string()),
        ("test", pa.int32()),
        *((name, pa.string()) for name in _TEXTS),
        ("programs", pa.list_(pa.int32())),
        ("cut_at", pa.list_(pa.float32())),
    ]
)
_FAST = 1  # level of compression; a run waits for its log


def pack_reasons(pair_reasons: PairReasons) -> bytes:
    """Reasons of pairs as compressed bytes."""
    reasons = pair_reasons.reasons
    smallest = np.min_scalar_type(-max(len(reasons), 1))
    details = [reason.detail for reason in reasons]
    named: set[str] = set().union(*details)
    content = (
        pair_reasons.tests,
        [reason.sentence for reason in reasons],
        {str(name): [detail.get(name) for detail in details] for name in DetailName if name in named},
        smallest.str,
        pair_reasons.numbers.astype(smallest).tobytes(),
        pair_reasons.cut_at.tobytes() if pair_reasons.cut_at.any() else None,
    )
    # A message may hold half a surrogate pair, which UTF-8 cannot hold.
    return zlib.compress(msgpack.packb(content, unicode_errors="surrogatepass"), _FAST)


def unpack_reasons(packed: bytes) -> PairReasons:
    """Reasons of pairs from the bytes of :func:`pack_reasons`."""
    content = msgpack.unpackb(zlib.decompress(packed), unicode_errors="surrogatepass")
    tests, sentences, details, dtype, numbers, cut_at = content
    table = np.frombuffer(numbers, dtype).astype(np.int32).reshape(-1, len(tests))
    named = {DetailName(name): column for name, column in details.items()}
    return PairReasons(
        tuple(tests),
        tuple(
            VerdictReason(
                sentence,
                {name: column[row] for name, column in named.items() if column[row] is not None},
            )
            for row, sentence in enumerate(sentences)
        ),
        table,
        np.zeros(table.shape, np.float32)
        if cut_at is None
        else np.frombuffer(cut_at, np.float32).reshape(table.shape),
    )


def write_reasons(reasons_by_problem: Iterable[tuple[str, PairReasons]], directory: Path) -> None:
    """Write the table of a run's reasons atomically.

    Args:
        reasons_by_problem: problem ids with reasons. If it is empty, an earlier table is removed.
        directory: the run directory.

    Raises:
        OSError: the file cannot be written.
    """
    with table_writer(directory / f"{REASONS_TABLE}.parquet") as writer:
        if (table := table_of_reasons(reasons_by_problem)) is not None:
            writer.add(table)


def table_of_reasons(reasons_by_problem: Iterable[tuple[str, PairReasons]]) -> pa.Table | None:
    """Table of the reasons of some problems; None if there are none."""
    columns: dict[str, list[Any]] = {name: [] for name in _TABLE.names}
    for problem, pair_reasons in reasons_by_problem:
        for column, test in enumerate(pair_reasons.tests):
            for reason, programs in pair_reasons.of_column(column):
                texts = (reason.sentence, *(reason.detail.get(name) for name in DetailName))
                cut_at = pair_reasons.cut_at[programs, column]
                row = (problem, test, *map(_storable, texts), programs, cut_at if cut_at.any() else None)
                for values, value in zip(columns.values(), row, strict=True):
                    values.append(value)
    return pa.table(columns, schema=_TABLE) if columns["test"] else None


def read_reasons(directory: Path) -> Mapping[str, PairReasons]:
    """Reasons of a finished run by problem id; empty if the run has none.

    The rows of ``PairReasons.numbers`` are the problem's distinct programs, up to the last one that has a
    reason.

    Raises:
        UserError: the table is damaged, lacks a column, or has another schema version.
    """
    if not (directory / f"{REASONS_TABLE}.parquet").exists():
        return {}
    if is_paged(directory):
        table = paged_table(directory, REASONS_TABLE, _TABLE)
        return PagedMapping(table.problems, lambda problem: _reasons_of(table.of(problem).to_pylist()))
    rows: dict[str, list[dict[str, Any]]] = {}
    for batch in read_table(directory, REASONS_TABLE, _TABLE).to_batches():
        for row in batch.to_pylist():
            rows.setdefault(row["problem_id"], []).append(row)
    return {problem: _reasons_of(of_problem) for problem, of_problem in rows.items()}


def _reasons_of(rows: list[dict[str, Any]]) -> PairReasons:
    """Reasons of one problem from its rows."""
    reasons, numbers = distinct_reasons(
        [
            VerdictReason(row["reason"], {name: row[name] for name in DetailName if row[name] is not None})
            for row in rows
        ]
    )
    tests = tuple(dict.fromkeys(row["test"] for row in rows))
    places = {test: place for place, test in enumerate(tests)}
    shape = (1 + max(max(row["programs"]) for row in rows), len(tests))
    table, cut_at = np.full(shape, NO_REASON, np.int32), np.zeros(shape, np.float32)
    for number, row in zip(numbers.tolist(), rows, strict=False):
        table[row["programs"], places[row["test"]]] = number
        if row["cut_at"] is not None:
            cut_at[row["programs"], places[row["test"]]] = row["cut_at"]
    return PairReasons(tests, reasons, table, cut_at)


def _storable(text: str | None) -> str | None:
    return None if text is None else text.encode(errors="replace").decode()
