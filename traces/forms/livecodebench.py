"""Form of LiveCodeBench (Jain et al., arXiv 2403.07974)."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.traces.forms.cases import call_tests, stdin_tests
from testbudget.traces.forms.form import FormDefaults, ProblemForm, entry_point_of
from testbudget.traces.forms.own import comparison_of
from testbudget.traces.rows.mistakes import RowError
from testbudget.traces.rows.plain_pickle import read_plain_pickle
from testbudget.traces.rows.row import shown
from testbudget.traces.rows.row_fields import RowFields, as_text, parsed_text

_LARGEST = 2**30  # bytes of the tests of one problem, unpacked


def _read(row: RowFields, defaults: FormDefaults) -> Problem:
    identifier = row.identifier("question_id", "id")
    content = row.text("question_content", "prompt")
    starter = row.optional_text("starter_code") or ""
    language = row.language(defaults.language)
    comparison = comparison_of(row.value("comparison"))
    facts = row.parsed("metadata")
    public = _tests(row.value("public_test_cases"), "public_test_cases")
    private = _tests(row.value("private_test_cases"), "private_test_cases")
    tests = [*public, *private]
    kinds = {str(test.get("testtype", "stdin")) for test in tests}
    if kinds - {"stdin", "functional"} or len(kinds) > 1:
        found = ", ".join(sorted(kinds))
        raise RowError(f"testtype must be stdin or functional, and the same for all tests, but got {found}")
    functional = kinds == {"functional"} or (not kinds and bool(starter.strip()))
    entry_point = None
    truth = None
    if functional:
        entry_point = entry_point_of(row, "entry_point") or _entry_point(starter, facts)
        if language != "python":
            raise RowError(f"testtype functional is read for Python only but the language is {language}")
        calls = [(_arguments(test["input"]), [_value(test["output"], "output")]) for test in tests]
        codes = call_tests(entry_point, calls, comparison, "input")
        truth = GroundTruth(TestKind.ASSERT, codes) if codes else None
    elif tests:
        pairs = [(test["input"], test["output"]) for test in tests]
        truth = GroundTruth(TestKind.STDIN, stdin_tests(pairs, "public_test_cases and private_test_cases"))
    if truth is None:
        row.warnings.append("has no test cases, so its candidates get no labels")
    prompt = f"{content.rstrip()}\n\n{starter.rstrip()}\n" if starter.strip() else content
    return Problem(
        identifier,
        prompt,
        entry_point,
        language,
        truth,
        comparison,
        row.optional_text("reference"),
        row.metadata(),
    )


def _tests(value: Any, name: str) -> list[Mapping[str, Any]]:
    """Tests of a field: a list, its JSON, or its JSON pickled, compressed and in base64.

    Raises:
        RowError: it is none of these.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str | bytes):
        text = as_text(value, name).strip()
        value = parsed_text(text, name) if text.startswith(("[", "{")) else _unpacked(text, name)
    if isinstance(value, Mapping):
        value = [value]
    usable = isinstance(value, list) and all(
        isinstance(test, Mapping) and {"input", "output"} <= test.keys() for test in value
    )
    if not usable:
        raise RowError(f"{name} must be a list of {{input, output, testtype}} but got {shown(value)}")
    return list(value)


def _unpacked(text: str, name: str) -> Any:
    try:
        packed = base64.b64decode(text, validate=True)
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(packed, _LARGEST)
        if not unpacker.eof:
            raise RowError(f"{name} must be at most 1 GiB, and whole, but it is not")
        value = read_plain_pickle(content)
    except binascii.Error:
        raise RowError(
            f"{name} must be JSON, or base64 of compressed JSON, but got {shown(text)}"
        ) from None
    except zlib.error as error:
        raise RowError(f"{name} must be compressed by zlib inside base64 but {error}") from None
    except ValueError as error:
        raise RowError(f"{name} {error}") from None
    return parsed_text(as_text(value, name), name) if isinstance(value, str | bytes) else value


def _entry_point(starter: str, metadata: Any) -> str:
    """Function that the tests call.

    Raises:
        RowError: neither the starter code nor the metadata name one.
    """
    named = metadata.get("func_name") if isinstance(metadata, Mapping) else None
    method = re.search(r"^class +Solution\b.*?^\s+def +(?!__)(\w+)", starter, re.MULTILINE | re.DOTALL)
    if method:
        return f"Solution.{named or method.group(1)}"
    function = re.search(r"^def +(\w+)", starter, re.MULTILINE)
    if named or function:
        return str(named or (function and function.group(1)))
    raise RowError(
        "starter_code must define a function, or metadata name it by func_name, but neither does"
    )


def _arguments(text: Any) -> list[Any]:
    """Arguments of a call: one JSON value in each line."""
    lines = as_text(text, "input").split("\n") if isinstance(text, str | bytes) else None
    if lines is None:
        return list(text) if isinstance(text, list) else [text]
    return [_value(line, "input") for line in lines if line.strip()]


def _value(text: Any, name: str) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return parsed_text(text, f"{name} of a functional test")


LIVECODEBENCH = ProblemForm(
    "livecodebench",
    (
        frozenset({"question_id", "question_content", "public_test_cases"}),
        frozenset({"question_content", "private_test_cases"}),
        frozenset({"question_content", "starter_code"}),
    ),
    frozenset(
        "question_id question_content starter_code public_test_cases private_test_cases metadata language "
        "entry_point comparison reference".split()
    ),
    _read,
)
"""LiveCodeBench: programs, and methods of ``Solution``."""
