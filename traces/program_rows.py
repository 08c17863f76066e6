"""Rows of candidates and of tests in files, with the names that people give their columns."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from testbudget.rewards.errors import did_you_mean
from testbudget.rewards.problem import Problem
from testbudget.traces.rows.field_names import check_columns, renamed_columns
from testbudget.traces.rows.mistakes import Mistakes, RowError
from testbudget.traces.rows.reader import read_row_files
from testbudget.traces.rows.row import Row
from testbudget.traces.rows.row_fields import RowFields

_PROBLEM = ("problem", "problem_id", "task_id", "question_id", "id", "name")
_TOLD = 5
NO_NAMES: Mapping[str, str] = MappingProxyType({})
"""Mapping of no field to another column."""


def rows_of_programs(
    path: Path,
    rule: str,
    mistakes: Mistakes,
    problems: Mapping[str, Problem],
    names: Mapping[str, str] = NO_NAMES,
) -> Iterator[Row]:
    """Rows of a file of candidates or tests.

    A row whose columns are ids of problems (``{id: code}``, ``{id: [code, ...]}``) becomes one for each.

    Args:
        path: file or dataset directory.
        rule: beginning of the sentence if it cannot be read.
        mistakes: takes a sentence for each row that cannot be read.
        problems: problems by id.
        names: column by field, where they differ.

    Raises:
        UserError: the file cannot be read at all, or no row has a column of names.
    """
    columns: dict[str, None] = {}
    for row in read_row_files(path, rule, mistakes):
        columns.update(dict.fromkeys(row.fields))
        if names:
            yield Row(row.place, renamed_columns(row.fields, names))
        elif row.fields and all(name in problems for name in row.fields):
            for name, value in row.fields.items():
                codes = value if isinstance(value, list) else [value]
                yield from (Row(f"{row.place} {name}", {"problem": name, "code": code}) for code in codes)
        else:
            yield row
    check_columns(names, columns, str(path))


def problem_of(fields: RowFields) -> str:
    """Id of the problem of a row.

    Raises:
        RowError: the row names none.
    """
    # The others are not read: an id beside the problem is the row's own, and rides along.
    return fields.identifier(fields.present(*_PROBLEM) or _PROBLEM[0])


def has_fence(text: str) -> bool:
    """Return whether a text holds a Markdown fence, so that it is an answer rather than a program."""
    return re.search(r"^\s*(```|~~~)", text, re.MULTILINE) is not None


def defines_name(code: str, entry_point: str, language: str) -> bool:
    """Return whether a program seems to define an entry point; a pattern decides, not a parser.

    Args:
        code: the program.
        entry_point: name of a function or class, or a method of a class.
        language: programming language. For any but Python it is enough that the name occurs.
    """
    first, *methods = re.findall(r"[\w$]+", entry_point) or [entry_point]
    name = re.escape(first)
    if language != "python":
        return re.search(rf"(?<![\w$]){name}(?![\w$])", code) is not None
    patterns = [rf"\b(def|class)\s+{name}\b", rf"^\s*{name}\b[^\n]*=", rf"\bimport\b[^\n]*\b{name}\b"]
    defined = any(re.search(pattern, code, re.MULTILINE) for pattern in patterns)
    return defined and all(re.search(rf"\b{re.escape(method)}\b", code) for method in methods)


def row_mistake(row: Row, error: RowError, mistakes: Mistakes, section: str) -> str:
    """Sentence on a row that cannot be read; the first one lists the columns if a field is missing.

    Args:
        row: the row.
        error: the reason.
        mistakes: sentences on earlier rows.
        section: section of the job file whose ``fields`` name columns.
    """
    hint = ""
    if str(error).endswith("is required but it is missing") and not mistakes:
        there = ", ".join(row.fields) or "no columns"
        name = str(error).partition(" ")[0]
        hint = f": the row has {there}; {section}.fields {{{name}: COLUMN}} names another"
    return f"{row.place} {error}{hint}"


class UnknownProblems:
    """Rows of problems that are not asked for, counted by problem.

    Args:
        problems: problems by id.
    """

    def __init__(self, problems: Mapping[str, Problem]) -> None:
        self._known = list(problems)
        self._first: dict[str, str] = {}
        self._rows: Counter[str] = Counter()

    def add(self, identifier: str, place: str) -> None:
        """Count a row of a problem that is not known."""
        self._first.setdefault(identifier, place)
        self._rows[identifier] += 1

    def sentences(self, noun: str) -> list[str]:
        """Warnings, one for each of the first problems, and one for all others.

        Args:
            noun: noun for the rows, in the plural.
        """
        told = [
            f"{place} problem {identifier!r} is not among the problems, so its {noun} are left out "
            f"({self._rows[identifier]}){did_you_mean(identifier, self._known)}"
            for identifier, place in list(self._first.items())[:_TOLD]
        ]
        rest = len(self._first) - len(told)
        return told + ([f"{noun} of {rest} further problems are left out too"] if rest else [])
