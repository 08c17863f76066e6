"""Rehearsal: the work of processes, done with programs of our own before any process is forked.

CPython adapts functions while they run, and keeps what it has looked up in caches. A process that inherits
this does not have to do it again, which would also copy the memory that it writes.
"""

import contextlib
import linecache
import logging
import os
import random
import socket
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from testbudget.executors.execution.languages.base import (
    CallJobs,
    Connection,
    Program,
    Source,
)
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.languages.python import calls, judge, program_run, programs
from testbudget.executors.execution.languages.python.judge_audit import judge_audit
from testbudget.executors.execution.languages.python.objects import candidate_side, judge_side
from testbudget.executors.execution.languages.python.reasons import CANDIDATE_FILE, PROGRAM_FILE
from testbudget.executors.execution.processes.process import Parts, ProcessRunner, part_frame
from testbudget.executors.execution.processes.result_buffer import ResultBuffer, parse_message
from testbudget.executors.execution.sandbox import kernel
from testbudget.rewards.problem import TestKind, Verdict

_TIMES = 10  # CPython adapts a function in its eighth run; after 20 runs processes copy as many pages
_JOBS = 2

_Module = types.ModuleType
_DoSide = Callable[[ResultBuffer, Connection], object]

_FUNCTIONS = '''
import math, re, collections
from typing import *
from typing import Dict, List, Optional, Tuple
from collections import Counter, defaultdict, deque
import heapq, itertools, functools, bisect, string


def total(numbers: List[int], words: Optional[str] = None) -> Dict[str, int]:
    """Count."""
    result = defaultdict(int)
    for place, number in enumerate(sorted(numbers)):
        if number % 2 == 0 and isinstance(number, int):
            result[str(number)] += abs(number) + len(numbers[place:])
    if words:
        for word in words.lower().split():
            result[word] = max(result.get(word, 0), 1)
    if not numbers:
        raise ValueError("empty")
    return dict(result)


def inner(n):
    return [inner(n - 1) if n > 0 else 0, (n, 1.5, True, None), "".join(str(i) for i in range(n))]
'''
_TEST = """
import unittest


class TestTotal(unittest.TestCase):
    def setUp(self):
        self.words = "one two"

    def test_total(self):
        self.assertEqual(total([1, 2, 4]), {"2": 4, "4": 5})
        self.assertEqual(total([2], self.words), {"2": 3, "one": 1, "two": 1})
        self.assertIn("2", total([2]))
        self.assertTrue(total([2]))
        with self.assertRaises(ValueError):
            total([])

    def test_inner(self):
        assert inner(1)[1] == (1, 1.5, True, None)
        self.assertEqual(inner(0)[0], 0)
"""
_CLASS = '''
from typing import List, Optional


class Account:
    """Account."""

    def __init__(self, owner: str, balance: float = 0) -> None:
        self.owner = owner
        self.balance = balance
        self.entries: List[int] = []

    def deposit(self, amount: int) -> "Account":
        if amount <= 0:
            raise ValueError("amount")
        self.balance += amount
        self.entries.append(amount)
        return self

    @property
    def size(self) -> int:
        return len(self.entries)

    def __eq__(self, other):
        return isinstance(other, Account) and self.balance == other.balance
'''
_CLASS_TEST = """
import unittest


class TestAccount(unittest.TestCase):
    def setUp(self):
        self.account = Account("me", 10)

    def test_deposit(self):
        self.account.deposit(5)
        self.assertEqual(self.account.balance, 15)
        self.assertEqual(self.account.entries, [5])
        self.assertEqual(self.account.size, 1)
        self.assertEqual(self.account.owner, "me")
        self.assertIsInstance(self.account, Account)

    def test_wrong(self):
        with self.assertRaises(ValueError):
            self.account.deposit(0)
"""


_PROGRAM = """
import sys
import bisect, heapq, itertools, math
from collections import Counter, defaultdict, deque


def main():
    data = sys.stdin.read().split()
    numbers = [int(word) for word in data[1:]] or [3, 1, 2]
    try:
        n = int(input())
    except EOFError:
        n = len(numbers)
    lines = [list(map(int, line.split())) for line in sys.stdin]
    counted = defaultdict(int)
    for number in numbers:
        counted[number] += 1
    print(sum(numbers), max(numbers))
    print(*sorted(counted), sep=" ")
    print(f"{n / 3:.6f}", "YES" if lines else "NO")
    sys.stdout.write("\\n".join(map(str, numbers)) + "\\n")


if __name__ == "__main__":
    main()
"""


def rehearse(process_runner: ProcessRunner) -> None:
    """Do the work of candidate processes and judge processes in this one, on functions and on objects.

    Args:
        process_runner: runner of the processes.
    """
    functions, test = _program(_FUNCTIONS), _program(_TEST, "total")
    account, account_test = _program(_CLASS), _program(_CLASS_TEST, "Account")
    with _left_as_before(), judge_audit().uninstalled():
        process_runner.rehearse(_do_nothing, _TEST.encode(), _TIMES)
        for _ in range(_TIMES):
            _judge_by_calls(process_runner, functions, test)
        sides: Sequence[_DoSide] = (
            lambda buffer, link: judge_side.judge_objects(buffer, link, account_test, "Account"),
            lambda buffer, link: candidate_side.serve_for_rehearsal(buffer, link, account, "Account"),
        )
        _run_programs()
        _in_two_processes(*sides)
        _in_two_processes(*reversed(sides))


def _do_nothing(*_: object) -> None:
    pass


def _run_programs() -> None:
    """Run a program that reads standard input, which is empty, and prints, which leads nowhere."""
    artefact = os.memfd_create("program", os.MFD_CLOEXEC)
    os.write(artefact, programs.compile_source(Source(_PROGRAM, TestKind.STDIN), None))
    recursion_limit, stack_bytes = sys.getrecursionlimit(), threading.stack_size()
    for _ in range(_TIMES):
        status = program_run.run_program(os.dup(artefact))
        assert status == 0, status
    sys.setrecursionlimit(recursion_limit)
    threading.stack_size(stack_bytes)
    os.close(artefact)
    program_run.prepare()  # new streams


def _program(text: str, entry_point: str | None = None) -> Program:
    """Compiled candidate; a test if an entry point is given."""
    kind = None if entry_point is None else TestKind.UNITTEST
    packed = programs.compile_source(Source(text, kind), entry_point)
    assert packed is not None
    return programs.unpack_program(packed)


def _judge_by_calls(process_runner: ProcessRunner, candidate: Program, test: Program) -> None:
    """Make the calls of a test with a candidate, twice, and run the test without and with the results."""
    (planned,) = _left_texts(1, lambda buffer: judge.judge_tests(buffer, [(test, ())]))
    texts = planned[1:]
    outside, inside = socket.socketpair()
    with outside:
        for _ in range(_JOBS):
            for place, text in enumerate(texts):
                outside.sendall(part_frame(text, more=place + 1 < len(texts)))
        parts = Parts(inside.detach())
        jobs = CallJobs(candidate, _JOBS, parts)
        results, _ = _left_texts(
            _JOBS, lambda buffer: calls.make_calls(buffer, process_runner, jobs, "total")
        )
        os.close(parts.descriptor)
    path = [(call.decode(), result.decode()) for call, result in zip(texts, results, strict=True)]
    (judged,) = _left_texts(1, lambda buffer: judge.judge_tests(buffer, [(test, path)]))
    assert parse_message(judged[0])[:2] == [StepMessage.VERDICT, Verdict.PASSED], judged


def _left_texts(steps: int, do_work: Callable[..., object], *arguments: Any) -> list[list[bytes]]:
    """Texts of each step that a work leaves in a new result buffer, its first argument."""
    buffer = ResultBuffer()
    try:
        do_work(buffer, *arguments)
        return [step.texts for step in buffer.steps(steps)]
    finally:
        buffer.close()


def _in_two_processes(do_here: _DoSide, do_there: _DoSide) -> None:
    """Do both sides of a pair a number of times, one of them in this process and one in another."""
    links = [socket.socketpair() for _ in range(_TIMES)]
    process = kernel.fork()
    if process == 0:
        try:
            for here, there in links:
                here.close()
                _left_texts(1, do_there, _connection(there))
                there.shutdown(socket.SHUT_RDWR)
        finally:
            os._exit(0)
    for here, there in links:
        there.close()
        _left_texts(1, do_here, _connection(here))
        here.shutdown(socket.SHUT_RDWR)
        here.close()
    os.waitpid(process, 0)


def _connection(link: socket.socket) -> Connection:
    return Connection(link.fileno(), link.fileno())


@contextlib.contextmanager
def _left_as_before() -> Iterator[None]:
    """Restore what programs and both sides of a pair set: modules, their names, streams, random numbers."""
    modules = dict(sys.modules)
    names = {name: dict(vars(module)) for name, module in modules.items() if type(module) is _Module}
    filters, handlers, state = list(warnings.filters), logging.Logger.callHandlers, random.getstate()
    try:
        yield
    finally:
        for name in sys.modules.keys() - modules:
            del sys.modules[name]
        sys.modules.update(modules)
        for name, known in names.items():
            now = vars(modules[name])
            for key in now.keys() - known:
                del now[key]
            now.update((key, value) for key, value in known.items() if now.get(key, now) is not value)
        warnings.filters[:] = filters  # type: ignore[index]
        logging.Logger.callHandlers = handlers  # type: ignore[method-assign]
        random.setstate(state)
        linecache.cache.pop(CANDIDATE_FILE, None)
        linecache.cache.pop(PROGRAM_FILE, None)
        calls.forget_calls()
