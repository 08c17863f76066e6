"""Honest pairs whose tests set up the interpreter: name, candidate and body of a test case."""

# ruff: noqa: E501 - programs

CASES = {
    "patched function of the candidate": (
        "def helper(x): return x + 1\ndef use(x): return helper(x) * 2",
        """
        with patch("solution.helper", return_value=10) as helper:
            self.assertEqual(use(1), 20)
        helper.assert_called_once_with(1)
        self.assertEqual(use(1), 4)
        """,
    ),
    "assigned function of the candidate": (
        "def helper(x): return x + 1\ndef use(x): return helper(x) * 2",
        """
        import solution
        original, solution.helper = solution.helper, lambda x: 5
        self.assertEqual(use(1), 10)
        solution.helper = original
        self.assertEqual(use(1), 4)
        """,
    ),
    "patched global": (
        "count = 0\ndef bump():\n    global count\n    count += 1\n    return count",
        """
        with patch("solution.count", 41):
            self.assertEqual(bump(), 42)
        """,
    ),
    "patched module of the candidate": (
        "import datetime\ndef now(): return datetime.datetime.now()",
        """
        import datetime
        with patch("solution.datetime") as module:
            module.datetime.now.return_value = datetime.datetime(2020, 1, 1)
            self.assertEqual(now(), datetime.datetime(2020, 1, 1))
        """,
    ),
    "patched method of the candidate": (
        "class Shape:\n    def area(self): return 4\n    def twice(self): return 2 * self.area()",
        """
        with patch.object(Shape, "area", return_value=7):
            self.assertEqual(Shape().twice(), 14)
        self.assertEqual(Shape().twice(), 8)
        """,
    ),
    "patched sleep": (
        "import time\ndef wait():\n    time.sleep(100)\n    return 1",
        """
        with patch("time.sleep") as sleep:
            self.assertEqual(wait(), 1)
        sleep.assert_called_once_with(100)
        """,
    ),
    "patched clock": (
        "import time\nclass Watch:\n    def __enter__(self):\n        self.start = time.time()\n        return self\n"
        "    def __exit__(self, *_): self.seconds = time.time() - self.start",
        """
        with patch("time.time", side_effect=[10.0, 15.0]):
            with Watch() as watch:
                pass
        self.assertEqual(watch.seconds, 5.0)
        """,
    ),
    "patched input and print": (
        "def main():\n    n = int(input('n? '))\n    print('got', n)",
        """
        with patch("builtins.input", return_value="5") as asked, patch("builtins.print") as shown:
            main()
        asked.assert_called_once_with("n? ")
        shown.assert_called_once_with("got", 5)
        """,
    ),
    "inputs until the end": (
        "def read():\n    found = []\n    while True:\n        try: found.append(input())\n"
        "        except EOFError: return found",
        """
        with patch("builtins.input", side_effect=["a", "b", EOFError]):
            self.assertEqual(read(), ["a", "b"])
        """,
    ),
    "replaced streams": (
        "import sys\ndef main():\n    name = input('Name: ')\n    print('Hi', name)\n    print('!', file=sys.stderr)\n"
        "    return [int(line) for line in sys.stdin]",
        """
        out, err = io.StringIO(), io.StringIO()
        with patch("sys.stdin", io.StringIO("Bob\\n1\\n2\\n")):
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                self.assertEqual(main(), [1, 2])
        self.assertEqual((out.getvalue(), err.getvalue()), ("Name: Hi Bob\\n", "!\\n"))
        """,
    ),
    "order of printed text": (
        "def show(between):\n    print('a')\n    between()\n    print('c')",
        """
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            show(lambda: print("b"))
        self.assertEqual(out.getvalue(), "a\\nb\\nc\\n")
        """,
    ),
    "mocked file": (
        "def read(path):\n    with open(path) as file: return file.read()",
        """
        with patch("builtins.open", mock.mock_open(read_data="data")) as opened:
            self.assertEqual(read("x"), "data")
        opened.assert_called_once_with("x")
        """,
    ),
    "patched method of a library class": (
        "import pathlib\ndef there(path): return pathlib.Path(path).exists()",
        """
        with patch("pathlib.Path.exists", return_value=True):
            self.assertTrue(there("/nowhere"))
        self.assertFalse(there("/nowhere"))
        """,
    ),
    "patched function of a module that is rarely patched": (
        "import urllib.request\ndef fetch(url): return urllib.request.urlopen(url).read()",
        """
        with patch("urllib.request.urlopen") as opened:
            opened.return_value.read.return_value = b"x"
            self.assertEqual(fetch("u"), b"x")
        """,
    ),
    "patched working directory": (
        "import os\ndef where(): return os.path.basename(os.getcwd())",
        """
        with patch("os.getcwd", return_value="/a/b") as getcwd:
            self.assertEqual(where(), "b")
        getcwd.assert_called_once_with()
        """,
    ),
    "environment": (
        "import os\ndef mode(): return os.environ.get('MODE', 'none')",
        """
        with patch.dict(os.environ, {"MODE": "fast"}):
            self.assertEqual(mode(), "fast")
        self.assertEqual(mode(), "none")
        """,
    ),
    "arguments of the program": (
        "import argparse\ndef main():\n    parser = argparse.ArgumentParser()\n    parser.add_argument('n', type=int)\n"
        "    return parser.parse_args().n * 2",
        """
        with patch.object(sys, "argv", ["program", "4"]):
            self.assertEqual(main(), 8)
        """,
    ),
    "warnings": (
        "import warnings\nclass Own(UserWarning): pass\ndef old(): warnings.warn('use new', DeprecationWarning)\n"
        "def own(): warnings.warn(Own('mine'))",
        """
        with self.assertWarnsRegex(DeprecationWarning, "use n.w"):
            old()
        with self.assertWarns(Own) as caught:
            own()
        self.assertEqual(str(caught.warning), "mine")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with self.assertRaises(DeprecationWarning):
                old()
        """,
    ),
    "log records": (
        "import logging\nlog = logging.getLogger('app')\ndef work():\n    log.info('got %d', 3)\n    log.error('bad')",
        """
        with self.assertLogs("app", "INFO") as logs:
            work()
        self.assertEqual(logs.output, ["INFO:app:got 3", "ERROR:app:bad"])
        with self.assertLogs(log, "ERROR") as logs:
            work()
        self.assertEqual(len(logs.records), 1)
        """,
    ),
    "random state": (
        "import random\ndef roll(): return random.random()",
        """
        roll()
        state = random.getstate()
        first = roll()
        random.setstate(state)
        self.assertEqual(roll(), first)
        random.seed(1)
        rolled = [roll() for _ in range(3)]
        random.seed(1)
        self.assertEqual(rolled, [random.random() for _ in range(3)])
        """,
    ),
    "limits": (
        "def depth(n): return n and 1 + depth(n - 1)\ndef digits(n): return len(str(10 ** n))",
        """
        sys.setrecursionlimit(20_000)
        sys.set_int_max_str_digits(0)
        self.assertEqual((depth(5000), digits(5000)), (5000, 5001))
        """,
    ),
    "decimal context": (
        "from decimal import Decimal\ndef divide(a, b): return Decimal(a) / Decimal(b)",
        """
        with decimal.localcontext() as context:
            context.prec = 4
            self.assertEqual(divide(2, 3), decimal.Decimal("0.6667"))
        """,
    ),
    "time zone": (
        "import time\ndef hour(): return time.localtime(0).tm_hour",
        """
        os.environ["TZ"] = "Asia/Tokyo"
        time.tzset()
        self.assertEqual(hour(), 9)
        """,
    ),
    "files": (
        "def read(path):\n    with open(path) as file: return file.read()",
        """
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            with open("x.txt", "w") as file:
                file.write("text")
            self.assertEqual(read("x.txt"), "text")
            self.assertEqual(read(os.path.join(folder, "x.txt")), "text")
            os.chdir(before)
        """,
    ),
    "functions that look inside": (
        "import dataclasses\n@dataclasses.dataclass\nclass Item:\n    name: str\n    price: float = 1.0\n"
        "def greet(name: str, mark='!') -> str: return name + mark",
        """
        self.assertEqual(dataclasses.asdict(Item("a")), {"name": "a", "price": 1.0})
        self.assertEqual(dataclasses.replace(Item("a"), name="b").name, "b")
        signature = inspect.signature(greet)
        self.assertEqual(str(signature), "(name: str, mark='!') -> str")
        self.assertIs(signature.parameters["name"].default, inspect.Parameter.empty)
        self.assertEqual(greet("a"), "a!")
        """,
    ),
    "pickles": (
        "class Point:\n    def __init__(self, x): self.x = x\n    def __eq__(self, other): return self.x == other.x",
        """
        self.assertEqual(pickle.loads(pickle.dumps(Point(3))).x, 3)
        self.assertEqual(pickle.loads(pickle.dumps(Point(3))), Point(3))
        """,
    ),
    "evaluated text": (
        "class Point:\n    def __init__(self, x): self.x = x\n    def __repr__(self): return f'Point({self.x})'",
        """
        self.assertEqual(eval(repr(Point(3))).x, 3)
        """,
    ),
}
"""Candidates and bodies by name. Each passes in one process, too."""

_HEAD = """
import contextlib, dataclasses, decimal, inspect, io, os, pickle, random, sys, tempfile, time, unittest, warnings
from unittest import mock
from unittest.mock import patch
class SetUp(unittest.TestCase):
    def test(self):
"""


def set_up_test(body: str) -> str:
    """Test program with one case."""
    return _HEAD + body
