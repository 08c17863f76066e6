"""Verdicts on JavaScript programs that exchange objects, functions and promises with their tests."""

import shutil
from pathlib import Path

import pytest
import yaml

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")

ADD = "function add(a, b) { return a + b; }"
PASSED, FAILED, ERRORED = Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED
TIMED_OUT, UNCONFIRMED = Verdict.TIMED_OUT, Verdict.UNCONFIRMED


def cases(name):
    path = Path(__file__).parent / "cases" / f"{name}.yaml"
    return [pytest.param(case, id=case["name"]) for case in yaml.safe_load(path.read_text("utf-8"))]


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=2.0), language="javascript") as runner:
        yield runner


def judged(runner, candidates, test, kind=TestKind.ASSERT, entry_point=None):
    """Verdicts and reasons of candidates on one test."""
    imports = (
        "import assert from 'node:assert';\n"
        if test.startswith("import ")
        else "const assert = require('node:assert');\n"
    )
    block = runner.run(candidates, [UnitTest("p", 0, imports + test, kind=kind)], entry_point)
    reasons = [block.reasons[position] if position >= 0 else None for position in block.reason_of[:, 0]]
    return [Verdict(verdict) for verdict in block.verdicts[:, 0]], reasons


@pytest.mark.parametrize("case", cases("honest"))
def test_an_honest_program_passes_and_its_wrong_twin_does_not(runner, case):
    right = case["candidate"]
    twin = right.replace(*case["wrong"])
    assert twin != right
    kind = TestKind(case.get("kind", "assert"))
    (first, second), _ = judged(runner, [right, twin], case["test"], kind, case.get("entry_point"))
    assert first is PASSED
    assert second in {FAILED, ERRORED}


@pytest.mark.parametrize("case", cases("attacks"))
def test_a_program_that_would_forge_its_verdict_does_not_pass(runner, case):
    kind = TestKind(case.get("kind", "assert"))
    (verdict,), _ = judged(runner, [case["candidate"]], case["test"], kind, case.get("entry_point"))
    assert verdict is not PASSED


@pytest.mark.parametrize(
    ("candidate", "test", "sentence", "detail"),
    [
        (
            "class S { top() { return 3; } }",
            "const s = new S();\nassert.strictEqual(s.top(), 4);",
            "The assertion on line 3 does not hold.",
            {"expected": "4", "given": "3", "line": "3"},
        ),
        (
            "class E extends Error {}\nclass S { top() { throw new E('empty'); } }",
            "assert.strictEqual(new S().top(), 4);",
            "The candidate raised E.",
            {"exception": "E", "message": "empty"},
        ),
        ("const f = () => () => 1;", "f()();", "The test ran no assertion.", {}),
        (
            "const f = () => () => 1;",
            "const g = () => 1; assert.equal(g(), 1);",
            "The test never called the candidate.",
            {},
        ),
        (
            "function f() { return { valueOf: () => 4 }; }",
            "assert.equal(f(), 4);",
            "The test compares or adds an object of the candidate by its own conversion.",
            {},
        ),
        (
            "throw new RangeError('no');",
            "assert.ok(f()());",
            "The candidate raised RangeError while it was loaded.",
            {"exception": "RangeError", "message": "no"},
        ),
    ],
)
def test_a_verdict_has_a_reason(runner, candidate, test, sentence, detail):
    (verdict,), (reason,) = judged(runner, [candidate], test)
    assert verdict is not PASSED
    assert reason.sentence == sentence
    assert detail.items() <= reason.detail.items()
