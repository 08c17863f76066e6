import pytest

from testbudget.executors.execution.judging.near_results import merged_results
from testbudget.executors.execution.stdin_calls import stdin_call
from testbudget.rewards.comparison import Comparison, TextComparison
from testbudget.rewards.problem import TestKind, UnitTest
from testbudget.rewards.stdin_case import StdinCase

NEAR = Comparison(absolute=1e-6)
CALL = '["f",[1],{"dict":[]}]'


def groups(comparison, results, call=CALL):
    paths = [[(0, number)] for number in range(len(results))]
    merged = merged_results(comparison, paths, [call], results)
    return [merged.get((0, number), (0, number))[1] for number in range(len(results))]


@pytest.mark.parametrize(
    "results",
    [
        ['["r",1.0]', '["r",1]', '["r",1.0000001]'],
        ['["r",[1.0,{"tuple":[2.0,"x"]}]]', '["r",[1.0000001,{"tuple":[2,"x"]}]]'],
        ['["r",{"set":[1.0,2.0]}]', '["r",{"set":[2.0000001,1.0000001]}]'],
        ['["r",{"dict":[["a",1.0],["b",2.0]]}]', '["r",{"dict":[["b",2.0],["a",1.0000001]]}]'],
    ],
)
def test_values_that_differ_in_the_last_digits_are_one_result(results):
    assert len({*groups(NEAR, results)}) == 1
    assert len({*groups(Comparison(), results)}) == len(results)


@pytest.mark.parametrize(
    "results",
    [
        ['["r",1.0]', '["r",1.1]'],
        ['["r",1.0]', '["r","1.0"]', '["e",["builtins","ValueError"]]', '["o"]', '["r",[1.0]]'],
        ['["r",{"float":"nan"}]', '["r",{"float":"inf"}]', '["r",0.0]'],
        ['["r",9007199254740993]', '["r",9007199254740994]'],
        ["nonsense", '["r"', f"[{'[' * 100000}", '["r",1]'],
    ],
)
def test_other_results_stay_apart(results):
    assert groups(NEAR, results) == [*range(len(results))]


def test_printed_numbers_are_merged_as_their_comparison_reads_them():
    results = ['["r", "1.0 x\\n2"]', '["r", "1.0000001 x\\n2"]', '["r", "1.0 x 2"]']
    call = stdin_call("5")
    assert len({*groups(NEAR, results, call)}) == 2
    assert len({*groups(Comparison(text=TextComparison.TOKENS, absolute=1e-6), results, call)}) == 1


@pytest.mark.parametrize("kind", [TestKind.ASSERT, TestKind.STDIN])
def test_right_candidates_that_differ_in_the_last_digit_form_one_group(every_mode, kind):
    runner = every_mode["every layer"]()
    if kind is TestKind.STDIN:
        candidates = ["print(0.1 + 0.2)", "print(0.3)", "print(0.4)"]
        test = UnitTest("", 0, StdinCase("", "0.3").as_text(), kind=kind)
    else:
        candidates = [f"def f(): return {text}" for text in ("3333.331", "3333.339", "4.0")]
        test = UnitTest("", 0, "assert abs(f() - 3333.335) < 0.1", kind=kind)
    for comparison, distinct in ((Comparison(), 3), (Comparison(absolute=0.01), 2)):
        recorded = runner.run(candidates, [test], None, comparison=comparison).recorded_outputs
        assert len({*recorded.results[:, 0].tolist()}) == distinct
    assert recorded.results[0, 0] == recorded.results[1, 0]
