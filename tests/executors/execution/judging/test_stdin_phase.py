import json

import numpy as np
import pytest

from testbudget.executors.execution.output_digests import recorded_input
from testbudget.executors.execution.stdin_calls import STDIN_CALL
from testbudget.rewards.comparison import Comparison, TextComparison
from testbudget.rewards.outputs import CallEnding
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest, Verdict
from testbudget.rewards.stdin_case import StdinCase, cases_as_text
from testbudget.rewards.verdict_reason import DetailName

PASSED, FAILED, ERRORED = Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED
TIMED_OUT, COMPILE_ERROR = Verdict.TIMED_OUT, Verdict.COMPILE_ERROR
DOUBLE = "print(2 * int(input()))"


@pytest.fixture
def run(every_mode):
    def answer(candidates, *tests, patience="usual", **options):
        codes = [test if isinstance(test, UnitTest) else case(*test) for test in tests]
        numbered = [UnitTest("", place, test.code, kind=test.kind) for place, test in enumerate(codes)]
        return every_mode["every layer"](patience=patience).run(candidates, numbered, None, **options)

    return answer


def case(stdin, expected):
    return UnitTest("", 0, StdinCase(stdin, expected).as_text(), kind=TestKind.STDIN)


def reason(block, candidate=0, test=0):
    return block.reasons[block.reason_of[candidate, test]]


def test_each_case_is_a_run_of_its_own(run):
    candidates = [DOUBLE, "print(2 + int(input()))", "print((", "raise SystemExit(3)"]
    block = run(candidates, ("2\n", "4\n"), ("3", "6"))
    assert block.verdicts.tolist() == [
        [PASSED, PASSED],
        [PASSED, FAILED],
        [COMPILE_ERROR, COMPILE_ERROR],
        [ERRORED, ERRORED],
    ]
    assert (block.cpu_seconds[[0, 1, 3]] > 0).all()
    assert (block.wall_seconds[[0, 1, 3]] > 0).all()


def test_reasons_tell_what_differs_and_where_a_program_failed(run):
    programs = [
        "print('x\\ny')",
        "import missing_module",
        "\n1 / 0",
        "import sys; sys.exit('no')",
        "x = (",
        "import os; os.kill(os.getpid(), 15)",
        "print('x' * (1 << 25))",
    ]
    block = run(programs, ("", "x\nz\n"))
    details = [
        {str(name): text for name, text in reason(block, place).detail.items()} for place in range(7)
    ]
    assert [reason(block, place).sentence for place in range(7)] == [
        "The output differs from the expected one in line 2.",
        "The module missing_module is not installed in the sandbox.",
        "The program raised ZeroDivisionError on line 2.",
        "The program ended with exit status 1.",
        "The candidate does not compile.",
        "The program was ended by signal SIGTERM.",
        "The program printed more than its limit.",
    ]
    assert details[0] == {"expected": "z", "given": "y"}
    assert details[1]["module"] == "missing_module"
    assert details[2] == {"exception": "ZeroDivisionError", "message": "division by zero", "line": "2"}
    assert details[3] == {"message": "no"}
    assert details[4]["exception"] == "SyntaxError"
    assert details[4]["line"] == "1"
    assert details[6] == {"limit": "16 MiB of output"}


def test_tests_of_functions_and_of_programs_share_a_block(run):
    program = "def double(n): return 2 * n\nif __name__ == '__main__': print(double(int(input())))"
    test = UnitTest("", 0, "assert double(2) == 4", kind=TestKind.ASSERT)
    block = run([program, DOUBLE], ("2", "4"), test)
    assert block.verdicts[0].tolist() == [PASSED, PASSED]
    assert block.verdicts[1].tolist() == [PASSED, ERRORED]


def test_a_test_of_several_cases_is_passed_if_all_are(run):
    cases = [StdinCase("1", "2"), StdinCase("2", "4"), StdinCase("3", "7"), StdinCase("4", "8")]
    tests = [
        UnitTest("", 0, cases_as_text(part), kind=TestKind.STDIN)
        for part in (cases[:2], cases, cases[:3:2])
    ]
    block = run([DOUBLE, "print(int(input()) ** 2 - int(0))"], *tests)
    assert block.verdicts.tolist() == [[PASSED, FAILED, FAILED], [FAILED, FAILED, FAILED]]
    assert reason(block, 0, 1).sentence.startswith("Case 3: The output differs")
    recorded = block.recorded_outputs
    assert [item.test for item in recorded.inputs] == [0, 0, 1, 1, 1, 1, 2, 2]
    assert (recorded.results[0] >= 0).all()
    unrecorded = run([DOUBLE], *tests, record=False)
    assert unrecorded.verdicts.tolist() == [[PASSED, FAILED, FAILED]]


def test_an_input_alone_is_recorded_and_passes_nothing(run):
    block = run([DOUBLE, "print(int(input()) * 2, end=' ')"], ("4", None))
    assert block.verdicts.tolist() == [[ERRORED], [ERRORED]]
    assert reason(block).sentence == "The test expects no output, so it tests nothing."
    assert block.recorded_outputs.results.tolist() == [[0], [0]]


@pytest.mark.parametrize(
    "code",
    ["nonsense", "{}", "[]", '{"stdin": 1}', '[{"stdin": "1"}]', "[" * 100_000, "9" * 10_000, "\ud800"],
    ids=lambda code: code[:9].encode("ascii", "replace").decode(),
)
def test_a_test_that_is_no_case_tells_so(run, code):
    block = run([DOUBLE], UnitTest("", 0, code, kind=TestKind.STDIN), ("1", "2"))
    assert block.verdicts.tolist() == [[ERRORED, PASSED]]
    assert reason(block).sentence == "The test is no input with an expected output."


def test_runs_are_recorded_as_calls_that_can_be_made_again(every_mode, run):
    programs = [DOUBLE, "print(int(input()) * 2, '')", "print(9)", "1 / 0", "while True: pass"]
    block = run(programs, ("4\n", "8"), patience="short")
    recorded = block.recorded_outputs
    (call,) = recorded.inputs
    assert (call.function, json.loads(call.arguments)[0]) == (STDIN_CALL, ["4\n"])
    endings = [recorded.outputs[number].ending for number in recorded.results[:, 0]]
    assert endings == [CallEnding.RETURNED] * 3 + [CallEnding.RAISED, CallEnding.TIMED_OUT]
    assert recorded.results[0] == recorded.results[1] != recorded.results[2]
    runner = every_mode["every layer"](patience="short")
    again, cpu_seconds = runner.call(programs, recorded.inputs)
    digests = [
        [outputs.outputs[number].digest for number in outputs.results[:, 0]]
        for outputs in (recorded, again)
    ]
    assert digests[0] == digests[1]
    assert (cpu_seconds > 0).all()


def test_inputs_alone_are_called_beside_functions(every_mode):
    inputs = [recorded_input("1"), recorded_input("2")]
    recorded, _ = every_mode["every layer"]().call([DOUBLE, "print(input() * 2)"], inputs)
    assert [item.test for item in recorded.inputs] == [None, None]
    examples = [[recorded.outputs[number].example for number in row] for row in recorded.results]
    assert examples == [["'2'", "'4'"], ["'11'", "'22'"]]


def test_outputs_that_agree_have_one_normal_form(run):
    words = Comparison(text=TextComparison.TOKENS)
    block = run(["print('a', 'b')", "print('a\\nb')", "print('ab')"], ("", "a b"), comparison=words)
    assert block.verdicts[:, 0].tolist() == [PASSED, PASSED, FAILED]
    assert block.recorded_outputs.results[:, 0].tolist() == [0, 0, 1]


def test_slow_pairs_are_run_on_only_while_they_matter(run):
    loops = "input()\nwhile True: pass"
    slow = "import time\nwhile time.process_time() < 0.2: pass\nprint(input())"
    tests = [(str(number), str(number)) for number in range(3)]
    leading = run(["print(input())", loops], *tests, settle=False, standing=np.array([5, 0]))
    assert leading.verdicts.tolist() == [[PASSED] * 3, [TIMED_OUT] * 3]
    assert (leading.cut_at[1] > 0).all()
    assert (leading.cpu_seconds[1] < 0.4).all()
    alone = run([slow, loops], *tests, settle=False)
    assert alone.verdicts[0].tolist() == [PASSED] * 3
    assert (alone.cut_at[0] == 0).all()


def test_a_candidate_with_too_many_timeouts_is_not_run_on(run):
    block = run(["while True: pass"], *((str(n), "x") for n in range(4)), patience="short")
    assert block.verdicts.tolist() == [[TIMED_OUT, TIMED_OUT, NOT_RUN, NOT_RUN]]
    assert DetailName.LIMIT in reason(block).detail


def test_large_inputs_and_outputs_pass_through(run):
    text = "\n".join(map(str, range(300_000)))
    echo = "import sys\nsys.stdout.write(sys.stdin.read())"
    assert run([echo], (text, text), record=False).verdicts.tolist() == [[PASSED]]


@pytest.mark.parametrize("tolerance", [0.0, 0.1])
def test_of_long_outputs_digests_are_kept(run, tolerance):
    texts = [f"print('{letter} ' * 2_000_000)" for letter in "aab"]
    programs = [f"{text}\n# {number}" for number, text in enumerate(texts)]
    outputs = run(programs, ("", "x"), comparison=Comparison(absolute=tolerance)).recorded_outputs
    assert outputs.results[:, 0].tolist() == [0, 0, 1]


def test_texts_that_are_no_unicode_reach_the_program_and_come_back(run):
    echo = "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())"
    block = run(
        [echo, "print(input())"], ("\u00e9\u4e2d\U0001f600\u2028 x", "\u00e9\u4e2d\U0001f600\u2028 x")
    )
    assert block.verdicts[:, 0].tolist() == [PASSED, PASSED]
