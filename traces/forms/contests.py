"""Forms of sets from programming contests: APPS, TACO and CodeContests.

APPS is arXiv 2105.09938, TACO arXiv 2312.14852, CodeContests arXiv 2203.07814.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.traces.forms.cases import call_tests, paired, stdin_tests
from testbudget.traces.forms.form import FormDefaults, ProblemForm
from testbudget.traces.forms.own import comparison_of
from testbudget.traces.rows.mistakes import RowError
from testbudget.traces.rows.row import shown
from testbudget.traces.rows.row_fields import RowFields, as_text, language_name

_LANGUAGES = ("unknown", "python2", "cpp", "python", "java")
"""Languages of CodeContests by their number."""


def _read_apps(row: RowFields, defaults: FormDefaults) -> Problem:
    identifier = row.optional_identifier("problem_id", "task_id", "id")
    question = row.text("question", "prompt")
    starter = row.optional_text("starter_code")
    language = row.language(defaults.language)
    comparison = comparison_of(row.value("comparison"))
    cases = row.parsed("input_output")
    if cases is not None and not isinstance(cases, Mapping):
        raise RowError(f"input_output must be an object of inputs and outputs but got {shown(cases)}")
    cases = cases or {}
    pairs = paired(cases.get("inputs") or [], cases.get("outputs") or [], "input_output")
    name = cases.get("fn_name")
    entry_point = None
    truth = None
    if name is not None:
        name = as_text(name, "input_output.fn_name")
        entry_point = (
            f"Solution.{name}" if re.search(r"^class +Solution\b", starter or "", re.MULTILINE) else name
        )
        if language != "python":
            raise RowError(f"input_output.fn_name is read for Python only but the language is {language}")
        calls = [(_list(arguments), _right(expected)) for arguments, expected in pairs]
        codes = call_tests(entry_point, calls, comparison, "input_output.inputs")
        truth = GroundTruth(TestKind.ASSERT, codes) if codes else None
    elif pairs:
        truth = GroundTruth(TestKind.STDIN, stdin_tests(pairs, "input_output"))
    if truth is None:
        row.warnings.append("has no inputs and outputs, so its candidates get no labels")
    solutions = row.texts("solutions")
    return Problem(
        str(defaults.number) if identifier is None else identifier,
        f"{question.rstrip()}\n\n{starter.rstrip()}\n" if starter else question,
        entry_point,
        language,
        truth,
        comparison,
        row.optional_text("reference") or (solutions[0] if solutions and language == "python" else None),
        row.metadata(),
    )


def _list(arguments: Any) -> Any:
    return arguments if isinstance(arguments, list | dict) else [arguments]


def _right(expected: Any) -> Sequence[Any]:
    """Right results of a call. Some rows wrap a result into a list of one, so both are right, as there."""
    return [expected, expected[0]] if isinstance(expected, list) and len(expected) == 1 else [expected]


def _read_code_contests(row: RowFields, defaults: FormDefaults) -> Problem:
    identifier = row.optional_identifier("name", "id")
    description = row.text("description", "prompt")
    language = row.language(defaults.language)
    comparison = comparison_of(row.value("comparison"))
    pairs = [
        pair for name in ("public_tests", "private_tests", "generated_tests") for pair in _pairs(row, name)
    ]
    if not pairs:
        row.warnings.append("has no tests, so its candidates get no labels")
    if row.optional_text("input_file"):
        row.warnings.append("its programs read a file, and here they get it on standard input")
    metadata = row.metadata("solutions", "incorrect_solutions")
    return Problem(
        str(defaults.number) if identifier is None else identifier,
        description,
        None,
        language,
        GroundTruth(TestKind.STDIN, stdin_tests(pairs, "tests")) if pairs else None,
        comparison,
        row.optional_text("reference") or _solution(row.parsed("solutions"), language),
        metadata,
    )


def _pairs(row: RowFields, name: str) -> list[tuple[Any, Any]]:
    found = row.parsed(name)
    if found is None:
        return []
    if isinstance(found, list):
        found = {
            "input": [test.get("input") for test in found if isinstance(test, Mapping)],
            "output": [test.get("output") for test in found if isinstance(test, Mapping)],
        }
    if not isinstance(found, Mapping) or not {"input", "output"} <= found.keys():
        raise RowError(f"{name} must be an object of input and output but got {shown(found)}")
    return paired(found["input"], found["output"], name)


def _solution(solutions: Any, language: str) -> str | None:
    """First solution in a language; None if there is none."""
    if isinstance(solutions, list):
        rows = [one for one in solutions if isinstance(one, Mapping)]
        languages = [one.get("language") for one in rows]
        texts = [one.get("solution") for one in rows]
    elif isinstance(solutions, Mapping):
        languages, texts = solutions.get("language") or [], solutions.get("solution") or []
    else:
        return None
    for code, text in zip(languages, texts, strict=False):
        name = _LANGUAGES[code] if isinstance(code, int) and 0 <= code < len(_LANGUAGES) else str(code)
        if language_name(name) == language and isinstance(text, str):
            return text
    return None


APPS = ProblemForm(
    "apps",
    (frozenset({"question", "input_output"}),),
    frozenset(
        "problem_id question solutions input_output starter_code language comparison reference".split()
    ),
    _read_apps,
)
"""APPS and TACO."""

CODE_CONTESTS = ProblemForm(
    "codecontests",
    (
        frozenset({"description", "public_tests"}),
        frozenset({"description", "private_tests"}),
        frozenset({"description", "generated_tests"}),
    ),
    frozenset(
        "name description public_tests private_tests generated_tests solutions input_file language "
        "comparison reference".split()
    ),
    _read_code_contests,
)
"""CodeContests."""
