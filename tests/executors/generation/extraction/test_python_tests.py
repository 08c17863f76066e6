"""Tests and candidates extracted from answers as models write them."""

import ast
import unittest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.generation.extraction.answers import Rejection
from testbudget.executors.generation.extraction.extract import (
    extract_unit_test,
    normal_form,
    read_candidate,
)
from testbudget.executors.generation.prompts import prompt_template
from testbudget.rewards.problem import Problem, TestKind

PLAIN = """\
import unittest

class TestAdd(unittest.TestCase):
    def test_small(self):
        # two and two
        self.assertEqual(add(2, 2), 4)
"""

CHAT = f"""\
Here are test cases:

```python
{PLAIN}
if __name__ == '__main__':
    unittest.main()
```

In the code above we test `add`.
"""


def code_of(text, entry_point="add"):
    extracted = extract_unit_test(text, entry_point)
    assert extracted.rejection is None, extracted.rejection
    return extracted.code


def rejection_of(text, entry_point="add"):
    extracted = extract_unit_test(text, entry_point)
    assert extracted.code is None, extracted.code
    return extracted.rejection


def holds(code, candidate):
    """Return whether the bare assertions of a test hold for a candidate."""
    names = {}
    exec(candidate, names)
    try:
        exec(code, names)
    except AssertionError:
        return False
    return True


def passes(code, candidate):
    """Return whether a candidate passes, run in the namespace of the test."""
    namespace = {"__name__": "judged"}
    exec(candidate, namespace)
    exec(code, namespace)
    (test_class,) = (
        value
        for value in namespace.values()
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == "judged"
    )
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(test_class).run(result)
    assert result.testsRun > 0
    return result.wasSuccessful()


CORRECT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"


def test_an_answer_with_a_code_block_and_one_without_hold_the_same_test():
    assert code_of(CHAT) == code_of(PLAIN)
    assert passes(code_of(CHAT), CORRECT)
    assert not passes(code_of(CHAT), WRONG)


def test_the_call_of_the_test_runner_is_removed():
    assert "main" not in code_of(CHAT)
    assert "main" not in code_of(PLAIN + "\nunittest.main()\n")
    suite = "suite = unittest.TestLoader().loadTestsFromTestCase(TestAdd)\n"
    suite += "unittest.TextTestRunner().run(suite)\n"
    assert "suite" not in code_of(PLAIN + suite)


def test_a_copy_of_the_entry_point_is_removed_so_that_the_candidate_is_tested():
    code = code_of("import unittest\n\n" + CORRECT + "\n" + PLAIN)
    assert "def add" not in code
    assert not passes(code, WRONG)


def test_a_copy_of_the_entry_point_inside_the_test_is_removed():
    text = PLAIN.replace("        # two and two\n", "        def add(a, b):\n            return a + b\n")
    assert not passes(code_of(text), WRONG)


def test_a_copy_of_a_class_under_test_is_removed():
    text = "class Stack:\n    pass\n\n" + PLAIN.replace("add(2, 2), 4", "Stack().size(), 0")
    assert "class Stack" not in code_of(text, "Stack")
    assert "class Solution" not in code_of(text.replace("Stack", "Solution"), "Solution")
    assert "class Solution" not in code_of(text.replace("Stack", "Solution"), "Solution.size")


@pytest.mark.parametrize(
    "imported",
    [
        "from solution import add",
        "from your_module import add, subtract",
        "from .add import add",
        "from . import add",
        "from solution import *",
        "import solution",
        "try:\n    from solution import add\nexcept ImportError:\n    pass",
    ],
)
def test_an_import_of_the_candidate_is_removed(imported):
    code = code_of(f"{imported}\n{PLAIN}")
    assert "solution" not in code
    assert "your_module" not in code
    assert passes(code, CORRECT)


def test_an_import_of_the_candidate_inside_a_method_is_removed():
    code = code_of(PLAIN.replace("# two and two", "from solution import add"))
    assert passes(code, CORRECT)


def test_an_alias_of_the_entry_point_is_the_candidate():
    code = code_of("from solution import add as plus\n" + PLAIN.replace("add(2", "plus(2"))
    assert passes(code, CORRECT)
    assert not passes(code, WRONG)


@pytest.mark.parametrize(
    ("imported", "called"), [("import solution", "solution.add"), ("import my_code as m", "m.add")]
)
def test_the_entry_point_as_an_attribute_of_its_module_is_the_candidate(imported, called):
    code = code_of(f"{imported}\n" + PLAIN.replace("add(2", f"{called}(2"))
    assert passes(code, CORRECT)
    assert not passes(code, WRONG)


def test_a_function_of_the_standard_library_keeps_its_module():
    text = "import math\n" + PLAIN.replace("add(2, 2), 4", "gcd(4, 6), math.gcd(4, 6)")
    assert "math.gcd(4, 6)" in code_of(text, "gcd")


@pytest.mark.parametrize(
    "setting",
    [
        "CASES = []\nfor n in range(3):\n    CASES.append(n)",
        "CASES = {}\nCASES['a'] = 1",
        "N = 1\nN += 1",
        "sys.setrecursionlimit(10000)",
        "getcontext().prec = 50",
        "DATA = None\n\ndef setUpModule():\n    global DATA\n    DATA = [1]",
        "random.seed(1)",
    ],
)
def test_statements_with_effects_are_kept(setting):
    assert ast.unparse(ast.parse(setting)) in code_of(f"{setting}\n{PLAIN}")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("assert add(2, 2) == 4\nassert add(1, 1) == 2", TestKind.ASSERT),
        ("def test_add():\n    assert add(2, 2) == 4\ntest_add()", TestKind.PYTEST),
        ("for a in range(3):\n    assert add(a, 1) == a + 1", TestKind.ASSERT),
        ("class TestAdd:\n    def test(self):\n        assert add(1, 1) == 2", TestKind.PYTEST),
        ("def check(candidate):\n    assert candidate(2, 2) == 4\ncheck(add)", TestKind.CHECK),
        (PLAIN, TestKind.UNITTEST),
        (
            PLAIN.replace("import unittest", "import unittest as ut").replace("unittest.T", "ut.T"),
            TestKind.UNITTEST,
        ),
    ],
)
def test_tests_of_every_style_are_usable(text, kind):
    extracted = extract_unit_test(text, "add")
    assert extracted.kind is kind
    assert holds(extracted.code, CORRECT)
    assert kind is TestKind.UNITTEST or "class" in text or not holds(extracted.code, WRONG)


def test_a_syntax_error_costs_the_method_that_it_stands_in():
    broken = "    def test_broken(self):\n        self.assertEqual(add(1, 2) 3)\n"
    broken += "    def test_last(self):\n        self.assertEqual(add(1, 2), 3)\n"
    code = code_of(PLAIN + broken)
    assert "test_small" in code
    assert "test_broken" not in code
    assert "test_last" in code


def test_a_method_of_another_class_keeps_the_name_of_the_entry_point():
    fake = "class Fake:\n    def add(self, x):\n        return x\n"
    assert "def add" in code_of(fake + PLAIN.replace("add(2, 2)", "add(Fake().add(2), 2)"))


def test_a_class_around_a_copy_of_the_entry_point_calls_the_candidate():
    wrapper = "class Solution:\n    def add(self, a, b):\n        return a + b\n"
    code = code_of(wrapper + PLAIN.replace("add(2", "Solution().add(2"))
    assert passes(code, CORRECT)
    assert not passes(code, WRONG)


def test_names_of_the_standard_library_that_nothing_defines_are_imported():
    text = PLAIN.replace("add(2, 2), 4", "add(math.floor(2.5), len(List[int].__args__)), 3")
    code = code_of(text)
    assert "import math" in code
    assert "from typing import List" in code
    assert passes(code, CORRECT)
    assert "import math" not in code_of("math = None\n" + PLAIN.replace("4)", "math or 4)"))


def test_a_forgotten_import_of_unittest_is_added():
    body = PLAIN.removeprefix("import unittest\n")
    assert passes(code_of(body), CORRECT)
    assert passes(code_of(body.replace("unittest.TestCase", "TestCase")), CORRECT)


def test_all_classes_with_test_methods_are_one_test():
    second = PLAIN.replace("TestAdd", "TestMore").replace("import unittest\n", "")
    code = code_of(PLAIN + second)
    assert [node.name for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ClassDef)] == [
        "TestAdd",
        "TestMore",
    ]


def test_tests_in_several_blocks_are_one_test():
    second = PLAIN.replace("TestAdd", "TestMore").replace("import unittest\n", "")
    code = code_of(
        f"```python\nN = 2\n```\n```python\n{PLAIN.replace('2)', 'N)')}```\nand\n```python\n{second}```"
    )
    assert code.count("class Test") == 2
    assert code.startswith("N = 2")


def test_the_base_of_a_test_class_is_kept():
    base = "class Base(unittest.TestCase):\n    def check(self, x):\n        self.assertEqual(x, 4)\n\n"
    text = PLAIN.replace("class TestAdd(unittest.TestCase)", base + "class TestAdd(Base)")
    text = text.replace("self.assertEqual(add(2, 2), 4)", "self.check(add(2, 2))")
    assert "class Base" in code_of(text)


def test_the_block_with_the_test_is_found_among_others():
    text = f"First the function:\n```python\n{CORRECT}```\nThen run\n```bash\npython t.py\n```\n{CHAT}"
    assert code_of(text) == code_of(PLAIN)


def test_an_indented_block_in_a_list_is_found():
    block = "".join(f"   {line}\n" for line in f"```python\n{PLAIN}```".splitlines())
    assert code_of("1. The test:\n\n" + block) == code_of(PLAIN)


def test_reasoning_before_the_answer_is_ignored():
    thought = "<think>\n```python\nclass TestOther(unittest.TestCase): ...\n```\n</think>\n"
    assert code_of(thought + CHAT) == code_of(PLAIN)


def test_prose_after_code_without_fences_is_removed():
    assert code_of(PLAIN + "\nThis test checks that two and two is four.\n") == code_of(PLAIN)


MORE = """\
    def test_more(self):
        self.assertEqual(add(1, 1), 2)
        self.assertEqual(add(0, 0), 0)
"""


@pytest.mark.parametrize(
    ("broken", "kept"),
    [
        ("    def test_m", 0),
        ("    def test_more(self):\n", 0),
        ("    def test_more(self):\n        self.assertEqual(add(1, 1), 2)\n        add([0,", 1),
        (MORE + "        for value in [1, 2", 2),
        (MORE + "        self.assertEqual(add('unfinished", 2),
        (MORE + '    def test_last(self):\n        """Unfinished', 2),
        (MORE + "        try:\n            add(1, 2)\n", 2),
    ],
)
@pytest.mark.parametrize("fence", ["", "```python\n"])
def test_a_truncated_answer_keeps_its_complete_statements(broken, kept, fence):
    code = code_of(fence + PLAIN + "\n" + broken)
    assert code.count("assertEqual") == 1 + kept
    assert passes(code, CORRECT)


@pytest.mark.parametrize(
    ("text", "rejection"),
    [
        ("", Rejection.NO_CODE),
        ("I cannot write tests for this.", Rejection.NO_CODE),
        ("```python\nThis is no code at all\n```", Rejection.DOES_NOT_PARSE),
        ("import unittest\nclass TestAdd(", Rejection.NO_ASSERTION),
        ("class Adding:\n    def test(self):\n        assert add(1, 1) == 2", Rejection.NO_TEST),
        ("class TestAdd:\ndef test(self):\n    assert add(1, 1) == 2", Rejection.NO_TEST),
        (PLAIN.replace("test_small", "check_small"), Rejection.NO_TEST),
        (PLAIN.replace("add(2, 2)", "2 + 2"), Rejection.ENTRY_POINT_UNUSED),
        (PLAIN.replace("add(2, 2)", "self.add(2, 2)"), Rejection.ENTRY_POINT_UNUSED),
        (
            "class S:\n    def add(self, a, b): return a + b\n" + PLAIN.replace("add(", "S().add("),
            Rejection.ENTRY_POINT_UNUSED,
        ),
        (PLAIN.replace("self.assertEqual", "print"), Rejection.NO_ASSERTION),
    ],
)
def test_an_unusable_answer_is_rejected_with_its_reason(text, rejection):
    assert rejection_of(text) is rejection


@pytest.mark.parametrize(
    "degenerate", ["[" * 5000, "-" * 100_000 + "1", "x = " + "1+" * 20_000 + "1", "a\0b", "x" * 10**6]
)
def test_degenerate_text_is_rejected_or_extracted(degenerate):
    for text in (
        degenerate,
        f"import unittest\n{degenerate}\n",
        PLAIN + degenerate,
        PLAIN.replace("4)", f"{degenerate})"),
    ):
        extracted = extract_unit_test(text, "add")
        assert (extracted.code is None) != (extracted.rejection is None)
        assert isinstance(normal_form(text), str)


@given(st.text(alphabet=st.sampled_from("`python~\n \tdefclassT:()[]'\"#@\\=xé\0")))
def test_any_text_is_rejected_or_extracted(text):
    extracted = extract_unit_test(text, "x")
    assert (extracted.code is None) != (extracted.rejection is None)


@given(st.integers(0, len(CHAT)))
def test_an_answer_truncated_anywhere_is_rejected_or_runs(length):
    extracted = extract_unit_test(CHAT[:length], "add")
    if extracted.code is not None:
        assert passes(extracted.code, CORRECT)


PROBLEM = Problem("p", 'def add(a, b):\n    """Sum."""\n', "add")


def test_a_continuation_is_appended_to_the_prompt():
    text = "    return a + b\n"
    assert read_candidate(prompt_template("completion"), PROBLEM, text).code == PROBLEM.prompt + text


@pytest.mark.parametrize(
    "answer",
    [
        f"Sure!\n```python\n{CORRECT}```\nDone.",
        f"```\n{CORRECT}```",
        f"```python\n{CORRECT}",
        f"Install it:\n```bash\npip install add\n```\n```py\n{CORRECT}```",
        f"```python\nimport math\n```\n```python\n{CORRECT}```",
        f"<think>\n```python\nadd = None\n```\n</think>```python\n{CORRECT}```",
        CORRECT,
    ],
)
def test_a_candidate_is_the_block_with_the_entry_point(answer):
    assert read_candidate(prompt_template("chat"), PROBLEM, answer).code.strip() == CORRECT.strip()


def test_comments_and_docstrings_do_not_change_the_normal_form():
    documented = 'def add(a, b):\n    """Add."""\n\n    return (a+b)  # sum\n'
    assert normal_form(documented) == normal_form(CORRECT)
    assert normal_form(WRONG) != normal_form(CORRECT)
    assert normal_form('class A:\n    """Only words."""\n') == normal_form("class A:\n    pass\n")


def test_code_that_does_not_parse_is_its_own_normal_form():
    assert normal_form("def add(") == "def add("
