"""Forms of HumanEval (Chen et al., arXiv 2107.03374) and of HumanEval+ (Liu et al., arXiv 2305.01210)."""

import io
import json
import re
import tokenize
from typing import Any, NamedTuple

from testbudget.rewards.comparison import Comparison
from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.traces.forms.cases import equality, literal
from testbudget.traces.forms.form import FormDefaults, ProblemForm, entry_point_of
from testbudget.traces.forms.truths import kind_of_code
from testbudget.traces.rows.mistakes import RowError
from testbudget.traces.rows.row import shown
from testbudget.traces.rows.row_fields import RowFields

_INPUTS_PER_TEST = 100
_FLOATS = 1e-6

_DIFFERENTIAL = """\
{future}import copy
{imports}

def _reference():
{reference}
    return {entry_point}


{equality}

def check(candidate):
    right = _reference()
    for arguments in {inputs}:
        expected = right(*copy.deepcopy(arguments))
        assert _is_expected(candidate(*arguments), expected)


check({entry_point})
"""


def benchmark_problem(row: RowFields, defaults: FormDefaults, imports: str = "") -> Problem:
    """Problem of a row with ``task_id``, ``prompt``, ``entry_point``, ``test`` and ``canonical_solution``.

    Args:
        row: the row.
        defaults: values that the row does not have.
        imports: text before the tests.

    Raises:
        RowError: a field is missing or has another type.
    """
    identifier = row.identifier("task_id", "id")
    prompt = row.text("prompt")
    entry_point = entry_point_of(row, "entry_point")
    if entry_point is None:
        raise RowError("entry_point is required but it is missing")
    test = with_check_called(_test(row), entry_point)
    return Problem(
        id=identifier,
        prompt=prompt,
        entry_point=entry_point,
        language=row.language(defaults.language),
        ground_truth=GroundTruth(_kind(test), (imports + test,)),
        reference=whole_solution(prompt, row.optional_text("canonical_solution", "reference"), entry_point),
        metadata=row.metadata(),
    )


def _kind(test: str) -> TestKind:
    kind = kind_of_code(test)
    return TestKind.ASSERT if kind is TestKind.CHECK else kind  # it is called in the text


def _test(row: RowFields) -> str:
    if isinstance(row.value("test", "ground_truth"), list):
        return "\n".join(row.texts("test", "ground_truth")) + "\n"
    return row.text("test", "ground_truth")


def with_check_called(test: str, entry_point: str) -> str:
    """A test that defines ``check`` with the call of it; any other, or one that calls it, as it is."""
    defined = re.search(r"^def check\(", test, re.MULTILINE)
    if not defined or re.search(r"^check\(", test, re.MULTILINE):
        return test
    return f"{test.rstrip()}\n\ncheck({entry_point})\n"


def whole_solution(prompt: str, solution: str | None, entry_point: str) -> str | None:
    """A whole program of a solution that continues the prompt or is one itself; None without a solution."""
    if solution is None:
        return None
    name = re.escape(entry_point.partition(".")[0])
    whole = re.search(rf"^(async )?(def|class) {name}\b|^{name}\s*=", solution, re.MULTILINE)
    return solution if whole else prompt + solution


def _read_plus(row: RowFields, defaults: FormDefaults) -> Problem:
    identifier = row.identifier("task_id", "id")
    prompt = row.text("prompt")
    entry_point = entry_point_of(row, "entry_point")
    if entry_point is None:
        raise RowError("entry_point is required but it is missing")
    reference = whole_solution(prompt, row.optional_text("canonical_solution", "reference"), entry_point)
    tolerance = row.parsed("atol") or 0
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or tolerance < 0:
        raise RowError(f"atol must be a number of at least 0 but got {shown(tolerance)}")
    test = row.optional_text("test", "assertion")
    own = [with_check_called(test, entry_point)] if test and _asserts(test) else []
    inputs = (
        _inputs(row, "plus_input") if own else [*_inputs(row, "base_input"), *_inputs(row, "plus_input")]
    )
    row.value("base_input")
    if inputs and reference is None:
        raise RowError(
            "canonical_solution is required, since the inputs come without outputs, but it is missing"
        )
    if not own and not inputs:
        raise RowError(
            "test must assert something, or base_input or plus_input hold inputs, but neither does"
        )
    comparison = Comparison(absolute=float(tolerance))
    # Floats are compared as this set does it: within 1e-6 where a row names no tolerance.
    same = equality(Comparison(absolute=float(tolerance) or _FLOATS), lists_are_tuples=False)
    nested = _nested(reference or "") if inputs else _Nested("", "", "")
    further = [
        _DIFFERENTIAL.format(
            **nested._asdict(),
            equality=same,
            inputs=literal(inputs[start : start + _INPUTS_PER_TEST]),
            entry_point=entry_point,
        )
        for start in range(0, len(inputs), _INPUTS_PER_TEST)
    ]
    return Problem(
        identifier,
        prompt,
        entry_point,
        row.language(defaults.language),
        GroundTruth(TestKind.ASSERT, (*own, *further)),
        comparison,
        reference,
        row.metadata(),
    )


class _Nested(NamedTuple):
    """A program as the body of a function, with the imports that must stand outside of it."""

    future: str
    imports: str
    reference: str


def _nested(program: str) -> _Nested:
    """A program as the body of a function; lines inside of a text that spans lines stay as they are.

    Raises:
        RowError: it is no Python.
    """
    program = program.replace("\r\n", "\n")
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(program).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise RowError(f"canonical_solution must be Python but {error.args[0]}") from None
    inside = {line for token in tokens for line in range(token.start[0] + 1, token.end[0] + 1)}
    future, imports, body = [], [], []
    for number, line in enumerate(program.split("\n"), start=1):
        if number in inside:
            body.append(line)
        elif line.startswith("from __future__ "):
            future.append(f"{line}\n")
        elif re.match(r"from \S+ import \*", line):
            imports.append(f"{line}\n")
        else:
            body.append(f"    {line}" if line.strip() else "")
    return _Nested("".join(future), "".join(imports), "\n".join(body).rstrip())


def _inputs(row: RowFields, name: str) -> list[Any]:
    found = row.parsed(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(arguments, list) for arguments in found):
        raise RowError(f"{name} must be a list of lists of arguments but got {shown(found)}")
    try:
        json.dumps(found)
    except (TypeError, ValueError):
        raise RowError(f"{name} must hold JSON values but got {shown(found)}") from None
    return found


def _asserts(test: str) -> bool:
    return re.search(r"\bassert\b|\braise\b|\bself\.assert|\bassertion\(", test) is not None


HUMANEVAL = ProblemForm(
    "humaneval",
    (frozenset({"task_id", "prompt", "entry_point", "test"}),),
    frozenset("task_id prompt entry_point canonical_solution test language".split()),
    benchmark_problem,
)
"""HumanEval, and sets in its form."""

HUMANEVAL_PLUS = ProblemForm(
    "humaneval+",
    (
        frozenset({"task_id", "prompt", "entry_point", "plus_input"}),
        frozenset({"task_id", "prompt", "entry_point", "base_input"}),
    ),
    frozenset(
        "task_id prompt entry_point canonical_solution test assertion base_input plus_input atol "
        "language".split()
    ),
    _read_plus,
)
"""HumanEval+ and MBPP+ as their package writes them. Right outputs of the further inputs are those of the
canonical solution, which each test computes for itself."""
