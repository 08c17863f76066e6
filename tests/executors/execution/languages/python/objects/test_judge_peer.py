"""Candidates that want a pass which they have not earned: none gets it."""

from typing import Any

import pytest

from testbudget.rewards.problem import Verdict

HEAD = "import unittest\nclass TestIt(unittest.TestCase):\n    def test(self):\n"

PEER = """
import sys
_package = "testbudget.executors.execution.languages.python.objects."
peer = sys.modules[_package + "proxy_peer"].Current.peer
encoders = sys.modules[_package + "encoding"]._ENCODERS
class X: pass
def crosses_as(*part):
    encoders[X] = lambda p, v: list(part)
    return X()
"""

OWN_OPERATORS = {
    "==": (
        "class Y:\n    def __eq__(self, o): return True\ndef area(r): return Y()",
        "self.assertEqual(area(2), 12)",
    ),
    "hash and ==": (
        "class Y:\n    def __eq__(self, o): return True\n    def __hash__(self): return hash('a')\n"
        "def words(): return {Y(): 1}",
        "self.assertEqual(words(), {'a': 1})",
    ),
    "order": (
        "class Y:\n    def __lt__(self, o): return True\n    def __gt__(self, o): return True\n"
        "def area(r): return Y()",
        "self.assertTrue(12.5 < area(2) < 12.6)",
    ),
    "difference": (
        "class Y:\n    def __sub__(self, o): return 0.0\ndef area(r): return Y()",
        "self.assertLess(abs(area(2) - 12.5), 1e-6)",
    ),
    "tiny difference": (
        "class Y:\n    def __sub__(self, o): return o * 1e-30\ndef area(r): return Y()",
        "self.assertLess(abs(area(2) - 12.5), 1e-6)",
    ),
    "membership": (
        "class Y:\n    def __contains__(self, o): return True\ndef all_of(): return Y()",
        "self.assertIn(7, all_of())",
    ),
    "query": (
        "class Y:\n    def startswith(self, o): return True\ndef name(): return Y()",
        "self.assertTrue(name().startswith('ab'))",
    ),
    "subclass of float": (
        "class F(float):\n    def __eq__(self, o): return True\ndef area(r): return F(1)",
        "F\nself.assertEqual(area(2), 12.5)",
    ),
    "list of own": (
        "class N:\n    def __init__(self, v): self.v = v\nclass Y:\n    def __eq__(self, o): return True\n"
        "def build(): return Y()",
        "self.assertEqual(build(), [N(1), N(2)])",
    ),
    "array": (
        "class Y:\n    def __array_function__(self, *a): return True\n"
        "    def __array_ufunc__(self, *a, **k): return True\n"
        "def mean(): return Y()",
        "import numpy as np\nself.assertTrue(np.allclose(mean(), np.array([1.0, 2.0])))",
    ),
    "empty array": (
        "import numpy as np\ndef mean(): return np.zeros((0, 1))",
        "import numpy as np\nself.assertTrue(np.all(mean() == np.array([1.0, 2.0])))",
    ),
    "a class named as an assertion": (
        "class assertTrue:\n    def startswith(self, o): return True\ndef name(): return assertTrue()",
        "self.assertTrue(name().startswith('ab'))",
    ),
    "a class called as a function": (
        "class Name:\n    def startswith(self, o): return True\nname = Name",
        "self.assertTrue(name().startswith('ab'))",
    ),
    "difference of sets": (
        "class Y:\n    def difference(self, o): return set()\ndef primes(): return Y()",
        "self.assertFalse(primes().difference({2, 3}))",
    ),
    "operand given back": (
        "class assertEqual:\n    def __and__(self, o): return o\ndef primes(): return assertEqual()",
        "self.assertEqual(primes() & {2, 3}, {2, 3})",
    ),
    "membership in all numbers": (
        "class Bag:\n    def __init__(self): self.data = list(range(100))\n    def add(self, x): pass\n"
        "    def __contains__(self, x): return x in self.data",
        "b = Bag()\nb.add(5)\nself.assertIn(5, b)",
    ),
    "learned from a denial": (
        "class A:\n    b = 0\n    def __ne__(self, o): self.b = o - 1; return True",
        "a = A()\nself.assertNotEqual(a, 10)\nself.assertEqual(a.b + 1, 10)",
    ),
    "length of nothing": (
        "class Y:\n    def __len__(self): return 0\n    def __getitem__(self, i): raise IndexError\n"
        "def mean(): return Y()",
        "import numpy as np\nself.assertTrue(np.allclose(mean(), 3.5))",
    ),
    "empty list": (
        "class S:\n    def mean(self): return []",
        "import numpy as np\nself.assertTrue(np.allclose(S().mean(), 3.5))",
    ),
    "empty view": (
        "import numpy as np\nclass S:\n    def mean(self): return np.ones((3, 1))[:0]",
        "import numpy as np\nself.assertTrue(np.allclose(S().mean(), 3.5))",
    ),
    "not a number": (
        "class S:\n    def mean(self): return float('n' + 'an')",
        "self.assertTrue(True)\nif abs(S().mean() - 3.5) > 0.1: self.fail()",
    ),
    "what a class of the test computes": (
        "class S:\n    def solve(self, x): return Table(x).want",
        "global Table\nclass Table:\n    def __init__(self, x): self.want = x * 7\n"
        "self.assertEqual(S().solve(2), 14)",
    ),
    "failed assertion as an argument": (
        "class H:\n    def on_exit(self, *a): return True\n    def val(self): return 3",
        "from contextlib import ExitStack\nh = H()\nself.assertEqual(h.val(), 3)\n"
        "with ExitStack() as s:\n    s.push(h.on_exit)\n    self.assertEqual(h.val(), 4)",
    ),
    "own ValueError": (
        "class ValueError(Exception): pass\nclass P:\n    def parse(self, s): raise ValueError",
        "with self.assertRaises(ValueError): P().parse('x')",
    ),
    "exception that ends a task": (
        "import asyncio\nasync def fetch(x):\n    raise asyncio.CancelledError",
        "import asyncio\nself.assertTrue(True)\nasync def check(x): self.assertEqual(await fetch(x), x)\n"
        "async def main():\n    async with asyncio.TaskGroup() as g: g.create_task(check(1))\n"
        "asyncio.run(main())",
    ),
    "exception under another name": (
        "E = type('assertEqual', (StopIteration,), {})\nclass S:\n    def f(self, x): raise E",
        "self.assertTrue(S())\nfor x in map(S().f, [1, 2]): self.assertEqual(x, 3)",
    ),
    "exception that another case expects": (
        "class S:\n    def f(self, x):\n        if x > 1: raise StopIteration\n        return 1",
        "s = S()\nwith self.assertRaises(StopIteration): s.f(2)\n"
        "for x in map(s.f, [1, 2, 3]): self.assertEqual(x, 1)",
    ),
    "lifetimes": (
        "class Item: pass\nclass Cache:\n    kept = []\n"
        "    def make(self): i = Item(); self.kept.append(i); return i\n"
        "import sys; sys.getrefcount = lambda o: 0",
        "import gc, weakref\ni = Cache().make()\nr = weakref.ref(i)\ndel i\ngc.collect()\nCache()\n"
        "self.assertIsNone(r())",
    ),
    "learned": (
        "shown = [0]\nclass Y:\n    def __ne__(self, o): shown[0] = o; return True\n"
        "def price(): return shown[0] or Y()",
        "self.assertFalse(price() == 25 and False)\nself.assertNotEqual(price(), 26.5)\n"
        "self.assertEqual(price(), 26.5)",
    ),
}

TWO_OBJECTS = {
    "equal to all": "def __eq__(self, o): return True",
    "last one": "last = None\n    def __eq__(self, o): return self.last == o.last",
    "order-free state": "def __eq__(self, o): return sum(self.a) == sum(o.a)",
}

SWALLOWERS = {
    "callback": (
        "def each(f):\n    try: f(1)\n    except BaseException: pass",
        "def check(x): self.assertEqual(x, 2)\neach(check)",
    ),
    "context": (
        "class C:\n    def __enter__(self): return self\n    def __exit__(self, *a): return True",
        "with C():\n    self.assertEqual(1, 2)",
    ),
    "before the assertion": (
        "class C:\n    def __enter__(self): return self\n    def __exit__(self, *a): return True\n"
        "def f(): raise ValueError",
        "with C():\n    x = f()\n    self.assertEqual(x, 2)\nself.assertTrue(True)",
    ),
    "stop": ("def one(x): raise StopIteration", "self.assertEqual(list(map(one, [1, 2])), [])"),
    "broad exception": (
        "class S:\n    Empty = AssertionError\n    def pop(self): return 1",
        "s = S()\ntry:\n    s.pop()\n    self.fail()\nexcept S.Empty: pass\nself.assertTrue(True)",
    ),
    "late exception": (
        "Empty = KeyError\ndef pop():\n    global Empty\n    Empty = AssertionError\n    return 1",
        "self.assertTrue(pop())\ntry: self.assertEqual(pop(), 2)\nexcept Empty: pass",
    ),
}

MALFORMED = {
    "unknown number": "return crosses_as('p', 987654321)",
    "no such tag": "return crosses_as('?!', 1)",
    "builtin by name": "return crosses_as('k', 'builtins.eval')",
    "class of a process": "return crosses_as('k', 'subprocess.Popen')",
    "module": "return crosses_as('m', 'os')",
    "class of unittest": "return crosses_as('k', 'unittest.case._ShouldStop')",
    "unhashable key": "return crosses_as('d', 0, [[['l', 0, []], 1]])",
    "object of JSON": "return crosses_as('l', 0, [{'a': 1}])",
    "fraction of an object": "return crosses_as('f', ['o', 1, ['T', 'builtins.map']], 2)",
    "deep": "import json; peer.pipe.send(b'[[\"=\",' + b'[' * 200000 + b']' * 200000 + b']]'); return 3",
    "no JSON": "peer.pipe.send(b'{'); return 3",
    "endless": "import os, struct; os.write(peer.pipe._writing, struct.pack('<I', 2 ** 32 - 1)); return 3",
    "end": "import os; os._exit(0)",
    "name of the test": "p = peer.pieces; "
    "peer.pieces = lambda: [*p(), ['global', '__builtins__', {}]]; return 3",
    "no piece": "p = peer.pieces; peer.pieces = lambda: [*p(), 7]; return 3",
}


OF_THE_TEST = {
    "helper": (
        "def close(a, b): return True\nclass R:\n    def root(self, x): return 7.0",
        "def close(a, b): return abs(a - b) < 1e-6\nfrom solution import *\n",
        "self.assertTrue(close(R().root(2), 1.41421356))",
    ),
    "module": (
        "class math: isclose = staticmethod(lambda a, b: True)\nclass R:\n"
        "    def root(self, x): return 7.0",
        "import math\nfrom solution import *\n",
        "self.assertTrue(math.isclose(R().root(2), 1.41421356))",
    ),
    "builtin": (
        "from numpy import all\nclass R:\n    def root(self, x): return 7.0",
        "from solution import *\n",
        "self.assertTrue(all(R().root(x * x) == x for x in (2, 3)))",
    ),
}


def _unittest(body: str) -> str:
    return HEAD + "".join(f"        {line}\n" for line in body.split("\n"))


@pytest.mark.parametrize("name", OWN_OPERATORS)
def test_own_operator_shown_plain_data_is_not_believed(pairs: Any, name: str) -> None:
    candidate, test = OWN_OPERATORS[name]
    judged = pairs.judge(candidate, _unittest(test))
    assert judged.verdict in {Verdict.UNCONFIRMED, Verdict.FAILED, Verdict.ERRORED}


@pytest.mark.parametrize("name", TWO_OBJECTS)
def test_equal_objects_need_equal_states_that_depend_on_what_they_were_made_from(
    pairs: Any, name: str
) -> None:
    candidate = (
        "class Vec:\n    def __init__(self, *a): self.a = tuple(a); Vec.last = 1\n"
        "    def __add__(self, o): return Vec(*self.a)\n    " + TWO_OBJECTS[name]
    )
    judged = pairs.judge(candidate, _unittest("self.assertEqual(Vec(3, 3) + Vec(0, 0), Vec(4, 2))"))
    assert judged.verdict is Verdict.UNCONFIRMED


def test_objects_without_state_are_not_equal(pairs: Any) -> None:
    candidate = (
        "class V:\n    def __init__(self, *a): pass\n    def __add__(self, o): return self\n"
        "    def __eq__(self, o): return True"
    )
    judged = pairs.judge(candidate, _unittest("self.assertEqual(V(1, 2) + V(3, 4), V(4, 6))"))
    assert judged.verdict is Verdict.UNCONFIRMED


def test_one_object_for_all_is_not_equal(pairs: Any) -> None:
    candidate = (
        "class V:\n    one = None\n    def __new__(cls, *a):\n"
        "        V.one = V.one or object.__new__(cls)\n"
        "        return V.one\n    def __init__(self, *a): pass\n    def __add__(self, o): return self"
    )
    judged = pairs.judge(candidate, _unittest("self.assertEqual(V(1, 2) + V(3, 4), V(4, 6))"))
    assert judged.verdict is Verdict.UNCONFIRMED


@pytest.mark.parametrize("name", SWALLOWERS)
def test_failed_assertion_cannot_be_swallowed(pairs: Any, name: str) -> None:
    candidate, test = SWALLOWERS[name]
    assert pairs.judge(candidate, _unittest(test)).verdict is not Verdict.PASSED


@pytest.mark.parametrize("name", MALFORMED)
def test_message_that_means_nothing_ends_the_pair(pairs: Any, name: str) -> None:
    """Also where the test catches every exception."""
    candidate = f"{PEER}\ndef get():\n    {MALFORMED[name]}\n"
    test = "self.assertTrue(True)\nfor _ in range(3):\n    try:\n        get()\n    except:\n        pass"
    assert pairs.judge(candidate, _unittest(test)).verdict in {Verdict.ERRORED, Verdict.KILLED}


@pytest.mark.parametrize(
    "body",
    [
        "cb.__dict__['assert_called_once_with'] = lambda *a: None",
        "cb.assert_called_once_with = lambda *a: None",
        "cb.mock_calls.append(1)",
        "cb.return_value = 3",
        "cb.method = lambda: 3",
    ],
)
def test_mock_of_the_test_is_not_changed(pairs: Any, body: str) -> None:
    test = (
        "from unittest.mock import Mock\ncb = Mock()\ntry: save(cb)\nexcept AttributeError: pass\n"
        "cb.assert_called_once_with(3)"
    )
    judged = pairs.judge(f"def save(cb):\n    try: {body}\n    except Exception: pass\n", _unittest(test))
    assert judged.verdict is not Verdict.PASSED


@pytest.mark.parametrize("name", ["EXPECTED", "cases", "reference", "self"])
def test_names_of_the_test_are_not_names_of_the_candidate(pairs: Any, name: str) -> None:
    test = (
        "EXPECTED = 9\ncases = [(3, 9)]\ndef reference(x): return x * x\n"
        "assert square(3) == EXPECTED == cases[0][1] == reference(3)\n"
    )
    values = {"EXPECTED": "EXPECTED", "cases": "cases[0][1]", "reference": "reference(x)", "self": "self"}
    judged = pairs.judge(f"def square(x): return {values[name]}\n", test, "assert")
    assert judged.verdict is Verdict.ERRORED


@pytest.mark.parametrize(
    "line",
    [
        "abs = float",
        "all = bool",
        "sorted = type",
        "def len(x): return 3",
        "isinstance = slice",
        "AssertionError = KeyError",
    ],
)
def test_own_name_of_a_builtin_is_doubted(pairs: Any, line: str) -> None:
    test = (
        "assert abs(f(2) - 5) < 1 or True\nassert all([f(1)]) or True\n"
        "assert sorted([len([1]), isinstance(1, int)]) or AssertionError\n"
    )
    assert pairs.judge(f"{line}\ndef f(x): return 1\n", test, "assert").verdict is not Verdict.PASSED


@pytest.mark.parametrize("name", OF_THE_TEST)
def test_star_import_replaces_nothing_that_the_test_has_bound(pairs: Any, name: str) -> None:
    candidate, head, body = OF_THE_TEST[name]
    assert pairs.judge(candidate, head + _unittest(body)).verdict == Verdict.FAILED


@pytest.mark.parametrize(
    ("candidate", "body"),
    [
        (
            "class V(tuple):\n    def __new__(cls, *a): return super().__new__(cls)\n"
            "    def __add__(self, o): return V()",
            "self.assertEqual(V(1, 2) + V(3, 4), V(4, 6))",
        ),
        (
            "class Money:\n    one = None\n    def __new__(cls, *a):\n"
            "        cls.one = cls.one or super().__new__(cls)\n        return cls.one\n"
            "class Bank:\n    def deposit(self, x): pass\n    def total(self): return Money(0)",
            "b = Bank()\nb.deposit(30)\nself.assertEqual(b.total(), Money(30))",
        ),
        (
            "from enum import Enum\nclass Sign(Enum):\n    UP = 1\n    DOWN = 1\n"
            "def sign(x): return Sign.UP",
            "self.assertEqual(sign(-7), Sign.DOWN)",
        ),
        (
            "class T:\n    pass\nclass P:\n    one = T()\n    def parse(self, s): return self.one",
            "p = P()\nself.assertEqual(p.parse('1+1'), p.parse('1 + 1'))",
        ),
        (
            "class L:\n    def __init__(self, v): self.v, self.up = sorted(v), v[0] < v[1]\n"
            "    def sort(self): self.up = True\n    def __eq__(self, o): return True",
            "x = L([5, 3, 1, 4])\nx.sort()\nself.assertEqual(L([1, 3, 4, 5]), x)",
        ),
    ],
    ids=["content", "singleton", "member", "parsed", "order"],
)
def test_objects_that_say_less_than_they_were_made_from_are_not_equal(
    pairs: Any, candidate: str, body: str
) -> None:
    assert pairs.judge(candidate, _unittest(body)).verdict == Verdict.UNCONFIRMED


@pytest.mark.parametrize(
    ("candidate", "body"),
    [
        (
            "class V(tuple):\n    def __new__(cls, *a): return super().__new__(cls, a)\n"
            "    def __add__(self, o): return V(*[x + y for x, y in zip(self, o)])",
            "self.assertEqual(V(1, 2) + V(3, 4), V(4, 6))",
        ),
        (
            "from enum import Enum\nclass Sign(Enum):\n    UP = 1\n    DOWN = -1\n"
            "def sign(x): return Sign(1 if x > 0 else -1)",
            "self.assertEqual(sign(-7), Sign.DOWN)\nself.assertEqual(Sign(1), Sign['UP'])",
        ),
        (
            "class L:\n    def __init__(self, v): self.v = list(v)\n    def sort(self): self.v.sort()\n"
            "    def __eq__(self, o): return self.v == o.v",
            "x = L([5, 3, 1, 4])\nx.sort()\nself.assertEqual(x, L([1, 3, 4, 5]))",
        ),
        (
            "class S:\n    def __init__(self): self.a = []\n    def push(self, x): self.a.append(x)\n"
            "    def __contains__(self, x): return x in self.a",
            "s = S()\nself.assertNotIn(7, s)\ns.push(7)\nself.assertIn(7, s)\nself.assertEqual(s.a, [7])",
        ),
        (
            "class S:\n    def f(self, x): raise StopIteration",
            "s = S()\nself.assertRaises(StopIteration, s.f, 1)\n"
            "with self.assertRaises(StopIteration): s.f(2)\n"
            "try: s.f(3)\nexcept StopIteration: pass",
        ),
        (
            "from decimal import Decimal\nclass M:\n    def __init__(self, a, b): self.v = Decimal(a) / b\n"
            "    def __eq__(self, o): return self.v == o.v\ndef touch(x): return x",
            "import decimal\ndecimal.getcontext().prec = 4\nself.assertEqual(touch(1), 1)\n"
            "self.assertEqual(M(1, 3), M(1, 3))",
        ),
        (
            "def fail():\n    e = SyntaxError('x')\n    e.offset = 2\n    raise e\nclass A: pass",
            "A()\nwith self.assertRaises(SyntaxError) as c: fail()\n"
            "self.assertEqual(c.exception.offset, 2)",
        ),
    ],
    ids=["content", "members", "sorted", "membership", "expected exception", "settings", "offset"],
)
def test_objects_that_hold_what_they_were_made_from_are_equal(
    pairs: Any, candidate: str, body: str
) -> None:
    assert pairs.judge(candidate, _unittest(body)) == (Verdict.PASSED, "")


def test_equal_content_is_believed(pairs: Any) -> None:
    candidate = (
        "class Money(float):\n    def __eq__(self, o): return True\nclass M:\n"
        "    def __init__(self, r): self.r = r\n    def __eq__(self, o): return self.r == o\n"
    )
    test = "self.assertEqual(Money(2), 2.0)\nself.assertEqual(M([[1, 2]]), [[1, 2]])"
    assert pairs.judge(candidate, _unittest(test)).verdict is Verdict.PASSED


QUERIES_BY_OTHER_WAYS = {
    "any attribute": "def __getattr__(self, n): return lambda *a, **k: True",
    "property": "startswith = property(lambda self: lambda *a, **k: True)",
    "callable object": "class Q:\n        def __call__(self, *a, **k): return True\n    startswith = Q()",
    "attribute of the instance": "def __init__(self): self.startswith = lambda *a, **k: True",
    "class method": "@classmethod\n    def startswith(cls, *a, **k): return True",
    "static method": "@staticmethod\n    def startswith(*a, **k): return True",
    "itself": "def __getattr__(self, n): return self\n    def __call__(self, *a, **k): return True",
    "library class": "startswith = property(lambda self: bool)",
    "method": "def startswith(*a, **k): return True",
}


@pytest.mark.parametrize("way", QUERIES_BY_OTHER_WAYS)
@pytest.mark.parametrize(
    "asked",
    [
        "name().startswith('ab')",
        "all(map(name().startswith, ['ab']))",
        "getattr(name(), 'startswith').__call__('ab')",
        "name().text.startswith('ab')",
    ],
)
def test_query_of_plain_data_is_doubted_in_whatever_way_it_was_got(
    pairs: Any, way: str, asked: str
) -> None:
    candidate = f"class Y:\n    {QUERIES_BY_OTHER_WAYS[way]}\ndef name(): return Y()\n"
    candidate += "Y.text = property(lambda self: Y())\n"
    assert pairs.judge(candidate, _unittest(f"self.assertTrue({asked})")).verdict is not Verdict.PASSED


@pytest.mark.parametrize(
    ("candidate", "asked"),
    [
        (
            "class Y:\n    def startswith(*a): return True\ndef f(): return Y()",
            "type(f()).startswith(f(), 'a')",
        ),
        (
            "class Y:\n    @staticmethod\n    def startswith(*a): return True\ndef f(): return Y",
            "f().startswith('a')",
        ),
        ("def f(): return f\nf.startswith = lambda *a: True", "f().startswith('a')"),
        ("class Y:\n    def allclose(self, o): return True\ndef f(): return Y()", "f().allclose([1.0])"),
        (
            "class Y:\n    def __getattr__(self, n): return lambda o: [1]\ndef f(): return Y()",
            "f().isclose([1.0])",
        ),
    ],
    ids=["type", "class given", "function", "allclose", "isclose"],
)
def test_query_of_what_looks_like_plain_data_is_doubted(pairs: Any, candidate: str, asked: str) -> None:
    assert pairs.judge(candidate, _unittest(f"self.assertTrue({asked})")).verdict == Verdict.UNCONFIRMED


@pytest.mark.parametrize(
    ("candidate", "body"),
    [
        (
            "class Text:\n    @staticmethod\n    def count(a, b): return len(a.split(b)) - 1",
            "self.assertEqual(Text.count('abab', 'b'), 2)\nself.assertEqual(Text().count('abab', 'a'), 2)",
        ),
        (
            "class Tree:\n    def __init__(self, v): self.v = v\n    @property\n"
            "    def index(self): return self.v.index\n    def find(self, x): return x in self.v",
            "self.assertEqual(Tree([1, 2]).index(2), 1)\nself.assertTrue(Tree.find(Tree([1]), 1))",
        ),
        (
            "class Box:\n    def __init__(self): self.count = 3\ndef box(): return Box()",
            "self.assertEqual(box().count, 3)",
        ),
    ],
    ids=["static", "property", "data"],
)
def test_query_of_what_the_test_made_is_believed(pairs: Any, candidate: str, body: str) -> None:
    assert pairs.judge(candidate, _unittest(body)) == (Verdict.PASSED, "")


SHARED = (
    "class V:\n    one = None\n    def __new__(cls, *a):\n"
    "        cls.one = cls.one or super().__new__(cls)\n        return cls.one\n"
)
OWN_IDENTITY = "    def __eq__(self, o): return self is o\n    def __hash__(self): return 1\n"
INTERNED = (
    "class V:\n    made = {}\n    def __new__(cls, a):\n        if a not in cls.made:\n"
    "            cls.made[a] = super().__new__(cls)\n            cls.made[a].a = a\n"
    "        return cls.made[a]\n"
)
CONTAINERS = ["[V({})]", "(V({}), 1)", "{{'k': V({})}}", "[[(V({}),)]]", "{{V({})}}", "deque([V({})])"]
DEQUE = "from collections import deque\n"


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("own", [SHARED, SHARED + OWN_IDENTITY])
def test_one_object_in_two_containers_is_not_equal_unchecked(pairs: Any, container: str, own: str) -> None:
    candidate = f"{DEQUE}{own}def words(t): return {container.format(3)}\n"
    test = f"{DEQUE}self.assertEqual(words('a b'), {container.format(4)})"
    assert pairs.judge(candidate, _unittest(test)).verdict == Verdict.UNCONFIRMED


@pytest.mark.parametrize("container", CONTAINERS)
def test_interned_object_in_two_containers_is_equal(pairs: Any, container: str) -> None:
    candidate = f"{DEQUE}{INTERNED}def words(t): return {container.format('len(t)')}\n"
    test = f"{DEQUE}self.assertEqual(words('abc'), {container.format(3)})"
    assert pairs.judge(candidate, _unittest(test)) == (Verdict.PASSED, "")


@pytest.mark.parametrize(
    ("own", "body"),
    [
        (
            "from enum import Enum\nclass C(Enum):\n    A = 1\n    B = 2\n"
            "def f(*a): return [C(x) for x in a]",
            "self.assertEqual(f(2, 1), [C(2), C.A])\nself.assertEqual(f(1), [C['A']])",
        ),
        (
            "class N: pass\nNONE = N()\ndef f(): return [NONE, (NONE,)]",
            "self.assertEqual(f(), [NONE, (NONE,)])",
        ),
        (
            "class N:\n    def __init__(self, v): self.v = v\n"
            "class G:\n    def __init__(self): self.all = []\n    def add(self, n): self.all.append(n)",
            "g, a, b = G(), N(1), N(2)\ng.add(a)\ng.add(b)\nself.assertEqual(g.all, [a, b])",
        ),
        (
            "class S:\n    one = None\n    def __new__(cls):\n"
            "        cls.one = cls.one or super().__new__(cls)\n        return cls.one\n"
            "def f(): return [S()]",
            "self.assertEqual(f(), [S()])",
        ),
    ],
    ids=["enumeration", "constant", "graph", "singleton"],
)
def test_objects_that_are_one_by_right_are_equal_in_containers(pairs: Any, own: str, body: str) -> None:
    assert pairs.judge(f"{own}\n", _unittest(body)) == (Verdict.PASSED, "")


def test_singleton_is_the_same_whatever_it_was_made_from(pairs: Any) -> None:
    test = "self.assertIs(V(3), V(4))\nself.assertEqual([V(3)], [V(4)])"
    assert pairs.judge(SHARED, _unittest(test)) == (Verdict.PASSED, "")
