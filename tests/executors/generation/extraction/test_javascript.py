"""Tests extracted from JavaScript answers as models write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.generation.extraction.answers import Rejection
from testbudget.executors.generation.extraction.extract import (
    extract_unit_test,
    normal_form,
    read_candidate,
)
from testbudget.executors.generation.extraction.javascript import scan_code
from testbudget.executors.generation.prompts import prompt_template
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem

PLAIN = """\
const { describe, it } = require('node:test');
const assert = require('node:assert');

describe('add', () => {
  it('adds small numbers', () => {
    assert.strictEqual(add(2, 2), 4);
  });
});
"""


def in_a_chat(code):
    return f"Here are some tests:\n\n```javascript\n{code}```\n\nThey cover `add`.\n"


def code_of(text, entry_point="add"):
    extracted = extract_unit_test(text, entry_point, "javascript")
    assert extracted.rejection is None, extracted.rejection
    return extracted.code


def rejection_of(text, entry_point="add"):
    extracted = extract_unit_test(text, entry_point, "javascript")
    assert extracted.code is None, extracted.code
    return extracted.rejection


def test_the_program_in_a_block_is_kept_unchanged():
    assert code_of(in_a_chat(PLAIN)) == PLAIN


def test_code_without_fences_is_found_after_an_introduction():
    assert code_of(f"Sure, these are the tests.\n\n{PLAIN}") == PLAIN


def test_the_block_with_assertions_is_found_among_others():
    assert code_of(f"```js\nfunction add(a, b) {{ return a + b; }}\n```\n{in_a_chat(PLAIN)}") == PLAIN


def test_the_last_fence_may_be_missing():
    assert code_of(in_a_chat(PLAIN).rpartition("```")[0]) == PLAIN


@pytest.mark.parametrize(
    "copy",
    [
        "function add(a, b = {}) {\n  if (a) { return '}'; }\n  return a + b;\n}\n",
        "async function add(a, b) { return a + b; }\n",
        "const add = (a, b) => a + b;\n",
        "const add = function (a, b) {\n  return a /* ; */ + b;\n};\n",
        "let add = (a, b) =>\n  a\n  + b\n",
        "export default function add(a, b) { return `${a + `}`}`; }\n",
        "class add {\n  m() { return /[/}]{/.test('}'); }\n}\n",
    ],
)
def test_only_a_copy_of_the_entry_point_is_removed(copy):
    code = code_of(in_a_chat(f"{copy}{PLAIN}"))
    assert code.strip() == PLAIN.strip()


def test_a_longer_name_that_begins_like_the_entry_point_is_kept():
    helper = "function addAll(list) { return list.reduce((a, b) => add(a, b)); }\n"
    assert code_of(in_a_chat(helper + PLAIN)) == helper + PLAIN


@pytest.mark.parametrize(
    ("written", "placed"),
    [
        ("const { add } = require('./add');\n", "const { add } = require('./add');\n"),
        ("const { add } = require('your-module');\n", "const { add } = require('./solution');\n"),
        ("const add = require('solution');\n", "const add = require('./solution');\n"),
        ("const solution = require('solution');\n// x\nsolution.add(1, 2);\n", "require('./solution')"),
        ('import { add } from "my-module";\n', 'import { add } from "./solution";\n'),
        ("import plus, { add } from '../src/add.js';\n", "import plus, { add } from '../src/add.js';\n"),
    ],
)
def test_the_candidate_is_required_from_the_module_of_the_sandbox(written, placed):
    assert placed in code_of(in_a_chat(written + PLAIN))


def test_module_names_in_comments_and_strings_are_ignored():
    code = "// const { add } = require('your-module');\nconst text = \"from 'elsewhere'\";\n" + PLAIN
    assert code_of(in_a_chat(code)) == code


def test_forgotten_imports_are_added():
    assert code_of(in_a_chat("test('t', () => assert.equal(add(1, 2), 3));\n")) == (
        "const assert = require('node:assert');\n"
        "const { test } = require('node:test');\n"
        "test('t', () => assert.equal(add(1, 2), 3));\n"
    )
    code = code_of(
        in_a_chat("import { it } from 'node:test';\nit('t', () => { assert.equal(add(1, 2), 3); });\n")
    )
    assert code.startswith("import assert from 'node:assert';\nimport { it } from 'node:test';\n")


@pytest.mark.parametrize(
    "bound",
    [
        "const test = require('node:test'), assert = require('node:assert');",
        "import test from 'node:test';\nimport { strict as assert } from 'node:assert';",
        "import * as assert from 'assert';\nimport {\n  test,\n} from 'node:test';",
    ],
)
def test_existing_imports_are_not_repeated(bound):
    code = f"{bound}\ntest('t', () => assert.equal(add(1, 2), 3));\n"
    assert code_of(in_a_chat(code)) == code


def test_a_truncated_answer_keeps_its_complete_statements():
    cut = PLAIN.replace(
        "  });\n});\n", "    assert.strictEqual(add(3, 3), 6);\n    assert.strictEqual(add('a"
    )
    code = code_of("```javascript\n" + cut)
    assert code.rstrip().endswith("assert.strictEqual(add(3, 3), 6);})})")
    assert scan_code(code).sound


def test_an_answer_truncated_in_a_template_keeps_the_statements_before_it():
    code = code_of("```javascript\n" + PLAIN + "\nit('x', () => {\n  const text = `never ${add(1, ")
    assert code.rstrip() == PLAIN.rstrip()


@pytest.mark.parametrize(
    ("text", "rejection"),
    [
        ("I cannot do that.", Rejection.NO_CODE),
        ("```javascript\n)(\n```", Rejection.DOES_NOT_PARSE),
        (
            in_a_chat("const assert = require('assert');\nassert.equal(add(1, 2), 3);\n"),
            Rejection.NO_TEST_CALL,
        ),
        (in_a_chat(PLAIN.replace("add(", "sum(")), Rejection.ENTRY_POINT_UNUSED),
        (in_a_chat("test('t', () => { add(1, 2); });\n"), Rejection.NO_ASSERTION),
        (in_a_chat("test('t', () => expect(add(1, 2)).toBe(3));\n"), Rejection.NO_ASSERTION),
        (in_a_chat("const { expect } = require('chai');\n" + PLAIN), Rejection.FOREIGN_MODULE),
        (in_a_chat("// assert and add\ntest('assert add', () => {});\n"), Rejection.ENTRY_POINT_UNUSED),
    ],
)
def test_an_unusable_answer_is_rejected_with_its_reason(text, rejection):
    assert rejection_of(text) is rejection


def test_comments_and_layout_do_not_change_the_normal_form():
    other = "// a comment\n" + PLAIN.replace("  it(", "\n\n      it(").replace("4);", "4); /* four */")
    assert normal_form(other, "javascript") == normal_form(PLAIN, "javascript")
    assert normal_form(PLAIN.replace("4", "5"), "javascript") != normal_form(PLAIN, "javascript")


def test_a_string_that_looks_like_a_comment_is_kept():
    assert normal_form("f('http://x /* y */');", "javascript") == "f('http://x /* y */');"


def test_a_candidate_is_the_block_with_the_entry_point():
    problem = Problem("p", "Add.", "add", "javascript")
    text = "```js\nnpm();\n```\n```javascript\nconst add = (a, b) => a + b;\n```"
    template = prompt_template("chat_javascript")
    assert read_candidate(template, problem, text).code == "const add = (a, b) => a + b;\n"


def test_an_unknown_language_is_a_user_error():
    with pytest.raises(UserError, match=r"one of python, javascript.* but got 'cobol'"):
        extract_unit_test("", "f", "cobol")


@given(st.text(alphabet="(){}[]`$'\"/*\\\n;, adt=.>:", max_size=60))
def test_extraction_accepts_any_text(text):
    scanned = scan_code(text)
    assert len(scanned.code) == len(text)
    assert [place for place, character in enumerate(text) if character == "\n"] == [
        place for place, character in enumerate(scanned.code) if character == "\n"
    ]
    extract_unit_test(f"```js\n{text}\n```", "add", "javascript")
    normal_form(text, "javascript")
