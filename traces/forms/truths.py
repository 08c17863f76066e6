"""Ground truths in the forms that people use: code, lists of it, and pairs of input and output."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from testbudget.rewards.comparison import Comparison
from testbudget.rewards.errors import choice_sentence
from testbudget.rewards.problem import GroundTruth, TestKind
from testbudget.traces.forms.cases import call_tests, case_of, check_one_output, paired, stdin_tests
from testbudget.traces.rows.mistakes import RowError
from testbudget.traces.rows.row import shown
from testbudget.traces.rows.row_fields import as_text

_KINDS = (
    (TestKind.CHECK, re.compile(r"^(async )?def check\(", re.MULTILINE)),
    (TestKind.UNITTEST, re.compile(r"^class \w+\(.*TestCase.*\)", re.MULTILINE)),
    (TestKind.PYTEST, re.compile(r"^(async )?def test_?\w*\(|^class Test\w*", re.MULTILINE)),
)


def kind_of_code(code: str) -> TestKind:
    """Form of a test, by what it defines at its top level."""
    return next((kind for kind, pattern in _KINDS if pattern.search(code)), TestKind.ASSERT)


def ground_truth_of(
    value: Any, entry_point: str | None, comparison: Comparison, language: str = "python"
) -> GroundTruth | None:
    """Ground truth of the field of that name.

    Args:
        value: a program; a list of programs; a list of pairs of input and output, of a program without an
            entry point and of calls with one; an object of ``kind`` and ``tests``, or of ``inputs`` and
            ``outputs``; or a text that is the JSON of one of these.
        entry_point: name that calls use; None for programs that read standard input.
        comparison: comparison of outputs.
        language: programming language of the problem.

    Returns:
        The ground truth; None if the value is missing or empty.

    Raises:
        RowError: the value has none of these forms.
    """
    value = _without_texts(_unfolded(value))
    if value is None or value in ("", []):
        return None
    match value:
        case str():
            as_text(value, "ground_truth")
            return GroundTruth(kind_of_code(value), (value,))
        case list() if all(isinstance(entry, str) for entry in value):
            return _of_codes(value, None)
        case list():
            pairs = [case_of(pair, "ground_truth") for pair in value]
            reads = any(isinstance(pair, Mapping) and "stdin" in pair for pair in value)
            return of_pairs(pairs, None if reads else entry_point, comparison, language)
        case {"kind": kind, "tests": tests} | {"kind": kind, "cases": tests}:
            return _of_kind(kind, _unfolded(tests), entry_point, comparison, language)
        case {"inputs": inputs, "outputs": outputs} | {"input": inputs, "output": outputs}:
            return of_pairs(paired(inputs, outputs, "ground_truth"), entry_point, comparison, language)
    raise RowError(
        "ground_truth must be a program, a list of programs, a list of pairs {input, output}, or an object "
        f"{{kind, tests}}, but got {shown(value)}"
    )


def of_pairs(
    pairs: Sequence[tuple[Any, Any]],
    entry_point: str | None,
    comparison: Comparison,
    language: str,
    place: str = "ground_truth",
) -> GroundTruth | None:
    """Ground truth of pairs: of standard input without an entry point, of calls with one.

    Returns:
        The ground truth; None without pairs.

    Raises:
        RowError: the pairs have not the types of values for that.
    """
    if not pairs:
        return None
    if entry_point is None:
        for _, expected in pairs:
            check_one_output(expected, place)
        return GroundTruth(TestKind.STDIN, stdin_tests(pairs, place))
    if language != "python":
        raise RowError(f"{place} must be code in {language}, since calls are written for Python only")
    calls = [(arguments, [expected]) for arguments, expected in pairs]
    return GroundTruth(TestKind.ASSERT, call_tests(entry_point, calls, comparison, place))


def _of_kind(
    kind: Any, tests: Any, entry_point: str | None, comparison: Comparison, language: str
) -> GroundTruth | None:
    if kind in ("functional", "call", "calls"):
        pairs = [case_of(pair, "ground_truth.tests") for pair in _listed(tests)]
        return of_pairs(pairs, entry_point, comparison, language)
    if kind not in list(TestKind):
        raise RowError(choice_sentence("ground_truth.kind", str(kind), [*TestKind, "functional"]))
    if kind == TestKind.STDIN:
        pairs = [case_of(_unfolded(pair), "ground_truth.tests") for pair in _listed(tests)]
        return of_pairs(pairs, None, comparison, language)
    return _of_codes([tests] if isinstance(tests, str) else _listed(tests), TestKind(kind))


def _listed(tests: Any) -> Sequence[Any]:
    if isinstance(tests, Mapping) and {"inputs", "outputs"} <= tests.keys():
        return paired(tests["inputs"], tests["outputs"], "ground_truth.tests")
    if not isinstance(tests, list):
        raise RowError(f"ground_truth.tests must be a list but got {shown(tests)}")
    return tests


def _of_codes(codes: Sequence[Any], kind: TestKind | None) -> GroundTruth:
    texts = [as_text(code, "ground_truth") for code in codes]
    if not texts or not all(text.strip() for text in texts):
        raise RowError("ground_truth must not hold an empty test")
    return GroundTruth(kind or kind_of_code("\n".join(texts)), tuple(texts))


def _unfolded(value: Any) -> Any:
    """The value of a text that is JSON of a list or an object; any other value as it is."""
    if isinstance(value, bytes):
        value = as_text(value, "ground_truth")
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, list | dict) else value
    return list(value) if isinstance(value, tuple) else value


def _without_texts(value: Any) -> Any:
    """A list of texts that are JSON objects as a list of objects; any other value as it is."""
    if not isinstance(value, list):
        return value
    parsed = [_unfolded(entry) for entry in value]
    return parsed if all(isinstance(entry, dict) for entry in parsed) else value
