"""The program inside the sandbox: a warm interpreter that forks one process for every candidate.

Three kinds of processes:

- the *guard*, started by the runner, builds the sandbox, forks the zygote into it, and ends everything
  inside as soon as either the runner or the zygote is gone;
- the *zygote*, the first process inside, has the common modules loaded, never executes untrusted text,
  forks, watches the clock and collects verdicts;
- a *candidate's process* executes the candidate afresh for each test of the block and judges it.

What stands behind a verdict, plainly. *Prevented*: a pass by leaving (any exit code, SystemExit, a signal,
``os._exit``); by printing, or by writing to or closing file descriptors; by writing blindly into shared
memory; by swallowing a time limit (it ends the process and raises nothing in it); by skipping cases or
bringing other ones; and touching another candidate's process, verdicts or files. *Not prevented* here: the
candidate and the test share one interpreter, so a candidate that means to can patch ``unittest`` or
``builtins``, return objects whose ``__eq__`` lies, read the expected value in the test's frame, or find the
marks of the board in the harness's frames or through ``gc``. It can forge verdicts on itself that way, for
this test and for later ones of the same block, but on no other candidate.
"""

import contextlib
import gc
import json
import marshal
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from executors.execution import channel, isolation, kernel
from executors.execution.board import Board
from executors.execution.languages import python
from executors.execution.limits import Limits
from executors.execution.row import Block, Station, Test, run_row
from rewards.problem import TestKind, Verdict

LANGUAGES = {"python": python}

_COMPILING_CPU_SECONDS = 10
_LENGTH = struct.Struct("<i")


def main() -> NoReturn:
    """Build the sandbox and guard it.

    The first argument is the descriptor of the connection to the runner, the second the directory from
    which this package was imported, which nothing inside will need again.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path.remove(sys.argv[2])
    try:
        settings = json.loads(channel.receive(control))
        limits = Limits(**settings["limits"])
        surroundings = isolation.surround(settings["packages"], limits)
        zygote = os.fork()
        if zygote == 0:
            _serve(control, settings["language"], surroundings, limits)
        _guard(control, zygote)
        if "mount" not in surroundings.layers:
            isolation.empty(surroundings.scratch)
            Path(surroundings.scratch).rmdir()
    except Exception:
        _report_failure(control)
    os._exit(0)


def _guard(control: socket.socket, zygote: int) -> None:
    """Wait until the runner has hung up or the zygote has ended, then end everything inside."""
    kernel.adopt_orphans()
    poller = select.poll()
    poller.register(control, 0)  # reports a hang-up and nothing else
    poller.register(os.pidfd_open(zygote), select.POLLIN)
    poller.poll()
    os.kill(zygote, signal.SIGKILL)
    isolation.end_descendants()


def _serve(
    control: socket.socket, language_name: str, surroundings: isolation.Surroundings, limits: Limits
) -> NoReturn:
    """Confine this process, the zygote, and run blocks until the runner hangs up."""
    try:
        language = LANGUAGES[language_name]
        _forget_the_outside(surroundings)
        language.preload()
        layers = isolation.confine(surroundings, limits)
        # Forked processes then share the zygote's memory instead of copying what a collection touches.
        gc.collect()
        gc.freeze()
        gc.disable()
        station = Station(control, language, layers, limits, surroundings.scratch)
        channel.send(control, json.dumps({"layers": layers, "scratch": surroundings.scratch}).encode())
        while True:
            block = json.loads(channel.receive(control))
            tests = [(code, TestKind(kind)) for code, kind in block["tests"]]
            for row in _run_block(station, block["candidates"], tests, block["entry_point"]):
                channel.send(control, row)
    except EOFError:
        os._exit(0)
    except BaseException:
        _report_failure(control)
        os._exit(1)


def _forget_the_outside(surroundings: isolation.Surroundings) -> None:
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    sys.argv = [""]
    sys.path += surroundings.import_paths
    os.environ.update(HOME=surroundings.scratch, TMPDIR=surroundings.scratch)
    tempfile.tempdir = None  # it was looked up outside
    os.chdir(surroundings.scratch)


def _report_failure(control: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the runner may be gone
        channel.send(control, json.dumps({"failure": traceback.format_exc()}).encode())


def _run_block(
    station: Station, candidates: list[str], tests: list[tuple[str, TestKind]], entry_point: str
) -> Iterator[bytes]:
    """Yield each candidate's verdicts, a byte a test, followed by its CPU seconds, a float32 a test."""
    station.language.preload_for([*candidates, *(code for code, _ in tests)])
    programs = _compiled(station, [code for code, _ in tests])
    usable = [index for index, program in enumerate(programs) if program is not None]
    compiled = [Test(programs[index], tests[index][1]) for index in usable]
    block = Block(compiled, entry_point, Board(len(compiled)))
    layout = struct.Struct(f"<{len(tests)}B{len(tests)}f")
    for candidate in candidates:
        verdicts: list[int] = [Verdict.ERRORED] * len(
            tests
        )  # a test that does not compile errs on every candidate
        cpu_seconds = [0.0] * len(tests)
        row = run_row(station, candidate, block)
        for index, cell in zip(usable, row, strict=True):
            verdicts[index], cpu_seconds[index] = cell
        yield layout.pack(*verdicts, *cpu_seconds)
    block.board.close()


def _compiled(station: Station, codes: list[str]) -> list[Any]:
    """Compile tests, None for one that does not compile.

    It happens in another process, since some texts make a compiler hang or crash; a text that ends the
    process does not compile.
    """
    programs: list[Any] = []
    while len(programs) < len(codes):
        reading, writing = os.pipe()
        process = kernel.fork()
        if process == 0:
            try:
                station.confine_process(_COMPILING_CPU_SECONDS)
                _send_compiled(station, codes[len(programs) :], writing)
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            programs += _received(pipe)
        os.waitpid(process, 0)
        if len(programs) < len(codes):
            programs.append(None)
    return programs


def _send_compiled(station: Station, codes: list[str], descriptor: int) -> None:
    for code in codes:
        packed = marshal.dumps(station.language.compiled(code))
        os.write(descriptor, _LENGTH.pack(len(packed)) + packed)


def _received(pipe: BinaryIO) -> Iterator[Any]:
    while len(header := pipe.read(_LENGTH.size)) == _LENGTH.size:
        (size,) = _LENGTH.unpack(header)
        if len(packed := pipe.read(size)) < size:
            return
        yield marshal.loads(packed)
