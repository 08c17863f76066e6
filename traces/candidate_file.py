"""Files of candidates.

A row names its problem (``problem``, ``task_id``, ...) and holds

- a whole program: ``code``, ``program`` or ``solution``;
- what continues the prompt: ``completion``, as samples of HumanEval have it;
- a model's answer: ``answer``, ``generation``, ``output``, ``response``, or a text of any name with a
  Markdown fence;
- or several of these: ``code_list``, ``output_list``, ``generations``, ``samples``, or a list under any of
  the names above.

Other fields are metadata of the candidate.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.traces.program_rows import (
    NO_NAMES,
    UnknownProblems,
    defines_name,
    has_fence,
    problem_of,
    row_mistake,
    rows_of_programs,
)
from testbudget.traces.rows.field_names import check_field_names
from testbudget.traces.rows.mistakes import Mistakes, RowError
from testbudget.traces.rows.row_fields import RowFields, as_text, parsed_text

_RULE = "candidates.from_file must be a file of candidates (JSONL, JSON, CSV, Parquet)"
_PROGRAMS = ("code", "program", "solution", "generated_code", "code_list", "programs", "solutions")
_CONTINUATIONS = ("completion", "completions")
_ANSWERS = (
    "answer generation output response output_list generations outputs responses answers samples "
    "raw_output raw_generation text"
).split()
_MAPPED = ("problem", "code", "completion", "answer")
_LISTS = frozenset(
    "code_list programs solutions completions output_list generations outputs responses answers "
    "samples".split()
)


class CandidateForm(StrEnum):
    """Form of a candidate's text.

    Attributes:
        PROGRAM: a whole program.
        ANSWER: a model's answer, with a program somewhere in it.
    """

    PROGRAM = "program"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A candidate of a file.

    Attributes:
        text: the program or the answer; what continues a prompt is joined with it.
        form: form of the text.
        metadata: other fields of the row.
        place: file and line.
    """

    text: str
    form: CandidateForm
    metadata: Mapping[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class CandidateFile:
    """Candidates of a file.

    Attributes:
        candidates: candidates by id of the problem, in the order of the file; empty for one that has none.
        warnings: sentences with their places.
    """

    candidates: Mapping[str, Sequence[CandidateRow]]
    warnings: Sequence[str]


def read_candidate_file(
    path: Path, problems: Sequence[Problem], names: Mapping[str, str] = NO_NAMES
) -> CandidateFile:
    """Candidates of a file, for some problems.

    Args:
        path: file or dataset directory.
        problems: the problems; a row of any other is told as a warning.
        names: column of the file by field (problem, code, completion, answer), where they differ.

    Raises:
        UserError: the file cannot be read, a row has not the fields of a candidate, no row belongs to
            one of the problems, or names has an unknown field or column.
    """
    check_field_names(names, _MAPPED, "a candidate")
    mistakes = Mistakes()
    by_id = {problem.id: problem for problem in problems}
    found: dict[str, list[CandidateRow]] = {problem.id: [] for problem in problems}
    unknown = UnknownProblems(by_id)
    warnings: list[str] = []
    for row in rows_of_programs(path, _RULE, mistakes, by_id, names):
        fields = RowFields(row.fields, names)
        try:
            identifier = problem_of(fields)
            texts = _texts(fields, by_id.get(identifier))
            metadata = fields.metadata(*_LISTS)  # which hold the same candidates in other forms
        except RowError as error:
            mistakes.add(row_mistake(row, error, mistakes, "candidates"))
            continue
        if identifier not in by_id:
            unknown.add(identifier, row.place)
            continue
        if not texts:
            warnings.append(f"{row.place} the row holds no program for problem {identifier}")
        for text, form in texts:
            warnings += [f"{row.place} {remark}" for remark in _remarks(text, form, by_id[identifier])]
            found[identifier].append(CandidateRow(text, form, metadata, row.place))
    mistakes.refuse()
    warnings = [*unknown.sentences("candidates"), *warnings]
    if not any(found.values()):
        raise UserError(
            f"{path} must hold candidates of the problems but {warnings[0] if warnings else 'it is empty'}"
        )
    return CandidateFile(found, warnings)


def _texts(fields: RowFields, problem: Problem | None) -> list[tuple[str, CandidateForm]]:
    """Texts of a row with their forms.

    Raises:
        RowError: the row has no field of a candidate, several, or one of another type.
    """
    # What is first in the lists is meant: rows with an answer often hold the program cut out of it, too.
    name = fields.present(*_PROGRAMS, *_CONTINUATIONS, *_ANSWERS)
    if name is None:
        raise RowError("code is required but it is missing")
    value = fields.value(name)
    if isinstance(value, str) and name in _LISTS:
        value = parsed_text(value, name)
    values = value if isinstance(value, list | tuple) else [value]
    return [_text(as_text(entry, name), name, problem) for entry in values]


def _text(text: str, name: str, problem: Problem | None) -> tuple[str, CandidateForm]:
    if name in _ANSWERS or has_fence(text):
        return text, CandidateForm.ANSWER
    if name in _CONTINUATIONS and problem is not None:
        entry = problem.entry_point
        if entry is not None and not defines_name(text, entry, problem.language):
            return problem.prompt + text, CandidateForm.PROGRAM
    return text, CandidateForm.PROGRAM


def _remarks(text: str, form: CandidateForm, problem: Problem) -> Iterator[str]:
    """Sentences about a candidate that cannot pass a test."""
    if not text.strip():
        yield f"the program for problem {problem.id} is empty"
        return
    entry = problem.entry_point if form is CandidateForm.PROGRAM else None
    if entry is not None and not defines_name(text, entry, problem.language):
        yield f"the program for problem {problem.id} does not define {entry}"
