"""Requests for unit tests, and test records of answers as models write them."""

import shutil

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.executors.generation.base import Completion, Prompt
from testbudget.executors.generation.prompts import prompt_template
from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.rewards.problem import NO_PROGRAM, Problem, UnitTest, Verdict
from testbudget.rewards.seeds import derive_seed
from testbudget.traces.records import CandidateRecord, ProblemCandidates, TestStatus

USABLE, DUPLICATE, UNUSABLE = TestStatus.USABLE, TestStatus.DUPLICATE, TestStatus.UNUSABLE
CORRECT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"
PROBLEM = Problem("p/1", "Add two numbers.", "add")
SCRIPT_PROBLEM = Problem("p/2", "Add two numbers.", "add", "javascript")
ANSWER = """\
Here is a test class:

```python
import unittest

class TestAdd(unittest.TestCase):
    # Small numbers.
    def test_small(self):
        self.assertEqual(add(2, 3), 5)
```
"""
SAME_TEST = """\
```python
import unittest

class TestAdd(unittest.TestCase):
    def test_small(self):
        \'\'\'Two and three.\'\'\'
        self.assertEqual(add(2, 3),   5)
```
"""
OTHER_TEST = ANSWER.replace("2, 3), 5", "4, 5), 9")
NO_TEST = "I cannot write tests for this function."
SCRIPT_ANSWER = """\
```javascript
const test = require('node:test');
const assert = require('node:assert');

test('small numbers', () => assert.strictEqual(add(2, 3), 5)); // five
```
"""


def problem_candidates(problem=PROBLEM, codes=(CORRECT, WRONG)):
    records = [CandidateRecord(code, index, 10, 0.1) for index, code in enumerate(codes)]
    return ProblemCandidates.of(problem, records)


def records(answers, *, earlier=(), problem=PROBLEM):
    """Test records of answers, as the first tests of a problem."""
    generator = UnitTestGenerator(None, seed=7)
    candidates = problem_candidates(problem)
    requests = generator.requests(candidates, range(len(answers)))
    completions = [Completion(text, 20 + index, 0.5, "stop") for index, text in enumerate(answers)]
    return generator.records(candidates, requests, completions, earlier)


def statuses(answers, **options):
    return [record.status for record in records(answers, **options)]


def test_a_seed_depends_on_the_run_the_problem_and_the_index_only():
    generator = UnitTestGenerator(prompt_template("coderm"), seed=7)
    all_at_once = generator.requests(problem_candidates(), range(4))
    assert [request.seed for request in all_at_once] == [
        derive_seed(7, "unit test", "p/1", index) for index in range(4)
    ]
    assert generator.requests(problem_candidates(), [3, 1]) == (all_at_once[3], all_at_once[1])
    assert len({request.seed for request in all_at_once}) == 4
    other_run = UnitTestGenerator(prompt_template("coderm"), seed=8)
    assert other_run.requests(problem_candidates(), [0])[0].seed != all_at_once[0].seed


def test_a_request_shows_one_of_the_candidates_drawn_by_seed():
    requests = UnitTestGenerator(prompt_template("coderm"), seed=7).requests(
        problem_candidates(), range(30)
    )
    for request in requests:
        drawn = derive_seed(7, "solution", "p/1", request.index) % 2
        assert (CORRECT, WRONG)[drawn].strip() in request.prompt.text
        assert (CORRECT, WRONG)[1 - drawn].strip() not in request.prompt.text
    assert len({request.prompt for request in requests}) == 2


def test_without_a_template_prompts_are_empty():
    (request,) = UnitTestGenerator(None, seed=7).requests(problem_candidates(), [5])
    assert request.prompt == Prompt("", chat=False)
    assert (request.problem, request.index) == ("p/1", 5)


def test_answers_are_usable_duplicate_or_unusable():
    assert statuses([ANSWER, NO_TEST, SAME_TEST, OTHER_TEST]) == [USABLE, UNUSABLE, DUPLICATE, USABLE]


def test_a_duplicate_of_an_earlier_usable_test_is_found():
    earlier = records([ANSWER, NO_TEST])
    assert statuses([SAME_TEST, OTHER_TEST, NO_TEST], earlier=earlier) == [DUPLICATE, USABLE, UNUSABLE]


def test_a_record_keeps_the_answer_its_seed_and_its_cost():
    first, second = records([ANSWER, NO_TEST])
    assert (first.text, first.tokens, first.gpu_seconds) == (ANSWER, 20, 0.5)
    assert (second.text, second.tokens, second.gpu_seconds) == (NO_TEST, 21, 0.5)
    assert second.seed == derive_seed(7, "unit test", "p/1", 1)


def test_a_test_that_never_uses_the_entry_point_is_unusable():
    assert statuses([ANSWER.replace("add(", "sum_of(")]) == [UNUSABLE]


def test_the_unit_test_of_a_record_passes_the_correct_candidate_alone():
    (record,) = records([ANSWER])
    unit_test = UnitTestGenerator(None, seed=7).unit_test(problem_candidates(), 4, record)
    assert unit_test == UnitTest("p/1", 4, unit_test.code, record.seed)
    with Runner(TestLimits(cpu_seconds=0.4, memory_mib=256)) as runner:
        verdicts = runner.run([CORRECT, WRONG], [unit_test], "add").verdicts
    assert verdicts.tolist() == [[Verdict.PASSED], [Verdict.FAILED]]


def test_an_unusable_record_has_no_unit_test():
    (record,) = records([NO_TEST])
    with pytest.raises(ValueError, match="test 2 of problem p/1 is unusable, not usable"):
        UnitTestGenerator(None, seed=7).unit_test(problem_candidates(), 2, record)


def test_javascript_answers_are_read_by_the_language_of_the_problem():
    same_test = SCRIPT_ANSWER.replace(" // five", "").replace("test(", "\n  test(")
    assert statuses([SCRIPT_ANSWER, same_test, ANSWER], problem=SCRIPT_PROBLEM) == [
        USABLE,
        DUPLICATE,
        UNUSABLE,
    ]


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_a_javascript_unit_test_passes_the_correct_candidate_alone():
    correct, wrong = "const add = (a, b) => a + b;", "const add = (a, b) => a - b;"
    candidates = problem_candidates(SCRIPT_PROBLEM, (correct, wrong))
    (record,) = records([SCRIPT_ANSWER], problem=SCRIPT_PROBLEM)
    unit_test = UnitTestGenerator(None, seed=7).unit_test(candidates, 0, record)
    with Runner(TestLimits(cpu_seconds=1.0), language="javascript") as runner:
        verdicts = runner.run([correct, wrong], [unit_test], "add").verdicts
    assert verdicts.tolist() == [[Verdict.PASSED], [Verdict.FAILED]]


def test_an_answer_without_a_program_is_shown_to_no_model():
    notes = ((NO_PROGRAM,), (), (NO_PROGRAM,))
    codes = ("I cannot.", CORRECT, "Neither can I.")
    written = [CandidateRecord(code, False, 0, 0.0, note) for code, note in zip(codes, notes, strict=True)]
    generator = UnitTestGenerator(prompt_template("coderm"), seed=7)
    requests = generator.requests(ProblemCandidates.of(PROBLEM, written), range(9))
    assert not any(
        "cannot" in request.prompt.text or "Neither" in request.prompt.text for request in requests
    )
    assert ProblemCandidates.of(PROBLEM, written[:1]).shown[0].code == "I cannot."
