"""Tables of a large run read problem by problem, with some row groups in memory."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MAX_WHOLE = 2048
"""Problems of a run that is read at once. A larger one is read problem by problem."""

_GROUPS = 4  # row groups of a table in memory
_T = TypeVar("_T")


class PagedTable:
    """Rows of a table by problem.

    Args:
        path: a table with a column ``problem_id``.

    Attributes:
        schema: its columns.
        problems: ids of the problems that have rows, in the order of the table.

    Raises:
        OSError, pyarrow.ArrowInvalid: the file cannot be read, or has no such column.
    """

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        self.schema = self._file.schema_arrow
        self._groups_of: dict[str, list[int]] = {}
        for group in range(self._file.num_row_groups):
            ids = self._file.read_row_group(group, ["problem_id"])["problem_id"].unique()
            for problem in ids.to_pylist():
                self._groups_of.setdefault(problem, []).append(group)
        self.problems: Sequence[str] = list(self._groups_of)
        self._cache: OrderedDict[int, Mapping[str, pa.Table]] = OrderedDict()

    def of(self, problem: str) -> pa.Table:
        """Rows of a problem, in the order of the table; there may be none."""
        parts = [self._group(group)[problem] for group in self._groups_of.get(problem, ())]
        return pa.concat_tables(parts) if parts else self.schema.empty_table()

    def _group(self, group: int) -> Mapping[str, pa.Table]:
        if group in self._cache:
            self._cache.move_to_end(group)
        else:
            self._cache[group] = rows_by_problem(self._file.read_row_group(group))
            if len(self._cache) > _GROUPS:
                self._cache.popitem(last=False)
        return self._cache[group]


class PagedMapping(Mapping[str, _T], Generic[_T]):
    """Values by problem, each read when it is asked for; the last ``MAX_WHOLE`` are in memory.

    Args:
        problems: ids of the problems, in order.
        read: reads one.
    """

    def __init__(self, problems: Sequence[str], read: Callable[[str], _T]) -> None:
        self._problems = dict.fromkeys(problems)
        self._read = read
        self._cache: OrderedDict[str, _T] = OrderedDict()

    def __contains__(self, problem: object) -> bool:
        return problem in self._problems

    def __getitem__(self, problem: str) -> _T:
        if problem not in self._problems:
            raise KeyError(problem)
        if problem in self._cache:
            self._cache.move_to_end(problem)
        else:
            self._cache[problem] = self._read(problem)
            if len(self._cache) > MAX_WHOLE:
                self._cache.popitem(last=False)
        return self._cache[problem]

    def __iter__(self) -> Iterator[str]:
        return iter(self._problems)

    def __len__(self) -> int:
        return len(self._problems)


def rows_by_problem(table: pa.Table) -> dict[str, pa.Table]:
    """Rows of each problem, in their order, by the column ``problem_id``."""
    ids = table["problem_id"].combine_chunks().dictionary_encode()
    numbers = ids.indices.to_numpy()
    if (np.diff(numbers) < 0).any():
        order = np.argsort(numbers, kind="stable")
        table, numbers = table.take(order), numbers[order]
    rows = np.bincount(numbers, minlength=len(ids.dictionary))
    return {
        problem: table.slice(start, count)
        for problem, start, count in zip(
            ids.dictionary.to_pylist(), (np.cumsum(rows) - rows).tolist(), rows.tolist(), strict=True
        )
    }
