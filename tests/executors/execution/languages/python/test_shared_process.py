"""Passes that count for a side-effect-free candidate in the same process as the test."""

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

PASSED, UNCONFIRMED = Verdict.PASSED, Verdict.UNCONFIRMED

POINT = """
class Point:
    def __init__(self, x, y=0):
        self.x, self.y = x, y
    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)
    def __eq__(self, other):
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)
"""
LINKED = """
class Node:
    def __init__(self, value, next=None):
        self.value, self.next = value, next
    def __eq__(self, other):
        return isinstance(other, Node) and self.value == other.value and self.next == other.next
def solve(values):
    head = None
    for value in reversed(values):
        head = Node(value, head)
    return head
"""
BAG = """
class Bag:
    def __init__(self, *items):
        self.items = list(items)
    def __contains__(self, item):
        return item in self.items
"""
CONFIRMED = {
    "equal objects": (POINT, "assert Point(1, 2) + Point(3, 4) == Point(4, 6)"),
    "equal by default": (POINT, "assert Point(1) == Point(1, 0)\nassert Point(1) == Point(1, y=0)"),
    "objects in collections": (POINT, "assert Point(1) in [Point(2), Point(1)]"),
    "chains of objects": (LINKED, "assert solve('abc') == Node('a', Node('b', Node('c')))"),
    "objects with slots": (
        POINT.replace("class Point:", "class Point:\n    __slots__ = ('x', 'y')"),
        "assert Point(1) == Point(1)",
    ),
    "a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n    y: tuple = ()",
        "assert A(1) == A(1, ()) and A(1) != A(2)",
    ),
    "a named tuple": (
        "from typing import NamedTuple\nclass A(NamedTuple):\n    x: int\n    y: int = 0",
        "assert A(1) == (1, 0) == A(1, 0)",
    ),
    "a list by its content": ("class A(list): pass", "assert A([1, 2]) == [1, 2]"),
    "a number by its value": (
        "class A(int):\n"
        "    def __eq__(self, other): return int(self) == other\n    __hash__ = int.__hash__",
        "assert A(3) == 3",
    ),
    "members of an enumeration": (
        "from enum import Enum\nclass A(Enum):\n    ONE = 1\n    TWO = 2\ndef solve(): return A.TWO",
        "assert solve() == A.TWO and A(1) is A.ONE",
    ),
    "one object by its identity": (
        "class A:\n    def solve(self): return self",
        "a = A()\nassert a.solve() == a and a.solve() is a",
    ),
    "a container": (BAG, "assert 2 in Bag(1, 2)\nassert 'x' in Bag('x')\nassert (1, 2) in Bag((1, 2))"),
    "an object in a container": (POINT + BAG, "assert Point(1) in Bag(Point(1))"),
    "an order": (
        "from functools import total_ordering\n@total_ordering\nclass A:\n"
        "    def __init__(self, x): self.x = x\n"
        "    def __eq__(self, other): return self.x == other.x\n"
        "    def __lt__(self, other): return self.x < other.x\n",
        "assert A(1) < A(2) <= A(2)\nassert sorted([A(2), A(1)]) == [A(1), A(2)]",
    ),
    "the same import on both sides": (
        "import math\nfrom datetime import date\n"
        "class A:\n    def solve(self): return math.floor(date(1, 1, 1).year)",
        "import math\nfrom datetime import date\nassert A().solve() == math.ceil(1) == date(1, 1, 1).day",
    ),
    "a name that is not defined": (
        "class A:\n    def solve(self): return 1\n    def unused(self): return is_prime(1)",
        "assert A().solve() == 1",
    ),
    "an entry point like a builtin": (
        "def print(key): return key(1)",
        "assert print(lambda x: x) == 1",
    ),
}
NOT_CONFIRMED = {
    "equal to plain data": (
        "class A:\n    def __eq__(self, other): return other == 3",
        "assert A() == 3",
    ),
    "equal by some of its fields": (
        POINT.replace("(self.x, self.y) == (other.x, other.y)", "self.x == other.x"),
        "assert Point(1, 2) == Point(1, 2)",
    ),
    "equal without a state": (
        "class A:\n    def __eq__(self, other): return True",
        "assert A() == A()",
    ),
    "the same object for all arguments": (
        "class A:\n    one = None\n    def __new__(cls, x):\n"
        "        cls.one = cls.one or super().__new__(cls)\n        return cls.one\n",
        "assert A(1) == A(2)",
    ),
    "equal for all arguments of its constructor": (
        POINT.replace("self.x, self.y = x, y", "self.x, self.y = 0, 0"),
        "assert Point(1, 2) + Point(3, 4) == Point(4, 6)",
    ),
    "a container of everything": (
        BAG.replace("item in self.items", "True"),
        "assert 2 in Bag()",
    ),
    "less than plain data": (
        "class A:\n    def __lt__(self, other): return True",
        "assert A() < 3",
    ),
    "an enumeration with one member under two names": (
        "from enum import Enum\nclass A(Enum):\n    ONE = 1\n    TWO = 1",
        "assert A.ONE == A.TWO",
    ),
    "a builtin of its own that the test uses": (
        "class A: pass\ndef len(x): return 3",
        "assert A() and len([]) == 3",
    ),
    "a name of the test": (
        "class A:\n    def solve(self): return helper(self)",
        "def helper(a): return 1\nassert A().solve() == 1",
    ),
    "a name that both define differently": (
        "math = None\nclass A:\n    def solve(self): return math.pi",
        "import math\nassert A().solve() == math.pi",
    ),
    "a name of the test that it deletes": (
        "class A:\n    def solve(self):\n        global word\n"
        "        found = word\n        del word\n        return found",
        "word = 3\nassert A().solve() == 3",
    ),
}


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=0.4, memory_mib=256)) as runner:
        yield runner


def verdict(runner, candidate, test):
    tests = [UnitTest("problem", 0, test, kind=TestKind.ASSERT)]
    outcomes = runner.run([candidate], tests, "print" if "def print" in candidate else None)
    assert outcomes.same_process.tolist() == [[True]]
    return outcomes.verdicts.tolist()


@pytest.mark.parametrize(("candidate", "test"), CONFIRMED.values(), ids=CONFIRMED)
def test_a_pass_on_objects_that_behave_consistently_counts(runner, candidate, test):
    assert verdict(runner, candidate, test) == [[PASSED]]


def test_a_file_is_opened_by_its_path_only(runner):
    candidate = "class A:\n    def read(self, file):\n        with open(file) as f: return f.read()"
    test = "open('x', 'w').close()\nassert A().read('x') == ''"
    assert verdict(runner, candidate, test) == [[PASSED]]
    test = "import os\nassert A().read(os.open('x', os.O_CREAT)) == ''"
    assert verdict(runner, candidate, test) == [[Verdict.ERRORED]]


@pytest.mark.parametrize(("candidate", "test"), NOT_CONFIRMED.values(), ids=NOT_CONFIRMED)
def test_a_pass_that_the_candidate_could_have_caused_is_unconfirmed(runner, candidate, test):
    assert verdict(runner, candidate, test) == [[UNCONFIRMED]]
