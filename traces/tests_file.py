"""Files of tests.

A row names its problem and holds a test: code of any kind (``code``, ``test``), a list of codes that are
one test each (``tests``, ``test_list``), or an input of a program with its expected output (``stdin`` and
``expected_stdout``, ``input`` and ``output``), which may be missing. ``kind`` names the form of code;
without it the code tells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbudget.rewards.errors import UserError, choice_sentence
from testbudget.rewards.problem import Problem, TestKind, UnitTest
from testbudget.rewards.stdin_case import StdinCase, stdin_cases
from testbudget.traces.forms.cases import (
    INPUT_NAMES,
    OUTPUT_NAMES,
    case_of,
    check_one_output,
    paired,
    printed_text,
)
from testbudget.traces.forms.truths import kind_of_code
from testbudget.traces.program_rows import (
    NO_NAMES,
    UnknownProblems,
    problem_of,
    row_mistake,
    rows_of_programs,
)
from testbudget.traces.rows.field_names import check_field_names
from testbudget.traces.rows.mistakes import Mistakes, RowError
from testbudget.traces.rows.row import shown
from testbudget.traces.rows.row_fields import RowFields, as_text, parsed_text

_RULE = "tests.from_file must be a file of tests (JSONL, JSON, CSV, Parquet)"
_MAPPED = ("problem", "kind", "code", "tests", "stdin", "expected_stdout", "inputs", "outputs")
_CODES = ("code", "test", "tests", "test_list", "unit_test", "assertion")


@dataclass(frozen=True, slots=True)
class TestRow:
    """A test of a file.

    Attributes:
        test: the test; its index counts the tests of its problem, in the order of the file.
        metadata: other fields of the row.
        place: file and line.
    """

    __test__ = False  # pytest would collect it by its name

    test: UnitTest
    metadata: Mapping[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class TestFile:
    """Tests of a file.

    Attributes:
        tests: tests by id of the problem, in the order of the file; empty for one that has none.
        warnings: sentences with their places.
    """

    __test__ = False

    tests: Mapping[str, Sequence[TestRow]]
    warnings: Sequence[str]


def read_test_file(
    path: Path, problems: Sequence[Problem], names: Mapping[str, str] = NO_NAMES
) -> TestFile:
    """Tests of a file, for some problems.

    Args:
        path: file or dataset directory.
        problems: the problems; a row of any other is told as a warning.
        names: column of the file by field (problem, kind, code, tests, stdin, expected_stdout, inputs,
            outputs), where they differ.

    Raises:
        UserError: the file cannot be read, a row has not the fields of a test, no row belongs to one of
            the problems, or names has an unknown field or column.
    """
    check_field_names(names, _MAPPED, "a test")
    mistakes = Mistakes()
    by_id = {problem.id: problem for problem in problems}
    found: dict[str, list[TestRow]] = {problem.id: [] for problem in problems}
    unknown = UnknownProblems(by_id)
    for row in rows_of_programs(path, _RULE, mistakes, by_id, names):
        fields = RowFields(row.fields, names)
        try:
            identifier = problem_of(fields)
            tests = _tests(fields, by_id.get(identifier))
            metadata = fields.metadata()
        except RowError as error:
            mistakes.add(row_mistake(row, error, mistakes, "tests"))
            continue
        if identifier not in by_id:
            unknown.add(identifier, row.place)
            continue
        of_problem = found[identifier]
        for code, kind in tests:
            test = UnitTest(identifier, len(of_problem), code, kind=kind)
            of_problem.append(TestRow(test, metadata, row.place))
    mistakes.refuse()
    warnings = unknown.sentences("tests")
    if not any(found.values()):
        reason = warnings[0] if warnings else "it is empty"
        raise UserError(f"{path} must hold tests of the problems but {reason}")
    return TestFile(found, warnings)


def _tests(fields: RowFields, problem: Problem | None) -> list[tuple[str, TestKind]]:
    """Codes of the tests of a row with their kinds.

    Raises:
        RowError: the row has no fields of a test, or they do not fit the problem.
    """
    kind = _kind(fields)
    name = fields.present(*_CODES, "inputs", *INPUT_NAMES)
    if name not in _CODES:
        return [(code, _fitting(TestKind.STDIN, problem)) for code in _cases(fields)]
    value = fields.value(name)
    if isinstance(value, str) and value.lstrip().startswith("[") and name in ("tests", "test_list"):
        value = parsed_text(value, name)
    values = value if isinstance(value, list | tuple) else [value]
    if values and all(isinstance(pair, Mapping) for pair in values):
        return [(_case(*case_of(pair, name)), _fitting(TestKind.STDIN, problem)) for pair in values]
    codes = [as_text(code, name) for code in values]
    if not codes or not all(code.strip() for code in codes):
        raise RowError(f"{name} must not be empty")
    return [(_code(code, kind, name), _fitting(kind or kind_of_code(code), problem)) for code in codes]


def _kind(fields: RowFields) -> TestKind | None:
    text = fields.optional_text("kind")
    if text is not None and text not in list(TestKind):
        raise RowError(choice_sentence("kind", text, TestKind))
    return None if text is None else TestKind(text)


def _code(code: str, kind: TestKind | None, name: str) -> str:
    if kind is TestKind.STDIN:
        try:
            stdin_cases(code)
        except ValueError:
            raise RowError(
                f"{name} must be JSON of stdin and expected_stdout, as kind is stdin, but got {shown(code)}"
            ) from None
    return code


def _cases(fields: RowFields) -> list[str]:
    """Codes of tests of a program: an input with or without an output, or columns of both.

    Raises:
        RowError: there is no input, or one of another type.
    """
    if "inputs" in fields:
        pairs = paired(fields.parsed("inputs"), fields.parsed("outputs"), "inputs")
        return [_case(given, expected) for given, expected in pairs]
    given = fields.value(*INPUT_NAMES)
    if given is None:
        raise RowError("code is required but it is missing")
    return [_case(given, fields.value(*OUTPUT_NAMES))]


def _case(given: Any, expected: Any) -> str:
    if expected is None:
        return StdinCase(printed_text(given, "stdin")).as_text()
    check_one_output(expected, "expected_stdout")
    return StdinCase(printed_text(given, "stdin"), printed_text(expected, "expected_stdout")).as_text()


def _fitting(kind: TestKind, problem: Problem | None) -> TestKind:
    """The kind, if the problem is of that kind.

    Raises:
        RowError: it is not.
    """
    if problem is not None and kind is TestKind.STDIN and problem.entry_point is not None:
        raise RowError(
            f"kind must not be stdin, since problem {problem.id} has the entry point {problem.entry_point}"
        )
    truth = None if problem is None else problem.ground_truth
    if problem and truth and truth.kind is TestKind.STDIN and kind is not TestKind.STDIN:
        raise RowError(
            f"kind must be stdin but is {kind}, since that is the kind of the ground truth of "
            f"problem {problem.id}"
        )
    return kind
