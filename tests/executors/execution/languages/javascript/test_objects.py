"""Verdicts on JavaScript programs that exchange objects, functions and promises with their tests."""

import shutil
from pathlib import Path

import numpy as np
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
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=2.0), language="javascript") as runner:
        yield runner


def unit_test(code, kind=TestKind.ASSERT, index=0):
    imports = (
        "import assert from 'node:assert';\n"
        if code.startswith("import ")
        else "const assert = require('node:assert');\n"
    )
    return UnitTest("p", index, imports + code, kind=kind)


def judged(runner, case_and_candidates):
    """Verdicts on candidates of each case, by its name; cases of one kind and entry point share a block."""
    groups = {}
    for case, candidates in case_and_candidates:
        key = TestKind(case.get("kind", "assert")), case.get("entry_point")
        groups.setdefault(key, []).append((case, candidates))
    found = {}
    for (kind, entry_point), members in groups.items():
        numbered = [
            (row, f"{candidate}\n// {row}") for row, (_, own) in enumerate(members) for candidate in own
        ]
        tests = [unit_test(case["test"], kind, index) for index, (case, _) in enumerate(members)]
        wanted = np.array([[row == index for index in range(len(tests))] for row, _ in numbered])
        block = runner.run([candidate for _, candidate in numbered], tests, entry_point, wanted=wanted)
        for (row, _), verdict in zip(numbered, block.verdicts[wanted], strict=True):
            found.setdefault(members[row][0]["name"], []).append(Verdict(verdict))
    return found


def test_an_honest_program_passes_and_its_wrong_twin_does_not(runner):
    twins = [(case, case["candidate"].replace(*case["wrong"])) for case in cases("honest")]
    assert all(twin != case["candidate"] for case, twin in twins)
    found = judged(runner, [(case, [case["candidate"], twin]) for case, twin in twins])
    assert {
        name: verdicts
        for name, verdicts in found.items()
        if verdicts[0] is not PASSED or verdicts[1] not in {FAILED, ERRORED}
    } == {}


def test_a_program_that_would_forge_its_verdict_does_not_pass(runner):
    found = judged(runner, [(case, [case["candidate"]]) for case in cases("attacks")])
    assert len(found) == len(cases("attacks"))
    assert {name for name, (verdict,) in found.items() if verdict is PASSED} == set()


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
    block = runner.run([candidate], [unit_test(test)])
    reason = block.reasons[block.reason_of[0, 0]]
    assert block.verdicts[0, 0] != PASSED
    assert reason.sentence == sentence
    assert detail.items() <= reason.detail.items()
