"""Rows of CSV: the first line names the columns, an empty cell is no value."""

import csv
import io
from collections.abc import Iterator

from testbudget.traces.rows.mistakes import Mistakes
from testbudget.traces.rows.row import Row

_LONGEST_CELL = 2**31 - 1


def rows_of_csv(text: str, name: str, mistakes: Mistakes, *, tabs: bool) -> Iterator[Row]:
    """Rows of CSV with commas, semicolons or tabs; quoted cells may hold line ends.

    Args:
        text: the whole file.
        name: name of the file.
        mistakes: takes a sentence for each row that has not the columns of the first line.
        tabs: True if cells are separated by tabs.
    """
    csv.field_size_limit(_LONGEST_CELL)
    header = text.partition("\n")[0]
    separator = "\t" if tabs else ";" if ";" in header and "," not in header else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            place, line = f"{name}:{line}", reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = [cell.strip() for cell in cells]
                if repeated := sorted({one for one in columns if one and columns.count(one) > 1}):
                    mistakes.add(f"{place} must name each column once but got {', '.join(repeated)} twice")
                    return
            elif len(cells) != len(columns):
                mistakes.add(
                    f"{place} must have {len(columns)} cells, as the first line has, but got {len(cells)}"
                )
            else:
                row = zip(columns, cells, strict=True)
                yield Row(place, {column: cell for column, cell in row if column and cell})
    except csv.Error as error:
        mistakes.add(f"{name}:{line} must be CSV but {error}")
