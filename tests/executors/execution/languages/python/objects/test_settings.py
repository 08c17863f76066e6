"""Settings of a test in the candidate's process: each case runs its candidate in a process of its own."""

# ruff: noqa: NPY002 - the legacy functions are what is tested

import contextlib
import decimal
import io
import logging
import os
import random
import sys
import time
import unittest
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from testbudget.executors.execution.languages.python.objects.settings import JudgeSettings, plain_pieces
from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError
from testbudget.rewards.problem import Verdict
from tests.executors.execution.languages.python.objects.plain_pair import PlainPair, plain_pairs
from tests.executors.execution.languages.python.objects.set_up_cases import CASES, set_up_test

PairMaker = Callable[..., PlainPair]


@pytest.fixture(name="pair_of")
def _pair_of() -> Iterator[PairMaker]:
    with plain_pairs() as make:
        yield make


def test_nothing_crosses_while_nothing_has_changed(pair_of: PairMaker) -> None:
    pair = pair_of("def f(): return 1")
    random.random()
    assert pair.settings.pieces() == []
    assert pair("f") == 1
    assert pair.settings.pieces() == []


def test_limits_cross(pair_of: PairMaker) -> None:
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


def test_a_decimal_context_crosses_and_goes(pair_of: PairMaker) -> None:
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


def test_settings_of_numpy_cross_and_go(pair_of: PairMaker) -> None:
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


def test_seeds_and_states_cross(pair_of: PairMaker) -> None:
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
    pair_of: PairMaker,
) -> None:
    pair = pair_of(
        "import sys\ndef main():\n    name = input('Name: ')\n    print('Hi', name)\n"
        "    print('oops', file=sys.stderr)\n    return [sys.stdin.readline(), list(sys.stdin)]\n"
        "def buffered():\n    sys.stdout.reconfigure(encoding='utf-8')\n"
        "    sys.stdout.buffer.write(b'raw'); return sys.stdin.buffer.read().decode()\n"
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


def test_a_stream_of_the_test_gets_each_text_by_itself(pair_of: PairMaker) -> None:
    pair = pair_of("def hello(): print('a', 1)")
    with mock.patch("sys.stdout") as stream:
        pair("hello")
    assert [call.args[0] for call in stream.write.call_args_list] == ["a", " ", "1", "\n"]


def test_warnings_and_log_records_reach_the_test(pair_of: PairMaker) -> None:
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


def test_records_of_a_level_that_the_test_has_set_back_are_not_made(pair_of: PairMaker) -> None:
    pair = pair_of(
        "import logging\nlog = logging.getLogger('quiet')\ndef enabled(n): return log.isEnabledFor(n)"
    )
    with unittest.TestCase().assertNoLogs("quiet", "DEBUG"):
        assert pair("enabled", logging.DEBUG)
    assert not pair("enabled", logging.DEBUG)


def test_environment_time_zone_directory_and_arguments_cross(pair_of: PairMaker, tmp_path: Path) -> None:
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
    pair_of: PairMaker,
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


def test_plain_pieces_are_settings_without_functions_of_the_test(pair_of: PairMaker) -> None:
    pair = pair_of("")
    with (
        mock.patch("time.sleep"),
        mock.patch("sys.stdin", io.StringIO()),
        decimal.localcontext() as context,
    ):
        context.prec = 5
        random.seed(1)
        pieces = pair.settings.pieces()
    assert [piece[0] for piece in pieces] == ["decimal", "stdin", "random", "patch"]
    assert [piece[0] for piece in plain_pieces(pieces)] == ["decimal", "random"]


def test_a_warning_of_the_candidate_ends_no_loop_of_the_test(pair_of: PairMaker) -> None:
    pair_of("")  # whose end restores the functions that settings replace

    class Ending(UserWarning, StopIteration):
        pass

    class Own(UserWarning):
        pass

    settings = JudgeSettings(str, decode={"ending": Ending("x"), "own": Own("x")}.get)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning) as raised:
            settings.apply(["warning", "UserWarning", "x", 1, "ending"])
        assert raised.type is UserWarning
        with pytest.raises(Own):
            settings.apply(["warning", "UserWarning", "x", 1, "own"])
        with pytest.raises(BrokenPairError):
            settings.apply(["warning", "UserWarning", "x", 1, "unknown"])


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
def test_a_piece_that_no_candidate_sends_ends_the_pair(pair_of: PairMaker, piece: Any) -> None:
    pair = pair_of("")
    with pytest.raises(BrokenPairError):
        pair.settings.apply(piece)


@pytest.mark.parametrize(
    "request_",
    [("input", []), ("close", []), ("read", ["x"]), ("read", [1, 2]), ("__class__", []), (["read"], [])],
)
def test_the_judge_answers_no_other_request(pair_of: PairMaker, request_: Any) -> None:
    pair = pair_of("")
    with pytest.raises(BrokenPairError):
        pair.settings.answer(*request_)


def test_the_own_input_of_the_judge_is_not_read_for_a_candidate(pair_of: PairMaker) -> None:
    pair = pair_of("")
    with mock.patch("sys.stdin", sys.__stdin__):
        assert pair.settings.answer("read", []) == ""


def test_what_a_candidate_sets_stays_in_its_process(pair_of: PairMaker) -> None:
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


def test_an_unchanged_interpreter_is_read_in_microseconds(pair_of: PairMaker) -> None:
    pair = pair_of("")
    start = time.process_time()
    for _ in range(1000):
        pair.settings.pieces()
    assert (time.process_time() - start) * 1000 < 300  # 10 times the target of 30 us


@pytest.mark.parametrize("name", CASES)
def test_what_a_test_sets_up_is_carried_with_objects(pairs, name):
    candidate, body = CASES[name]
    assert pairs.judge(candidate, set_up_test(body)) == (Verdict.PASSED, "")


@pytest.mark.parametrize(
    ("candidate", "test"),
    [
        ("def f(): return input[0]", "input = [42]\nassert f() == input[0]"),
        (
            "def f(): return __import__('sys').modules['solution'].__dict__['wanted']",
            "import solution\nwanted = 5\nassert f() == wanted",
        ),
        ("def f(): return __import__('sys').stdin.readline() or 'x'", "assert f() == 'y'"),
        (
            "def f(): print('no')",
            "import contextlib, io\nout = io.StringIO()\n"
            "with contextlib.redirect_stdout(out): f()\nassert out.getvalue() == 'yes\\n'",
        ),
    ],
)
def test_nothing_else_of_a_test_reaches_the_candidate(pairs, candidate, test):
    assert pairs.judge(candidate, test, "assert").verdict in {Verdict.ERRORED, Verdict.FAILED}
