"""A candidate gets the arguments of a call only after the results of earlier ones are out of its reach."""

import pytest

from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from tests.executors.execution.conftest import available_modes

# Answers with what a later call in its reach tells, and overwrites what it has answered before.
GREEDY = """
import inspect, sys
answers = []
def frames():
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back
def texts(value, depth=0):
    if isinstance(value, (str, bytes)):
        yield value if isinstance(value, str) else value.decode('utf-8', 'replace')
    elif isinstance(value, (list, tuple)) and depth < 6:
        for part in value:
            yield from texts(part, depth + 1)
    elif inspect.isgenerator(value) and value.gi_frame is not None and depth < 6:
        yield from texts([*value.gi_frame.f_locals.values()], depth + 1)
def later(own):
    for frame in frames():
        for text in texts([*frame.f_locals.values()]):
            if text.startswith('["decode"') or text.startswith('["encode"'):
                word = text.split('"')[3]
                if word != own:
                    return word
    return '???'
def forge(known):
    for frame in frames():
        buffer = frame.f_locals.get('buffer')
        if buffer is not None:
            for answer in answers:
                place = buffer._memory.find(f'"{answer}"'.encode(), 0, 4096)
                if place > 0:
                    buffer._memory[place + 1:place + 1 + len(known)] = known.encode()
def encode(word):
    forge(word)
    answers.append(later(word))
    return answers[-1]
def decode(word):
    forge(word)
    return 'abc'
"""
TOGETHER = "assert encode('abc') == 'bcd'\nassert decode('bcd') == 'abc'"
APART = ["assert encode('abc') == 'bcd'", "assert decode('bcd') == 'abc'"]
HONEST = (
    "def encode(word):\n    return ''.join(chr(ord(c) + 1) for c in word)\n"
    "def decode(word):\n    return ''.join(chr(ord(c) - 1) for c in word)\n"
)


def verdicts(runner, candidate, codes):
    tests = [UnitTest("", number, code, kind=TestKind.ASSERT) for number, code in enumerate(codes)]
    return runner.run([candidate], tests).verdicts[0].tolist()


@pytest.mark.parametrize("codes", [[TOGETHER], APART])
def test_a_later_call_does_not_tell_the_result_of_an_earlier_one(runner, codes):
    assert verdicts(runner, HONEST, codes) == [Verdict.PASSED] * len(codes)
    assert verdicts(runner, GREEDY, codes)[0] == Verdict.FAILED


def test_javascript_makes_several_calls_in_several_tests(every_mode):
    runner = every_mode[available_modes()[0]]("javascript")
    adding = "function add(a, b) { return a + b; }"
    codes = ["strictEqual(add(1, 2) + add(3, 4), 10);", "strictEqual(add('x', 'y'), 'xy');"]
    tests = [
        UnitTest("", number, f"require('node:assert').{code}", kind=TestKind.ASSERT)
        for number, code in enumerate(codes)
    ]
    assert (runner.run([adding, f"{adding} // another"], tests).verdicts == Verdict.PASSED).all()


LATE = """
import struct, sys, time
def wait():
    frame = sys._getframe()
    while 'buffer' not in frame.f_locals:
        frame = frame.f_back
    struct.pack_into('<dd', frame.f_locals['buffer']._memory, 8, {reported}, {reported})
    begin = time.process_time()
    while time.process_time() < begin + 0.55:
        pass
    return 1
"""


def test_a_false_start_of_a_step_gives_no_more_time(every_mode):
    runner = every_mode[available_modes()[0]]()  # with a limit of 0.4 s
    codes = ["assert wait() == 1"]
    assert verdicts(runner, LATE.format(reported="1e18"), codes) == [Verdict.TIMED_OUT]
