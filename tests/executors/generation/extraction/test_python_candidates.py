"""Python candidates read from answers as models write them."""

import pytest

from testbudget.executors.generation.extraction.candidates import AnswerNote, ExtractionRule
from testbudget.executors.generation.extraction.python_candidates import defines, read_python_candidate

PROMPT = 'from typing import List\n\ndef total(xs: List[int]) -> int:\n    """Sum of a list."""\n'
RIGHT = "def total(xs):\n    return sum(xs)"


def read(text, entry_point="total", prompt=PROMPT, rule=ExtractionRule.LAST):
    return read_python_candidate(text, entry_point, prompt, rule)


def result(reading, *arguments, entry_point="total"):
    """Result of the entry point of a reading, loaded as the sandbox would load it."""
    names = {"__name__": "solution"}
    exec(reading.code, names)
    return eval(entry_point, names)(*arguments)


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        (f"```python\n{RIGHT}\n```", None),
        (f"```python\ndef subtotal(): pass\n```\n```python\n{RIGHT}\n```", None),
        (f"```\npip install total\n```\n```python\n{RIGHT}\n```", None),
        (f"```python\n{RIGHT}\n```\n```python\nprint(total([1]))\n```", None),
        (f"```python\n>>> total([1])\n1\n```\n```python\n{RIGHT}\n```", None),
        ("```python\ntotal = lambda xs: sum(xs)\n```", None),
        (
            "```python\ndef helper(xs):\n    return sum(xs)\n```\nNow:\n"
            "```python\ndef total(xs):\n    return helper(xs)\n```",
            AnswerNote.OTHER_BLOCKS,
        ),
        (
            "```python\ndef total(xs):\n    return helper(xs)\n```\nwith\n"
            "```python\ndef helper(xs):\n    return sum(xs)\n```",
            AnswerNote.OTHER_BLOCKS,
        ),
        (
            "```python\nimport math\n```\n```python\ndef total(xs):\n    return int(math.fsum(xs))\n```",
            AnswerNote.OTHER_BLOCKS,
        ),
        ("```python\ndef total(xs: List[int]) -> int:\n    return sum(xs)\n```", AnswerNote.FROM_PROMPT),
        ("```python\n    return sum(xs)\n```", AnswerNote.BODY_ALONE),
        ("    return sum(xs)\n", AnswerNote.BODY_ALONE),
        (f"Sure!\n\n{RIGHT}\n\nIt adds them up.", AnswerNote.WITHOUT_FENCE),
        (
            f"```python\ndef total(xs):\n    return 0\n```\nNo:\n```python\n{RIGHT}\n```",
            AnswerNote.SEVERAL_PROGRAMS,
        ),
    ],
)
def test_the_program_is_found_and_runs(answer, note):
    reading = read(answer)
    assert result(reading, [1, 2, 3]) == 6
    assert reading.notes == (() if note is None else (note,))


USAGE = [
    "print(total([1, 2]))",
    "assert total([1]) == 2",
    "answer = total([1, 2])\nprint(answer)",
    "for xs in [[1], [2]]:\n    print(total(xs))",
    "n = int(input())\nprint(total([n]))",
    "if __name__ == '__main__':\n    print(total([1]))",
    "xs = list(map(int, input().split()))",
    "exit()",
]


@pytest.mark.parametrize("usage", USAGE)
def test_usage_does_not_become_part_of_the_program(usage):
    reading = read(f"```python\n{RIGHT}\n\n# Usage\n{usage}\n```")
    assert reading.code.split("\n\n")[0] == RIGHT
    assert usage.split("\n", maxsplit=1)[0] not in reading.code


EFFECTS = [
    "PRIMES = []\nfor n in range(3):\n    PRIMES.append(n)\ndef total(xs): return PRIMES",
    "PRIMES = [0]\nPRIMES += [1, 2]\ndef total(xs): return PRIMES",
    "PRIMES = {}\nPRIMES[0] = 1\nPRIMES.update({1: 2})\ndef total(xs): return [0, *PRIMES.values()]",
    "import random\nPRIMES = [0, 1, 2]\nrandom.shuffle(PRIMES)\ndef total(xs): return sorted(PRIMES)",
    "def fill(xs): xs.extend(range(3))\nPRIMES = []\nfill(PRIMES)\ndef total(xs): return PRIMES",
    "def setup():\n    global PRIMES\n    PRIMES = [0, 1, 2]\nsetup()\ndef total(xs): return PRIMES",
    "try:\n    PRIMES = [0, 1, 2]\nexcept ValueError:\n    PRIMES = None\ndef total(xs): return PRIMES",
    "def total(xs): return [*range(3)]\ntotal = __import__('functools').lru_cache(total)",
]


@pytest.mark.parametrize("program", EFFECTS)
def test_statements_that_the_program_needs_stay(program):
    reading = read(f"```python\n{program}\n```")
    assert result(reading, ()) == [0, 1, 2]


def test_settings_of_the_interpreter_stay():
    program = f"import sys\nsys.setrecursionlimit(10 ** 6)\n{RIGHT}"
    assert read(f"```python\n{program}\n```").code.strip() == program


def test_a_method_is_an_entry_point_by_its_class():
    program = "class Solution:\n    def total(self, xs):\n        return sum(xs)"
    answer = f"```python\n{program}\n\ns = Solution()\nprint(s.total([1]))\n```"
    for entry_point in ("Solution.total", "Solution().total"):
        assert read(answer, entry_point).code.strip() == program
    assert read(answer).notes == (AnswerNote.METHOD_ALONE,)
    assert not defines("class Solution:\n    pass", "Solution.total")


@pytest.mark.parametrize(
    ("rule", "expected"), [(ExtractionRule.LAST, 3), (ExtractionRule.FIRST, 1), (ExtractionRule.LONGEST, 2)]
)
def test_the_rule_decides_between_programs(rule, expected):
    bodies = ("return 1", "value = 2\n    return value", "return 3")
    answer = "\n".join(f"```python\ndef total(xs):\n    {body}\n```" for body in bodies)
    assert result(read(answer, rule=rule), []) == expected


@pytest.mark.parametrize(
    "answer", ["", "# later", "I cannot do that.", "```bash\nls\n```", "```python\ndef total(\n```"]
)
def test_an_answer_without_a_program_is_kept_and_marked(answer):
    reading = read(answer)
    assert not reading.has_program
    assert reading.code.endswith(answer)
    with pytest.raises(SyntaxError):
        compile(reading.code, "<candidate>", "exec")


def test_future_imports_stay_first():
    program = "from __future__ import annotations\ndef total(xs):\n    return math.fsum(xs)"
    answer = f"```python\nimport math\n```\n```python\n{program}\n```"
    assert result(read(answer), [1]) == 1
