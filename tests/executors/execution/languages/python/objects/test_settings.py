"""Settings of a test in the candidate's process: each case runs its candidate in a process of its own."""

# ruff: noqa: NPY002 - the legacy functions are what is tested

import contextlib
import decimal
import io
import json
import logging
import os
import random
import sys
import time
import traceback
import types
import unittest
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from testbudget.executors.execution.languages.python.objects.settings import (
    CandidateSettings,
    JudgeSettings,
)
from testbudget.executors.execution.languages.python.objects.settings_patches import patch_targets
from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError


class _Handle:
    """Reverse handle: a call is a request to the judge."""

    def __init__(self, ask: Callable[..., Any], number: int) -> None:
        self._ask, self._number = ask, number

    def __call__(self, *arguments: Any) -> Any:
        return self._ask("call", self._number, *arguments)


class _Pair:
    """Judge in this process and candidate in a forked one, joined by pipes of JSON lines."""

    def __init__(self, candidate: str, targets: tuple[str, ...] = (), **names: Any) -> None:
        self._values: list[Any] = []
        self.test_names: dict[str, Any] = {}
        own, theirs = os.pipe(), os.pipe()
        self._process = os.fork()
        if not self._process:
            os.close(own[1])
            os.close(theirs[0])
            _serve(candidate, os.fdopen(own[0]), os.fdopen(theirs[1], "w"))
        os.close(own[0])
        os.close(theirs[1])
        self._reading, self._writing = os.fdopen(theirs[0]), os.fdopen(own[1], "w")
        self.settings = JudgeSettings(self._encode, targets, names, self.test_names)
        self.solution = names

    def __call__(self, name: str, *arguments: Any) -> Any:
        self._send([name, arguments, self.settings.pieces()])
        while True:
            kind, content, pieces = json.loads(self._reading.readline())
            for piece in pieces:
                self.settings.apply(piece)
            if kind == "answer":
                return content
            if kind == "raised":
                raise RuntimeError(content)
            request, *rest = content
            self._send(
                self._values[rest[0]](*rest[1:])
                if request == "call"
                else self.settings.answer(request, rest)
            )

    def end(self) -> None:
        self._writing.close()
        self._reading.close()

    def wait(self) -> None:
        os.waitpid(self._process, 0)

    def _send(self, message: Any) -> None:
        self._writing.write(json.dumps(message) + "\n")
        self._writing.flush()

    def _encode(self, value: Any) -> int:
        self._values.append(value)
        return len(self._values) - 1


def _serve(candidate: str, reading: Any, writing: Any) -> None:
    def send(*message: Any) -> None:
        writing.write(json.dumps(message) + "\n")
        writing.flush()

    def ask(*request: Any) -> Any:
        send("ask", request, settings.pieces())
        return json.loads(reading.readline())

    try:
        module = types.ModuleType("solution")
        settings = CandidateSettings(lambda number: _Handle(ask, number), ask)
        sys.modules["solution"] = module
        exec(candidate, vars(module))
        settings.pieces()
        for line in reading:
            name, arguments, pieces = json.loads(line)
            try:
                for piece in pieces:
                    settings.apply(piece)
                result = getattr(module, name)(*arguments)
            except Exception:
                send("raised", traceback.format_exc(), settings.pieces())
            else:
                send("answer", result, settings.pieces())
    finally:
        os._exit(0)


@pytest.fixture(name="pair_of")
def _pair_of() -> Iterator[Callable[..., _Pair]]:
    pairs: list[_Pair] = []

    def make(candidate: str, targets: tuple[str, ...] = (), **names: Any) -> _Pair:
        pairs.append(_Pair(candidate, targets, **names))
        return pairs[-1]

    seeding = [(random, name) for name in ("seed", "getstate", "setstate")]
    seeding += [(np.random, name) for name in ("seed", "get_state", "set_state")]
    functions = [(module, name, getattr(module, name)) for module, name in seeding]
    limit, argv, directory = sys.getrecursionlimit(), sys.argv, Path.cwd()
    with decimal.localcontext(), np.printoptions(), np.errstate(), mock.patch.dict(os.environ):
        yield make
    for pair in pairs:
        pair.end()
    for pair in pairs:  # a later process holds the pipes of an earlier one
        pair.wait()
    for module, name, function in functions:
        setattr(module, name, function)
    sys.setrecursionlimit(limit)
    sys.argv = argv
    os.chdir(directory)
    time.tzset()


def test_nothing_crosses_while_nothing_has_changed(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of("def f(): return 1")
    random.random()
    assert pair.settings.pieces() == []
    assert pair("f") == 1
    assert pair.settings.pieces() == []


def test_limits_cross(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of(
        "def depth(n): return 0 if n == 0 else 1 + depth(n - 1)\ndef digits(n): return len(str(10 ** n))"
    )
    with pytest.raises(RuntimeError, match="RecursionError"):
        pair("depth", 3000)
    sys.setrecursionlimit(10_000)
    assert pair("depth", 3000) == 3000
    sys.setrecursionlimit(500)
    with pytest.raises(RuntimeError, match="RecursionError"):
        pair("depth", 600)
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        assert pair("digits", 5000) == 5001
    finally:
        sys.set_int_max_str_digits(before)
    with pytest.raises(RuntimeError, match="ValueError"):
        pair("digits", 5000)


def test_a_decimal_context_crosses_and_goes(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of("from decimal import Decimal\ndef div(a, b): return str(Decimal(a) / Decimal(b))")
    with decimal.localcontext() as context:
        context.prec = 4
        context.rounding = decimal.ROUND_UP
        context.traps[decimal.DivisionByZero] = False
        assert pair("div", 1, 3) == "0.3334"
        assert pair("div", 1, 0) == "Infinity"
        context.traps[decimal.Inexact] = True
        with pytest.raises(RuntimeError, match="Inexact"):
            pair("div", 1, 3)
    assert len(pair("div", 1, 3)) == 30


def test_settings_of_numpy_cross_and_go(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of(
        "import numpy as np\ndef show(a): return str(np.array(a))\n"
        "def div(a): return str(np.array(a) / np.array(0.0))"
    )
    with np.printoptions(precision=2, suppress=True, legacy="1.13"):
        assert pair("show", [1.23456]) == "[ 1.23]"
    assert pair("show", [1.23456]) == "[1.23456]"
    with np.errstate(divide="raise"), pytest.raises(RuntimeError, match="FloatingPointError"):
        pair("div", 1.0)
    with np.errstate(divide="ignore"):
        assert pair("div", 1.0) == "inf"


def test_seeds_and_states_cross(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of(
        "import random, numpy as np\ndef roll(): return random.random()\n"
        "def gauss(): return random.gauss(0, 1)\n"
        "def array(n): return np.random.rand(n).tolist()"
    )
    pair("roll")
    state = random.getstate()
    first = pair("roll")
    assert pair("roll") != first
    random.setstate(state)
    assert pair("roll") == first == random.random()
    random.seed(7)
    random.gauss(0, 1)
    assert pair("gauss") == random.gauss(0, 1)
    np.random.seed(3)
    np.random.rand(2)
    got = pair("array", 3)
    assert got == np.random.rand(3).tolist()
    assert pair("array", 3) != got
    saved = np.random.get_state()
    got = pair("array", 3)
    np.random.set_state(saved)
    assert pair("array", 3) == got


def test_an_input_of_the_test_is_read_and_what_is_printed_comes_back_in_order(
    pair_of: Callable[..., _Pair],
) -> None:
    pair = pair_of(
        "import sys\ndef main():\n    name = input('Name: ')\n    print('Hi', name)\n"
        "    print('oops', file=sys.stderr)\n    return [sys.stdin.readline(), list(sys.stdin)]\n"
        "def buffered():\n    sys.stdout.buffer.write(b'raw'); return sys.stdin.buffer.read().decode()\n"
        "def rest(): return sys.stdin.read(2) + '|' + sys.stdin.read()"
    )
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch("sys.stdin", io.StringIO("Bob\n1 2\n3\n4")),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        assert pair("main") == ["1 2\n", ["3\n", "4"]]
        with pytest.raises(RuntimeError, match="EOFError"):
            pair("main")
        with pytest.raises(RuntimeError, match="AttributeError"):
            pair("buffered")
        sys.stdin = io.TextIOWrapper(io.BytesIO(b"7 8"))
        assert pair("buffered") == "7 8"
        sys.stdin = io.StringIO("abc")
        assert pair("rest") == "ab|c"
    assert out.getvalue() == "Name: Hi Bob\nName: rawraw"
    assert err.getvalue() == "oops\n"


def test_a_stream_of_the_test_gets_each_text_by_itself(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of("def hello(): print('a', 1)")
    with mock.patch("sys.stdout") as stream:
        pair("hello")
    assert [call.args[0] for call in stream.write.call_args_list] == ["a", " ", "1", "\n"]


def test_warnings_and_log_records_reach_the_test(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of(
        "import logging, warnings\nclass Own(UserWarning): pass\nlog = logging.getLogger('app.core')\n"
        "def old(): warnings.warn('use new', DeprecationWarning)\ndef own(): warnings.warn('mine', Own)\n"
        "def work(n):\n    log.debug('step'); log.info('got %d', n)\n"
        "    try: 1 / 0\n    except ZeroDivisionError: log.exception('bad')\n"
        "def broken(): log.error('%d', 'x')"
    )
    case = unittest.TestCase()
    with case.assertWarns(DeprecationWarning) as caught:
        pair("old")
    assert str(caught.warning) == "use new"
    with case.assertWarnsRegex(UserWarning, "mi.e"):
        pair("own")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DeprecationWarning):
            pair("old")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        pair("old")
        pair("old")
    assert len(found) == 2
    with case.assertLogs("app", "INFO") as logs:
        pair("work", 3)
    assert logs.output[0] == "INFO:app.core:got 3"
    assert logs.output[1].startswith("ERROR:app.core:bad\nTraceback")
    assert logs.output[1].endswith("ZeroDivisionError: division by zero")
    with case.assertLogs("app.core", "DEBUG") as logs:
        pair("work", 3)
    assert len(logs.records) == 3
    with case.assertNoLogs("app.core", "CRITICAL"):
        pair("broken")


def test_records_of_a_level_that_the_test_has_set_back_are_not_made(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of(
        "import logging\nlog = logging.getLogger('quiet')\ndef enabled(n): return log.isEnabledFor(n)"
    )
    with unittest.TestCase().assertNoLogs("quiet", "DEBUG"):
        assert pair("enabled", logging.DEBUG)
    assert not pair("enabled", logging.DEBUG)


def test_replaced_library_functions_cross_and_go(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of(
        "import random, time, os\nfrom pathlib import Path\ndef roll(): return random.randint(1, 6)\n"
        "def pick(a): return random.choice(a)\ndef slow(): time.sleep(60)\n"
        "def ask(): return input('? ')\ndef there(): return Path('/').exists()\n"
        "def shell(): return os.path.ismount('x')",
        ("pathlib.Path.exists", "os.path.ismount", "nowhere.at.all", "sys.stdout"),
    )
    with mock.patch("random.randint", return_value=44):
        assert pair("roll") == 44
    assert 1 <= pair("roll") <= 6
    with mock.patch("time.sleep", return_value=None) as sleep:
        pair("slow")
    sleep.assert_called_once_with(60)
    choice, random.choice = random.choice, lambda a: a[-1]
    assert pair("pick", [1, 2, 3, 9]) == 9
    random.choice = choice
    with mock.patch("builtins.input", side_effect=["yes", "no"]):
        assert [pair("ask"), pair("ask")] == ["yes", "no"]
    with mock.patch("pathlib.Path.exists", return_value=False):
        assert pair("there") is False
    assert pair("there") is True
    with mock.patch("os.path.ismount", return_value=5):
        assert pair("shell") == 5
    assert pair("shell") is False


def test_replaced_names_of_the_module_cross_and_go(pair_of: Callable[..., _Pair]) -> None:
    own = object(), object()
    pair = pair_of(
        "def helper(x): return x + 1\ndef use(x): return helper(x) * 2\ndef other(): return 1\n"
        "def twice(): return other() * 2",
        helper=own[0],
        other=own[1],
    )
    pair.test_names["helper"] = own[0]
    pair.test_names["other"] = lambda: 100  # bound by the test, not patched
    pair.solution["helper"] = lambda x: 10
    assert pair("use", 1) == 20
    assert pair("twice") == 2
    pair.solution["helper"] = own[0]
    assert pair("use", 1) == 4
    pair.solution["helper"] = pair.test_names["helper"] = object()  # bound by the candidate
    assert pair.settings.pieces() == []


def test_a_function_of_the_test_may_stand_for_a_builtin_that_the_candidate_does_not_define(
    pair_of: Callable[..., _Pair],
) -> None:
    pair = pair_of("def ask(): return 'Hello ' + input('Name: ')")
    pair.test_names["input"] = lambda prompt="": "Bob"
    assert pair("ask") == "Hello Bob"
    pair.test_names["input"] = "data of the test"
    with pytest.raises(RuntimeError, match="Error"):
        pair("ask")
    own = pair_of("def input(prompt): return 'mine'\ndef ask(): return input('')")
    own.test_names["input"] = lambda prompt="": "Bob"
    assert own("ask") == "mine"


def test_environment_time_zone_directory_and_arguments_cross(
    pair_of: Callable[..., _Pair], tmp_path: Path
) -> None:
    pair = pair_of(
        "import os, sys, time\ndef env(n): return os.environ.get(n)\n"
        "def hour(): return time.localtime(0).tm_hour\n"
        "def read(n): return open(n).read()\ndef args(): return sys.argv[1:]"
    )
    with mock.patch.dict(os.environ, {"MODE": "test"}):
        assert pair("env", "MODE") == "test"
    assert pair("env", "MODE") is None
    with mock.patch("os.environ", {"MODE": "other", "n": 1}):
        assert pair("env", "MODE") == "other"
    assert pair("env", "MODE") is None
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    assert pair("hour") == 9
    os.environ["TZ"] = "UTC"
    time.tzset()
    assert pair("hour") == 0
    (tmp_path / "data.txt").write_text("text")
    os.chdir(tmp_path)
    assert pair("read", "data.txt") == "text"
    with mock.patch.object(sys, "argv", ["x", "--fast"]):
        assert pair("args") == ["--fast"]


def test_functions_that_the_test_has_replaced_are_not_called_for_the_settings(
    pair_of: Callable[..., _Pair],
) -> None:
    pair = pair_of("import logging\ndef f(): logging.getLogger('x').error('y')")
    with (
        unittest.TestCase().assertLogs() as logs,
        mock.patch("os.getcwd") as directory,
        mock.patch("decimal.getcontext") as context,
        mock.patch("logging.getLogger") as logger,
    ):
        assert pair.settings.pieces()
        pair.settings.apply(["log", "x", 40, "text", "ERROR", None, False])
    for function in (directory, context, logger):
        function.assert_not_called()
    assert logs.output == ["ERROR:x:text"]


@pytest.mark.parametrize(
    "piece",
    [
        None,
        [],
        ["out", 3],
        [["out"], "x"],
        ["recursion limit", 5],
        ["environment", {"A": "b"}],
        ["patch", "os", "", "system", 0],
        ["warning", "UserWarning", "x"],
        ["warning", "Exception", "x", 1],
        ["log", "x", 20, "m", "INFO", None],
        ["log", "x", "20", "m", "INFO", None, False],
    ],
)
def test_a_piece_that_no_candidate_sends_ends_the_pair(pair_of: Callable[..., _Pair], piece: Any) -> None:
    pair = pair_of("")
    with pytest.raises(BrokenPairError):
        pair.settings.apply(piece)


@pytest.mark.parametrize(
    "request_",
    [("input", []), ("close", []), ("read", ["x"]), ("read", [1, 2]), ("__class__", []), (["read"], [])],
)
def test_the_judge_answers_no_other_request(pair_of: Callable[..., _Pair], request_: Any) -> None:
    pair = pair_of("")
    with pytest.raises(BrokenPairError):
        pair.settings.answer(*request_)


def test_the_own_input_of_the_judge_is_not_read_for_a_candidate(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of("")
    with mock.patch("sys.stdin", sys.__stdin__):
        assert pair.settings.answer("read", []) == ""


def test_what_a_candidate_sets_stays_in_its_process(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of(
        "import decimal, os, random, sys\ndef change():\n    decimal.getcontext().prec = 3\n"
        "    random.seed(1)\n"
        "    os.environ['X'] = '1'\n    random.choice = len\n    sys.setrecursionlimit(5000)"
    )
    pair("change")
    assert decimal.getcontext().prec == 28
    assert random.choice is not len
    assert "X" not in os.environ
    assert sys.getrecursionlimit() != 5000


def test_targets_are_found_in_the_code_of_a_test() -> None:
    text = (
        "import os.path, random, json\nfrom unittest.mock import patch\n"
        "@patch('solution.helper')\n@patch('urllib.request.urlopen')\n"
        "def test(a, b):\n    with patch.object(os, 'getpid'): print('not a target.')\n"
        "    random.choice = min\n    return json.loads\n"
        "from pathlib import Path\n@patch.object(Path, 'exists')\ndef other(): pass"
    )
    assert set(patch_targets(compile(text, "<test>", "exec"))) >= {
        "solution.helper",
        "urllib.request.urlopen",
        "os.getpid",
        "random.choice",
        "json.loads",
        "pathlib.Path.exists",
    }
    assert patch_targets(compile("assert f('a.b') == 'c.d'", "<test>", "exec")) == ()


def test_an_unchanged_interpreter_is_read_in_microseconds(pair_of: Callable[..., _Pair]) -> None:
    pair = pair_of("")
    start = time.process_time()
    for _ in range(1000):
        pair.settings.pieces()
    assert (time.process_time() - start) * 1000 < 300  # 10 times the target of 30 us
