"""Contract of the forms that rows of problems have."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from testbudget.rewards.problem import Problem
from testbudget.traces.rows.mistakes import RowError
from testbudget.traces.rows.row_fields import RowFields

_ENTRY_POINT = re.compile(r"[^\W\d][\w$]*(\(\))?(\.[^\W\d][\w$]*(\(\))?)*|\$[\w$]*")


@dataclass(frozen=True, slots=True)
class FormDefaults:
    """Values of a problem that its row does not have.

    Attributes:
        language: programming language.
        number: number of the row, from 0, which is the id where the form has none.
    """

    language: str
    number: int


@dataclass(frozen=True, slots=True)
class ProblemForm:
    """Form of rows of problems.

    Attributes:
        name: name as a preset.
        columns: sets of columns, by each of which rows of this form are recognised.
        fields: names that the form reads.
        read: function from a row to its problem; it raises ``RowError`` for a row that it cannot read.
    """

    name: str
    columns: tuple[frozenset[str], ...]
    fields: frozenset[str]
    read: Callable[[RowFields, FormDefaults], Problem]


def entry_point_of(row: RowFields, *names: str) -> str | None:
    """Entry point of a row; None if it has none.

    Raises:
        RowError: it is no name of a function, class or method.
    """
    text = row.optional_text(*names)
    if text is None:
        return None
    name = text.strip().removesuffix("()")
    if not _ENTRY_POINT.fullmatch(name):
        raise RowError(f"{names[0]} must be a name such as f or Solution().f but got {text!r}")
    return name
