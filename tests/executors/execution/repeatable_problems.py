"""Problems of functions and classes, many of whose programs use much of their limits, or more than that.

Verdicts on them must depend on nothing but the program and the test. Every clock below counts CPU time of
the program itself, so a program that takes 80 % of its limit takes them on any machine.
"""

import itertools
from dataclasses import dataclass

from testbudget.executors.execution.limits import TestLimits
from testbudget.rewards.problem import TestKind, UnitTest

LIMITS = TestLimits(cpu_seconds=0.15, wall_seconds=0.6, memory_mib=128, max_timeouts=1_000_000)


@dataclass(frozen=True, slots=True)
class RepeatableProblem:
    """Candidates and tests of one problem.

    Attributes:
        name: name among the problems.
        entry_point: function or class under test.
        candidates: programs.
        tests: tests.
    """

    name: str
    entry_point: str
    candidates: tuple[str, ...]
    tests: tuple[UnitTest, ...]

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return len(self.candidates) * len(self.tests)


def _spending(share: float) -> str:
    """Program that uses a share of its CPU time."""
    return f"""
import time
def double(x):
    end = time.process_time() + {share * LIMITS.cpu_seconds}
    while time.process_time() < end:
        pass
    return 2 * x
"""


NEAR_LIMITS = (
    "def double(x): return 2 * x",
    *map(_spending, (0.5, 0.6, 0.7, 0.8, 1.5)),
)
EXTREMES = (
    "def double(x): return 2 * x",
    "def double(x):\n    while True: pass",
    "import time\ndef double(x): return time.sleep(30)",
    "import time\ndef double(x): return time.sleep(0.02) or 2 * x",
    "def double(x): return len(bytearray(1 << 30)) and 2 * x",
    "def double(x): return len(bytearray(1 << 26)) and 2 * x",
    "def double(x): return double(x)",
    "import os\ndef double(x): os._exit(0)",
    "import os, signal\ndef double(x): os.kill(os.getpid(), signal.SIGKILL)",
    "import time\ntime.sleep(0.01)\ndef double(x): return 2 * x",
    "while True: pass",
)
PROGRAMS = (
    "def collect(n): return list(range(n))",
    "def collect(n): return [i for i in range(n)]",
    "def collect(n):\n    for i in range(n): print('item', i)\n    return list(range(n))",
    "def collect(n):\n    print('x' * 100_000)\n    return list(range(n))",
    "def collect(n): return range(n)",
    "def collect(n): return tuple(range(n))",
    "def collect(n): return (i for i in range(n))",
    "def collect(n): return {str(i) for i in range(n)}",
    "def collect(n): return {str(i): i for i in range(n)}",
    "seen = []\ndef collect(n):\n    seen.append(n)\n    return list(range(len(seen)))",
    "import random\ndef collect(n): return [random.randrange(10) for _ in range(n)]",
    "import random\ndef collect(n): return random.sample(range(n), n)",
    "def collect(n): raise ValueError(f'no {n}')",
    "def collect(n): raise KeyError(n) from OSError('disk')",
    "def collect(n): return list(range(n - 1)) + [n]",
    "def collect(n): return [0] * n",
    "def collect(n): assert n > 3, n\ndef collect(n): return list(range(n)) if n > 3 else None",
    "def collect(n): return lambda: n",
    "def collect(n): return float('nan')",
    "def collect(n): return sorted(range(n), key=lambda i: -i)[::-1]",
    "import sys\ndef collect(n): sys.exit(n)",
    "def collect(n): return [i for i in range(n)",
    "def gather(n): return list(range(n))",
    "import warnings\ndef collect(n):\n    warnings.warn('slow')\n    return list(range(n))",
    "def collect(n):\n    with open('cache', 'a') as file: file.write('x')\n"
    "    return list(range(n)) if len(open('cache').read()) == 1 else []",
)
CLASSES = (
    """
class Tally:
    def __init__(self, start=()):
        self.counts = {}
        for word in start:
            self.add(word)
    def add(self, word, times=1):
        if times < 0:
            raise ValueError("negative")
        self.counts[word] = self.counts.get(word, 0) + times
        return self
    def most(self):
        return max(sorted(self.counts), key=self.counts.get)
    def __len__(self):
        return len(self.counts)
    def __iter__(self):
        return iter(sorted(self.counts.items()))
""",
    """
from collections import Counter
class Tally(Counter):
    def add(self, word, times=1):
        if times < 0:
            raise ValueError(times)
        self[word] += times
        return self
    def most(self):
        return sorted(self, key=lambda word: (-self[word], word))[0]
    def __iter__(self):
        return iter(sorted(self.items()))
""",
    """
class Tally:
    counts = {}
    def __init__(self, start=()):
        for word in start:
            self.add(word)
    def add(self, word, times=1):
        print("adding", word)
        self.counts[word] = self.counts.get(word, 0) + times
        return self
    def most(self):
        return max(self.counts)
    def __len__(self):
        return sum(self.counts.values())
    def __iter__(self):
        return iter(self.counts.items())
""",
    """
class Tally:
    def __init__(self, start=()):
        self.words = list(start)
    def add(self, word, times=1):
        while times < 0:
            pass
        self.words += [word] * times
        return self
    def most(self):
        return max(self.words, key=self.words.count)
    def __len__(self):
        return len(set(self.words))
    def __iter__(self):
        yield from sorted((word, self.words.count(word)) for word in set(self.words))
""",
)

_DOUBLES = tuple(f"assert double({x}) == {2 * x}" for x in (1, 20, -3))
_COLLECTIONS = (
    *(f"assert collect({n}) == {list(range(n))}" for n in range(5)),
    "assert sorted(collect(4)) == [0, 1, 2, 3]",
    "first, second = collect(5), collect(5)\nassert first == second",
    "assert len(collect(6)) == 6 and collect(2)[-1] == 1",
    "for n in range(4):\n    assert sum(collect(n)) == n * (n - 1) // 2",
    "try:\n    collect(-1)\nexcept ValueError as error:\n    assert 'no' in str(error)\n",
    "items = collect(3)\nassert items == [0, 1, 2], f'got {items}'",
    "assert collect(n=2) == [0, 1]",
)
_TALLIES = tuple(
    f"""
import unittest
class TestTally(unittest.TestCase):
    def setUp(self):
        self.tally = Tally(["a", "b"])
    def test_it(self):
        {body}
"""
    for body in (
        *(f'self.assertEqual(self.tally.add("c", {n}).most(), "c" if {n} > 1 else "a")' for n in (1, 2, 3)),
        *(f'self.assertEqual(len(self.tally.add("{word}")), 2)' for word in "ab"),
        *(f'self.assertEqual(dict(self.tally.add("b", {n})), {{"a": 1, "b": {n} + 1}})' for n in (1, 4)),
        'self.assertRaises(ValueError, self.tally.add, "a", -1)',
        'self.assertEqual([word for word, _ in self.tally], ["a", "b"])',
        "self.assertTrue(self.tally)",
    )
)


def written_problems() -> list[RepeatableProblem]:
    """The problems of this file."""
    return [
        _problem("near limits", "double", NEAR_LIMITS, _DOUBLES[:2]),
        _problem("extremes", "double", EXTREMES, _DOUBLES),
        _problem("programs", "collect", PROGRAMS, _COLLECTIONS),
        _problem("classes", "Tally", CLASSES, _TALLIES),
    ]


def _problem(
    name: str, entry_point: str, candidates: tuple[str, ...], tests: tuple[str, ...]
) -> RepeatableProblem:
    numbered = zip(itertools.count(), tests, strict=False)
    return RepeatableProblem(
        name,
        entry_point,
        candidates,
        tuple(
            UnitTest(name, index, code, kind=TestKind.UNITTEST if "unittest" in code else TestKind.ASSERT)
            for index, code in numbered
        ),
    )
