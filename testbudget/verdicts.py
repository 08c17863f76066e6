"""Function of the public Python API that judges candidates of one problem in a sandbox."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison
from testbudget.rewards.errors import UserError, choice_sentence
from testbudget.rewards.problem import TestKind, UnitTest
from testbudget.rewards.stdin_case import StdinCase

if TYPE_CHECKING:
    from testbudget.executors.execution.runner import BlockVerdicts


def judge(
    candidates: Sequence[str],
    tests: Sequence[str] | Sequence[StdinCase],
    entry_point: str | None = None,
    *,
    kind: Literal["assert", "unittest", "pytest", "check", "stdin"] = "assert",
    language: str = "python",
    comparison: Comparison = DEFAULT_COMPARISON,
    limits: TestLimits | None = None,
    require: Sequence[str] = (),
    trust: Literal["hostile", "honest"] = "hostile",
    packages: Sequence[str] = (),
    python: str | None = None,
) -> "BlockVerdicts":
    """Execute candidates of one problem on tests, in a sandbox.

    ``testbudget execute`` is the counterpart for a file of pairs.

    Args:
        candidates: whole programs.
        tests: test programs of the kind; for ``stdin``, inputs with expected outputs.
        entry_point: name that every candidate must define; None for whatever the tests call.
        kind: form of all tests: programs that run after the candidate (``assert``), modules with
            ``unittest.TestCase`` classes (``unittest``), modules with pytest functions or classes
            (``pytest``), programs that define ``check(candidate)`` (``check``), or inputs of a program that
            reads standard input and prints (``stdin``).
        language: language of candidates and tests.
        comparison: comparison of expected and printed texts, for ``stdin``.
        limits: limits of one test on one candidate (default: ``TestLimits()``).
        require: isolation layers without which nothing is executed.
        trust: ``hostile`` leaves a pass that the candidate could have forged unconfirmed; ``honest`` judges
            such a pair once more, in one process with the candidate, and what it gives there counts.
        packages: names of distributions that Python programs may import, with what they require.
        python: interpreter of the environment that the packages are installed in (default: this one).

    Returns:
        Verdicts uint8 (candidates, tests), CPU-seconds, reasons and recorded outputs. The reason of a pair
        is ``block.reasons[block.reason_of[candidate, test]]``.

    Raises:
        UserError: candidates or tests are no lists of such values, the kind, the language, the trust, a
            package or a layer is unknown, or a required layer is missing.
        SandboxError: the sandbox failed.

    Example:
        >>> block = judge(["def f(x): return x + 1", "def f(x): return x"], ["assert f(1) == 2"])
        >>> [Verdict(verdict).name for verdict in block.verdicts[:, 0]]
        ['PASSED', 'FAILED']
        >>> block.reasons[block.reason_of[1, 0]].sentence
        'The assertion on line 1 does not hold.'
    """
    from testbudget.executors.execution.package_choice import PackageChoice
    from testbudget.executors.execution.runner import Runner

    _check_texts("candidates", candidates)
    _check_texts("packages", packages)
    if kind not in list(TestKind):
        raise UserError(choice_sentence("kind", kind, TestKind))
    if trust not in list(Trust):
        raise UserError(f"trust must be {' or '.join(Trust)} but got {trust!r}")
    codes = _codes(tests, stdin=kind == "stdin")
    unit_tests = [UnitTest("", index, code, kind=TestKind(kind)) for index, code in enumerate(codes)]
    with Runner(
        limits or TestLimits(),
        language=language,
        require=require,
        trust=Trust(trust),
        packages=PackageChoice(tuple(packages), python),
    ) as runner:
        return runner.run(candidates, unit_tests, entry_point, comparison=comparison)


def _codes(tests: Sequence[str] | Sequence[StdinCase], *, stdin: bool) -> list[str]:
    """Codes of unit tests."""
    if not stdin:
        _check_texts("tests", tests)
        return [str(test) for test in tests]
    cases = [test for test in tests if isinstance(test, StdinCase) and test.expected_stdout is not None]
    if len(cases) < len(tests):
        raise UserError("tests of kind stdin must be a list of StdinCase, each with an expected output")
    return [case.as_text() for case in cases]


def _check_texts(name: str, texts: object) -> None:
    if isinstance(texts, str) or not (
        isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts)
    ):
        kind = "names" if name == "packages" else "programs"
        raise UserError(f"{name} must be a list of {kind}, each a string")
