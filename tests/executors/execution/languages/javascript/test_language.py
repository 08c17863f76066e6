"""Verdicts on JavaScript programs as models write them."""

# ruff: noqa: E501 - a program that fits on one line is easier to read there

import json
import shutil

import numpy as np
import pytest

from testbudget.executors.execution.languages.registry import language
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import CallEnding, RecordedCall
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")

HEAD = """\
const test = require('node:test');
const { describe, it, before, after, beforeEach } = test;
const assert = require('node:assert');
"""
ADD = "function add(a, b) { return a + b; }"
PASSED, FAILED, ERRORED = Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED
TIMED_OUT, UNCONFIRMED = Verdict.TIMED_OUT, Verdict.UNCONFIRMED


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=1.0), language="javascript") as runner:
        yield runner


def case(body):
    """Test with one case."""
    return f"{HEAD}test('a case', () => {{ {body} }});"


def async_case(body):
    return f"{HEAD}test('a case', async () => {{ {body} }});"


def verdicts(runner, pairs, kind=TestKind.UNITTEST, entry_point="add"):
    """Verdicts on pairs of a candidate and a test, all of one block."""
    candidates, tests = (list(dict.fromkeys(texts)) for texts in zip(*pairs, strict=True))
    cells = [(candidates.index(candidate), tests.index(test)) for candidate, test in pairs]
    wanted = np.zeros((len(candidates), len(tests)), np.bool_)
    wanted[tuple(zip(*cells, strict=True))] = True
    unit_tests = [UnitTest("p", index, test, kind=kind) for index, test in enumerate(tests)]
    block = runner.run(candidates, unit_tests, entry_point, wanted=wanted)
    return [Verdict(block.verdicts[cell]) for cell in cells]


def check(runner, rows, kind=TestKind.UNITTEST, entry_point="add"):
    """Check the verdicts on rows of a candidate, a test and the expected verdict."""
    found = verdicts(runner, [(candidate, test) for candidate, test, _ in rows], kind, entry_point)
    assert [(*row[:2], got) for row, got in zip(rows, found, strict=True) if got is not row[2]] == []


DEFINITIONS = [
    ADD,
    "const add = (a, b) => a + b;",
    "module.exports = (a, b) => a + b;",
    "exports.add = (a, b) => a + b;",
    "export function add(a, b) { return a + b; }",
    "export default function add(a, b) { return a + b; }",
    "const plus = (a, b) => a + b;\nexport { plus as add };",
    "export const add = (a, b) => a + b;\nawait Promise.resolve();",
    "import { inspect } from 'node:util';\nexport const add = (a, b) => inspect && a + b;",
    "#!/usr/bin/env node\nfunction add(a, b) { return a + b; } // the end",
    "function add(a, b) { return a + b; }\nif (require.main === module) throw new Error('not alone');",
    "setInterval(() => {}, 1000);\nfunction add(a, b) { console.log('\\xfc'.repeat(1e5)); return a + b; }",
]


def test_the_entry_point_may_be_defined_in_any_usual_way(runner):
    test = case("assert.strictEqual(add(1, 2), 3);")
    check(runner, [(candidate, test, PASSED) for candidate in DEFINITIONS])


IMPORTS = [
    f"{HEAD}const {{ add: plus }} = require('./solution');\ntest('t', () => assert.equal(plus(1, 2), 3));",
    f"{HEAD}const plus = require('../src/add.js');\ntest('t', () => assert.equal(plus(1, 2), 3));",
    f"{HEAD}const all = require('./all');\ntest('t', () => assert.equal(all.add(1, 2), 3));",
    f"{HEAD}const all = require('./all');\ntest('t', () => assert.throws(() => all.delete(all.add(1, 2))));",
    "import test from 'node:test';\nimport assert from 'node:assert/strict';\n"
    "import { add } from './add.js';\ntest('t', () => assert.equal(add(1, 2), 3));",
    "import { test as check } from 'node:test';\nimport { strict as assert } from 'assert';\n"
    "import plus from './add.mjs';\ncheck('t', () => { assert.equal(plus(1, 2), 3); });",
]


def test_a_test_may_require_the_candidate_as_a_module(runner):
    check(runner, [(ADD, code, PASSED) for code in IMPORTS])


CASES = [
    (f"{HEAD}add(1, 2);", ERRORED),
    ("", ERRORED),
    (f"{HEAD}test('t', () => {{ add(1, 2); }});", ERRORED),
    (f"{HEAD}test('t', () => {{ assert.equal(1, 1); }});", ERRORED),
    ("test('t', () => {", ERRORED),
    (f"{HEAD}test('t', () => assert.equal(add(1, 2), 3)); test.skip('s', () => {{}});", PASSED),
    (f"{HEAD}test('t', () => assert.equal(add(1, 2), 3)); it.todo('s');", PASSED),
    (f"{HEAD}test('t', {{ skip: true }}, () => assert.equal(add(1, 2), 3));", ERRORED),
    (f"{HEAD}test('t', (t) => {{ t.skip(); }});", ERRORED),
    (f"{HEAD}describe.skip('d', () => {{ it('t', () => assert.equal(add(1, 2), 3)); }});", ERRORED),
    (f"{HEAD}process.exit(0); test('t', () => assert.equal(add(1, 2), 3));", ERRORED),
    (f"{HEAD}test('t', (t, done) => {{ assert.equal(add(1, 2), 3); }});", ERRORED),
    (
        f"{HEAD}test('t', (t, done) => setTimeout(() => {{ assert.equal(add(1, 2), 3); done(); }}, 5));",
        PASSED,
    ),
    (
        f"{HEAD}test('t', (t, done) => setTimeout(() => {{ assert.equal(add(1, 2), 4); done(); }}, 5));",
        FAILED,
    ),
    (f"{HEAD}test('t', async (t) => {{ t.test('s', () => assert.equal(add(1, 2), 4)); }});", FAILED),
    (f"{HEAD}let n; before(() => {{ n = 5; }}); test('t', () => assert.equal(add(n, 2), 7));", PASSED),
    (
        f"{HEAD}test('t', () => {{ for (let i = 0; i < 99; i++) assert.equal(add(i, i), 2 * i); }});",
        PASSED,
    ),
    ("const { expect } = require('@jest/globals'); expect(add(1, 2)).toBe(3);", ERRORED),
]


def test_a_test_passes_if_it_has_cases_and_all_of_them_pass(runner):
    check(runner, [(ADD, code, expected) for code, expected in CASES])


def test_hooks_run_around_every_case_in_order(runner):
    code = f"""{HEAD}
    const log = [];
    describe('outer', () => {{
      before(() => log.push('before'));
      beforeEach(() => log.push('each'));
      after(() => assert.deepEqual(log, ['before', 'each', 'one', 'each', 'two']));
      it('one', () => {{ log.push('one'); assert.equal(add(1, 2), 3); }});
      describe('inner', () => it('two', () => {{ log.push('two'); }}));
    }});"""
    check(runner, [(ADD, code, PASSED)])


ASSERTIONS = [
    ("const assert = require('assert'); assert.strictEqual(add(1, 2), 3);", PASSED),
    ("const assert = require('assert'); assert.strictEqual(add(1, 2), 4);", FAILED),
    ("import assert from 'assert';\nawait null;\nassert.equal(await add(2, 2), 4);", PASSED),
    ("const assert = require('assert'); (async () => assert.equal(await add(1, 2), 4))();", FAILED),
    ("if (add(1, 2) !== 4) process.exit(1);", FAILED),
    ("if (add(1, 2) !== 4) process.exitCode = 1;", FAILED),
    ("if (add(1, 2) === 3) process.exit(0); else throw new Error();", PASSED),
    ("neverDefined();", ERRORED),
]


def test_a_program_of_assertions_passes_if_it_ends_without_an_error(runner):
    check(runner, [(ADD, code, expected) for code, expected in ASSERTIONS], TestKind.ASSERT)


def test_without_an_entry_point_a_test_calls_every_function_of_the_candidate_that_it_does_not_define(
    runner,
):
    candidate = "const twice = (a) => 2 * a; function add(a, b) { return a + b; } const check = null;"
    code = f"{HEAD}function check(a, b) {{ assert.equal(twice(add(a, b)), 2 * (a + b)); }} test('t', () => check(1, 2));"
    check(runner, [(candidate, code, PASSED)], entry_point=None)


VALUES = [
    "[NaN, -0, 0, Infinity, undefined, null, true, 10n, '\\u2028', '\\ud800']",
    "{ b: 1, a: [new Map([[{ k: 1 }, new Set([[2]])]]), new Date(5), new Date(NaN)] }",
    "Object.create(null)",
    "JSON.parse('{\"__pro' + 'to__\": 2}')",
    "new Uint8Array([1, 2])",
    "[9007199254740993, 1e21, 0.1]",
]


def test_plain_data_passes_unchanged_between_the_processes(runner):
    tests = [case(f"const value = {value}; assert.deepStrictEqual(add(value), value);") for value in VALUES]
    check(runner, [("function add(value) { return value; }", test, PASSED) for test in tests])
    check(runner, [("function add(value) { return [value]; }", test, FAILED) for test in tests])


CHANGES = [
    (
        "function add(list) { return list.sort((a, b) => a - b); }",
        "const l = [3, 1]; assert.strictEqual(add(l), l); assert.deepEqual(l, [1, 3]);",
    ),
    (
        "function add(list) { return [...list].sort((a, b) => a - b); }",
        "const l = [3, 1]; assert.notStrictEqual(add(l), l); assert.deepEqual(l, [3, 1]);",
    ),
    (
        "function add(list) { list[0].x = 1; list.push(2); }",
        "const o = {}, l = [o]; add(l); assert.strictEqual(l[0], o); assert.deepEqual(l, [{ x: 1 }, 2]);",
    ),
    (
        "function add(map, set) { map.set('k', 2); set.delete(1); }",
        "const m = new Map(), s = new Set([1]); add(m, s); assert.equal(m.get('k'), 2); assert.equal(s.size, 0);",
    ),
    (
        "let n = 0; globalThis.m = (globalThis.m ?? 0) + 1; function add() { n += 1; return [n, m]; }",
        "assert.deepEqual(add(), [1, 1]); assert.deepEqual(add(), [2, 1]);",
    ),
    (
        "function add(n) { return n < 4 ? n + 1 : null; }",
        "let n = 0, k = 0; while (n !== null) { n = add(n); k++; } assert.equal(k, 5);",
    ),
    (
        "function add(n) { return n === 0 ? 0 : 1 + add(n - 1); }",
        "assert.equal(add(7000), 7000); assert.throws(() => add(-1), RangeError);",
    ),
]


def test_changes_of_arguments_and_state_by_a_call_reach_the_test(runner):
    check(runner, [(candidate, case(body), PASSED) for candidate, body in CHANGES])


THROWN = [
    (
        "class Own extends Error { constructor(m) { super(m); this.name = 'Own'; this.code = 7; } }\n"
        "function add() { throw new Own('bad'); }",
        "assert.throws(() => add(), { name: 'Own', message: 'bad', code: 7 }); assert.throws(() => add(), Error);",
    ),
    (
        "function add() { throw new TypeError('bad'); }",
        "assert.throws(() => add(), TypeError); assert.throws(() => add(), /bad/);",
    ),
    (
        "function add() { throw 'bad'; }",
        "try { add(); assert.fail(); } catch (error) { assert.strictEqual(error, 'bad'); }",
    ),
]


def test_a_thrown_value_reaches_the_test_unchanged(runner):
    check(runner, [(candidate, case(body), PASSED) for candidate, body in THROWN])


PROMISES = [
    ("async function add(a, b) { return a + b; }", "assert.equal(await add(1, 2), 3);", PASSED),
    ("async function add(a, b) { return a + b; }", "assert.equal(add(1, 2), 3);", FAILED),
    (
        "function add(a, b) { return new Promise((r) => setTimeout(r, 5, a + b)); }",
        "assert.deepEqual(await Promise.all([add(1, 2), add(3, 4)]), [3, 7]);",
        PASSED,
    ),
    (
        "async function add(a, b) { return a + b; }",
        "await add(1, 2).then((r) => assert.equal(r, 3)).then(() => add(3, 3)).then((r) => assert.equal(r, 6));",
        PASSED,
    ),
    (
        "async function add() { throw new RangeError('x'); }",
        "await assert.rejects(add(), RangeError); await assert.rejects(() => add(1), { message: 'x' });",
        PASSED,
    ),
    ("async function add() {}", "await assert.rejects(add());", FAILED),
    ("function add() { return new Promise(() => {}); }", "await add();", TIMED_OUT),
]


def test_a_promise_reaches_the_test_as_a_promise(runner):
    check(runner, [(candidate, async_case(body), expected) for candidate, body, expected in PROMISES])


FORGERIES = [
    "Array.prototype.includes = () => true; Object.is = () => true; function add() {}",
    "process.on('exit', () => { process.exitCode = 0; }); function add() {}",
    "const assert = require('assert'); assert.strictEqual = () => {}; function add() {}",
    "const fs = require('fs'); function add() { for (let n = 0; n < 64; n++) "
    "{ try { fs.writeSync(n, '[\"v\",1,0]', 32); } catch {} } }",
    "const escaped = console.log.constructor('return process')(); "
    "function add() { escaped.removeAllListeners(); return { number: '3' }; }",
    "function add() { process.reallyExit(0); }",
    "process.exit(0); function add() {}",
    "function add() { require('child_process').execSync('true'); return 3; }",
    "function add() { process.abort(); }",
]


def test_a_candidate_cannot_forge_a_pass(runner):
    test = case("assert.ok([1].includes(2) === false); assert.strictEqual(add(1, 2), 3);")
    found = verdicts(runner, [(candidate, test) for candidate in [*FORGERIES, ADD]])
    assert found.pop() is PASSED
    assert not {PASSED, Verdict.OUT_OF_MEMORY} & {*found}


HANDLES = [
    (
        "const add = async function plus(a) {};",
        "assert.equal(add.name, 'plus'); assert.equal(add.length, 1);",
    ),
    (
        "function add(x) { return (this?.n ?? 0) + x; }",
        "assert.equal(add(2), 2); assert.equal(add.call({ n: 1 }, 2), 3);",
    ),
    (
        "const l = [1]; function add(x) { l.push(x); return l; }",
        "const l = add(2); add(3); assert.deepEqual(l, [1, 2, 3]);",
    ),
    (
        "function add(o) { return o.inner; }",
        "const o = { inner: {} }; assert.strictEqual(add(o), o.inner);",
    ),
    (
        "class Own extends Error { get code() { return 7; } }\nfunction add() { throw new Own(); }",
        "assert.throws(add, { code: 7 });",
    ),
]


def test_what_plain_data_do_not_show_is_judged_through_handles(runner):
    check(runner, [(candidate, case(body), PASSED) for candidate, body in HANDLES])


def test_recorded_outputs_distinguish_candidates(runner):
    candidates = [
        ADD,
        "const add = (a, b) => b + a;",
        "function add() { throw new TypeError(); }",
        "function add(a) { return () => a; }",
    ]
    call = RecordedCall(None, "add", json.dumps([[2, {"map": []}], {"dict": []}]), 0)
    numbers = RecordedCall(None, "add", json.dumps([[2, 3], {"dict": []}]), 0)
    recorded_outputs, _ = runner.call(candidates, [call, numbers])
    outputs = [recorded_outputs.outputs[position] for position in recorded_outputs.results[:, 1]]
    assert [output.ending for output in outputs] == [
        CallEnding.RETURNED,
        CallEnding.RETURNED,
        CallEnding.RAISED,
        CallEnding.OPAQUE,
    ]
    assert outputs[0] == outputs[1]
    assert (outputs[0].example, outputs[2].example) == ("5", "TypeError")
    assert recorded_outputs.results[0, 0] != recorded_outputs.results[1, 0]


def test_a_candidate_that_does_not_load_passes_no_test(runner):
    tests = [UnitTest("p", index, case(f"assert.equal(add({index}, 0), {index});")) for index in range(2)]
    candidates = ["throw new Error();", "function sum() {}", "function add( {", ADD]
    expected = [[ERRORED] * 2, [ERRORED] * 2, [Verdict.COMPILE_ERROR] * 2, [PASSED] * 2]
    assert runner.run(candidates, tests, "add").verdicts.tolist() == expected


def test_a_machine_without_node_is_a_user_error(monkeypatch):
    monkeypatch.setattr(language("javascript"), "programs", ("node",))
    with pytest.raises(UserError, match="running javascript needs node, which is not on the PATH"):
        Runner(language="javascript")
