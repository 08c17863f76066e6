"""This project's own form of problems."""

import re
from typing import Any

from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison, TextComparison
from testbudget.rewards.errors import UserError, choice_sentence
from testbudget.rewards.problem import Problem, TestKind
from testbudget.traces.forms.called_names import only_called_name
from testbudget.traces.forms.form import FormDefaults, ProblemForm, entry_point_of
from testbudget.traces.forms.truths import ground_truth_of
from testbudget.traces.rows.mistakes import RowError
from testbudget.traces.rows.row import shown
from testbudget.traces.rows.row_fields import RowFields, as_text, parsed_text

_READS_INPUT = re.compile(
    r"\bstdin\b|standard[ -]input|\binput\(\)|\bprints?\b|\bthe (first|only|input) line\b|^-*input-*$",
    re.IGNORECASE | re.MULTILINE,
)


def comparison_of(value: Any) -> Comparison:
    """Comparison of outputs of a row.

    Args:
        value: name of a comparison of texts, or an object of the fields of ``Comparison``, or its JSON;
            None for the default.

    Raises:
        RowError: it is none of these.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = parsed_text(value, "comparison")
    if value is None or value == "":
        return DEFAULT_COMPARISON
    fields: Any = {"text": value} if isinstance(value, str) else value
    if not isinstance(fields, dict):
        raise RowError(f"comparison must be a name or an object but got {shown(value)}")
    known = ("text", "absolute", "relative", "checker")
    if unknown := [name for name in fields if name not in known]:
        raise RowError(choice_sentence("the fields of comparison", str(unknown[0]), known))
    fields = {name: given for name, given in fields.items() if given is not None}
    if fields.get("text", "lines") not in list(TextComparison):
        raise RowError(choice_sentence("comparison.text", str(fields["text"]), TextComparison))
    for name in ("absolute", "relative"):
        number = fields.get(name, 0.0)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise RowError(f"comparison.{name} must be a number but got {shown(number)}")
    if "checker" in fields and "def checker" not in as_text(fields["checker"], "comparison.checker"):
        raise RowError("comparison.checker must be a program that defines checker(input, expected, actual)")
    try:
        return Comparison(**{**fields, "text": TextComparison(fields.get("text", "lines"))})
    except UserError as error:
        raise RowError(str(error)) from None


def _read(row: RowFields, defaults: FormDefaults) -> Problem:
    identifier = row.identifier("id")
    prompt = row.text("prompt")
    entry_point = entry_point_of(row, "entry_point")
    language = row.language(defaults.language)
    comparison = comparison_of(row.value("comparison"))
    given = row.value("ground_truth")
    if (isinstance(given, str) and not given.strip()) or (isinstance(given, list) and not given):
        row.warnings.append("ground_truth is empty, so its candidates get no labels")
        given = None
    truth = ground_truth_of(given, entry_point, comparison, language)
    if truth is not None and truth.kind is TestKind.STDIN and entry_point is not None:
        row.warnings.append(
            f"entry_point {entry_point} is not used, since the ground truth is standard input"
        )
        entry_point = None
    if entry_point is None and truth is None and not _READS_INPUT.search(prompt):
        row.warnings.append("has no entry_point, so it is taken for a program that reads standard input")
    if entry_point is None and truth is not None and truth.kind is not TestKind.STDIN:
        entry_point = only_called_name(truth.tests) if language == "python" else None
        found = "so candidates are not checked to define one"
        if entry_point is not None:
            found = f"so it is {entry_point}, which its ground truth calls"
        row.warnings.append(f"has no entry_point, {found}")
    reference = row.optional_text("reference")
    return Problem(identifier, prompt, entry_point, language, truth, comparison, reference, row.metadata())


OWN = ProblemForm(
    "own",
    (),
    frozenset("id prompt entry_point language ground_truth comparison reference".split()),
    _read,
)
"""Rows of ``id`` and ``prompt``, and optionally the other fields of ``Problem``."""
