"""One row of a data file, with its place."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One row of a data file.

    Attributes:
        place: file and line, or file and number of the row, for messages.
        fields: values by column. Columns without a value (null, NaN, an empty cell of CSV) are left out.
    """

    place: str
    fields: dict[str, Any]


def with_values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that have a value: not null, and not NaN."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and not (isinstance(value, float) and math.isnan(value))
    }


def shown(value: object, width: int = 60) -> str:
    """A value as it is shown in a message, on one line and cut to a width."""
    text = " ".join(repr(value).split())
    return text if len(text) <= width else f"{text[: width - 3]}..."
