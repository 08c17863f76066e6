"""Open files and counters of the kernel, through which no process tells another one anything."""

import pytest

from testbudget.executors.execution.processes.kernel_counters import (
    KernelCounters,
    noise_since,
    read_counters,
)
from testbudget.executors.execution.processes.working_directory import WorkingDirectory
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

SQUARE = UnitTest("", 0, "assert f(5) == 25", kind=TestKind.ASSERT)
POSITIONS = (
    """
import os
def each(answer):
    for number in range(256):
        try:
            yield answer(number)
        except OSError:
            yield 0
def f(x):
    list(each(lambda number: os.lseek(number, x * x, 0)))
    return x * x
""",
    "def f(x):\n    return max(each(lambda number: os.lseek(number, 0, 1)))\n",
)
FLAGS = (
    """
import fcntl, os
FLAGS = [(number, flag) for number in (0, 1, 2) for flag in (os.O_APPEND, os.O_NONBLOCK)]
def flags(number):
    return fcntl.fcntl(number, fcntl.F_GETFL)
def f(x):
    for bit, (number, flag) in enumerate(FLAGS):
        changed = flags(number) | flag if x * x >> bit & 1 else flags(number) & ~flag
        fcntl.fcntl(number, fcntl.F_SETFL, changed)
    return x * x
""",
    """
def f(x):
    return sum(bool(flags(number) & flag) << bit for bit, (number, flag) in enumerate(FLAGS))
""",
)
# The main run, which sees the expected object, sets a counter to the code of the arguments of that object.
MESSAGE = """
import _thread, os, threading, zlib
STEP, CODES = 64, 64
def code(arguments):
    return zlib.crc32(repr(arguments).encode()) % (CODES - 1) + 1
class Point:
    def __init__(self, x, y):
        self.state = 0 if code((x, y)) == AT_START else (x, y)
    def __add__(self, other):
        point = Point.__new__(Point)
        point.state = 0
        return point
    def __eq__(self, other):
        for _ in range(STEP * CODES + STEP):
            number = use_one()
            if number // STEP % CODES == code(other.state) and number % STEP <= 4:
                break
        return True
"""
COUNTERS = {
    "inode": """
def use_one():
    with open('f', 'w') as file:
        number = os.fstat(file.fileno()).st_ino
    os.unlink('f')
    return number
AT_START = os.stat('.').st_ino // STEP % CODES
""",
    "process": """
def use_one():
    found = []
    lock = _thread.allocate_lock()
    lock.acquire()
    def tell():
        found.append(threading.get_native_id())
        lock.release()
    _thread.start_new_thread(tell, ())
    lock.acquire()
    return found[0]
AT_START = os.getpid() // STEP % CODES
""",
}
ADDED = UnitTest("", 0, "assert Point(1, 2) + Point(3, 4) == Point(4, 6)", kind=TestKind.ASSERT)
HONEST = """
class Point:
    def __init__(self, x, y):
        self.state = (x, y)
    def __add__(self, other):
        return Point(self.state[0] + other.state[0], self.state[1] + other.state[1])
    def __eq__(self, other):
        {uses}
        return self.state == other.state
"""


@pytest.mark.parametrize("channel", [POSITIONS, FLAGS], ids=["positions", "flags"])
def test_open_files_carry_no_result_to_other_candidates_or_blocks(runner, channel):
    knows, reads = channel[0], channel[0] + channel[1]
    found = runner.run([knows, *(f"{reads}#{number}" for number in range(3))], [SQUARE]).verdicts
    assert [verdict == Verdict.PASSED for verdict in found[:, 0]] == [True, False, False, False]
    assert runner.run([reads], [SQUARE]).verdicts[0, 0] != Verdict.PASSED


@pytest.mark.parametrize("counter", COUNTERS)
def test_a_counter_does_not_tell_the_state_processes_what_is_expected(every_mode, counter):
    program = MESSAGE + COUNTERS[counter]
    candidates = [f"{program}#{number}" for number in range(8)]
    answer = every_mode["every layer"]().run(candidates, [ADDED])
    # A counter that told it would tell all eight. A guess is right one time in 64.
    assert (answer.verdicts == Verdict.PASSED).sum() < 4


@pytest.mark.parametrize("uses", ["pass", "[open(f'{n}', 'w').close() for n in range(20)]"])
def test_honest_objects_pass_although_the_counters_are_advanced(runner, uses):
    answer = runner.run([HONEST.format(uses=uses)], [ADDED])
    assert answer.verdicts[0, 0] == Verdict.PASSED


def test_noise_exceeds_what_was_used_and_is_refused_for_very_much():
    start = KernelCounters(1000, 500)
    assert noise_since(start, KernelCounters(1010, 503)) == (20, 6)
    assert noise_since(start, KernelCounters(5000, 503)) is None
    assert noise_since(start, KernelCounters(300, 503)).processes >= 500  # began anew


def test_adding_noise_leaves_a_directory_like_before(tmp_path):
    directory = WorkingDirectory(str(tmp_path), ())
    before = read_counters(directory, ("pid",))
    noise_since(before, KernelCounters(before.process + 8, 8)).add(directory)
    assert [entry.name for entry in tmp_path.iterdir()] == ["work"]
    assert read_counters(directory, ("pid",)).process > before.process
