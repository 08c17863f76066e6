"""Columns of a file under the names of the fields that are read from them, by a mapping of the user's."""

from collections.abc import Collection, Mapping
from typing import Any

from testbudget.rewards.errors import FieldError, did_you_mean


def renamed_columns(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The row with its columns under the names of the fields that are read from them.

    Args:
        row: fields of the row.
        names: column by field; ``a.b`` is field b of the object in column a.
    """
    if not names:
        return dict(row)
    renamed = {name: value for name, value in row.items() if name not in names.values()}
    for ours, theirs in names.items():
        value: Any = row.get(theirs)
        if theirs not in row and "." in theirs:
            value = row
            for part in theirs.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            renamed.pop(ours, None)
        else:
            renamed[ours] = value
    return renamed


def check_field_names(names: Mapping[str, str], known: Collection[str], reader: str) -> None:
    """Refuse names of fields that are not read.

    Args:
        names: column by field.
        known: names of the fields that are read.
        reader: noun for what reads them, such as ``the form own``.

    Raises:
        FieldError: one is unknown.
    """
    for name in names:
        if name not in known:
            raise FieldError(
                f"fields.{name}",
                f"must be a field of {reader} ({', '.join(known)}) but it is none"
                f"{did_you_mean(name, known)}",
            )


def check_columns(names: Mapping[str, str], columns: Collection[str], place: str) -> None:
    """Refuse a mapping of fields to columns that no row has.

    Args:
        names: column by field.
        columns: columns of all rows; none if there is no row.
        place: the file.

    Raises:
        FieldError: a column is in no row.
    """
    for name, column in names.items():
        if columns and column not in columns and column.partition(".")[0] not in columns:
            raise FieldError(
                f"fields.{name}",
                f"must name a column of {place} ({', '.join(columns)}) but got "
                f"{column!r}{did_you_mean(column, columns)}",
            )
