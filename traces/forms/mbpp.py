"""Forms of MBPP (Austin et al., arXiv 2108.07732): original, sanitized, and in the form of HumanEval."""

import ast
from collections.abc import Sequence

from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.traces.forms.called_names import called_names, parsed_python
from testbudget.traces.forms.form import FormDefaults, ProblemForm, entry_point_of
from testbudget.traces.forms.humaneval import benchmark_problem
from testbudget.traces.rows.mistakes import RowError
from testbudget.traces.rows.row_fields import RowFields

# MBPP lists the imports of its tests in a field that the form of HumanEval lacks. These are all of them.
_IMPORTS = "import math\nimport sys\n\n"


def _read(row: RowFields, defaults: FormDefaults) -> Problem:
    if "entry_point" in row and "test" in row:
        return benchmark_problem(row, defaults, _IMPORTS)
    identifier = row.identifier("task_id", "id")
    text = row.text("text", "prompt")
    code = row.optional_text("code", "reference")
    asserts = row.texts("test_list")
    setup = [*row.texts("test_imports"), row.optional_text("test_setup_code") or ""]
    if not asserts:
        there = "test_list" in row
        given = (
            "must hold at least one assert but it is empty" if there else "is required but it is missing"
        )
        raise RowError(f"test_list {given}")
    entry_point = entry_point_of(row, "entry_point") or _entry_point(asserts, code)
    written = row.optional_text("test")
    test = "\n".join([*filter(None, setup), *asserts]) + "\n"
    return Problem(
        id=identifier,
        prompt=f'{_signature(code, entry_point)}    """{_docstring(text)}\n    """\n',
        entry_point=entry_point,
        language=row.language(defaults.language),
        ground_truth=GroundTruth(TestKind.ASSERT, (written or test,)),
        reference=code,
        metadata=row.metadata(),
    )


def _entry_point(asserts: Sequence[str], code: str | None) -> str:
    """Name that the asserts call and the code defines.

    Raises:
        RowError: there is none.
    """
    module = parsed_python(code or "")
    defined = {
        node.name
        for node in (module.body if module else ())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    called = [name for text in asserts for name in called_names(text)]
    known = [name for name in called if name in defined] if defined else called
    if not known:
        raise RowError(
            "entry_point is required, since the asserts of test_list call nothing that the code defines, "
            "but it is missing"
        )
    return known[0]


def _signature(code: str | None, entry_point: str) -> str:
    """First line of the definition of the entry point in the code, up to its colon."""
    module = parsed_python(code or "")
    for node in module.body if module else ():
        if isinstance(node, ast.FunctionDef) and node.name == entry_point:
            return f"def {entry_point}({ast.unparse(node.args)}):\n"
        if isinstance(node, ast.ClassDef) and node.name == entry_point:
            return f"class {entry_point}:\n"
    return f"def {entry_point}(*args):\n"


def _docstring(text: str) -> str:
    return (
        text.strip()
        .replace("\\", "\\\\")
        .replace('"""', "'''")
        .replace("\r\n", "\n")
        .replace("\n", "\n    ")
    )


MBPP = ProblemForm(
    "mbpp",
    (frozenset({"task_id", "text", "test_list"}), frozenset({"task_id", "prompt", "code", "test_list"})),
    frozenset(
        "task_id text prompt code test_list test_imports test_setup_code entry_point test "
        "canonical_solution language".split()
    ),
    _read,
)
"""MBPP. A row with ``entry_point`` and ``test`` is read as one of HumanEval."""
