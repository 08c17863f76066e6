"""The program inside the sandbox: a warm interpreter that forks one process for every candidate.

Three kinds of processes:

- the *guard*, started by the runner, builds the sandbox, forks the zygote into it, and ends everything
  inside as soon as either the runner or the zygote is gone;
- the *zygote*, the first process inside, has the common modules loaded, never executes untrusted text,
  forks, watches the clock and collects verdicts;
- the *processes under watch*, forked from the zygote, in which candidates make calls, and others in which
  tests are played with what came of these calls; see ``blocks``.

What stands behind a verdict is said in docs/sandbox.md.
"""

import contextlib
import gc
import hashlib
import itertools
import json
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

from testbudget.executors.execution.judging.block import BlockRun, BlockWork, WorkerContext
from testbudget.executors.execution.judging.fork_server import CandidateForkServer
from testbudget.executors.execution.judging.pair_table import Call, ProgramCache
from testbudget.executors.execution.languages.base import Language, ResultKind
from testbudget.executors.execution.languages.javascript.language import JavaScript
from testbudget.executors.execution.languages.python.language import Python
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.processes import result_buffer
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.executors.execution.sandbox import isolation, kernel
from testbudget.rewards.problem import NOT_RUN, TestKind

LANGUAGES: dict[str, Language] = {"python": Python(), "javascript": JavaScript()}

_LONGEST_RECORD = 4096
_SHOWN = 200


def main() -> NoReturn:
    """Build the sandbox and guard it.

    The first argument is the descriptor of the connection to the runner, the second the directory from
    which this package was imported, which nothing inside will need again.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path.remove(sys.argv[2])
    try:
        settings = json.loads(result_buffer.receive_frame(control))
        limits = TestLimits(**settings["limits"])
        language = LANGUAGES[settings["language"]]
        language.programs = tuple(settings["programs"])  # as found outside, with the caller's PATH
        outer = isolation.isolate_outer(settings["packages"], limits, language.programs)
        sandbox_main = os.fork()
        if sandbox_main == 0:
            _serve(control, language, outer, limits)
        _guard(control, sandbox_main, outer)
        isolation.clean_up(outer)
    except Exception:
        _report_failure(control)
    os._exit(0)


def _guard(control: socket.socket, sandbox_main: int, outer: isolation.OuterIsolation) -> None:
    """Wait until the runner has hung up or the zygote has ended, then end everything inside."""
    kernel.adopt_orphans()
    poller = select.poll()
    poller.register(control, 0)  # reports a hang-up and nothing else
    poller.register(os.pidfd_open(sandbox_main), select.POLLIN)
    poller.poll()
    os.kill(sandbox_main, signal.SIGKILL)
    if "pid" in outer.layers:
        os.waitpid(sandbox_main, 0)  # all that is inside has ended before its first process has
    else:
        isolation.end_descendants()


def _serve(
    control: socket.socket, language: Language, outer: isolation.OuterIsolation, limits: TestLimits
) -> NoReturn:
    """Confine this process, the zygote, and run blocks until the runner hangs up."""
    try:
        _forget_the_outside(outer)
        language.preload()
        buffer, arena_of_candidates = ResultBuffer(), ResultBuffer()
        layers = isolation.isolate_inner(outer, limits)
        # Forked processes then share the zygote's memory instead of copying what a collection touches.
        gc.collect()
        gc.freeze()
        gc.disable()
        process_runner = ProcessRunner(
            control, buffer, layers, limits, outer.scratch, language.programs
        )
        fork_server = CandidateForkServer(process_runner, arena_of_candidates, language)
        context = WorkerContext(
            process_runner, fork_server, ProgramCache(process_runner, language), language
        )
        result_buffer.send_frame(
            control, json.dumps({"layers": layers, "scratch": outer.scratch}).encode()
        )
        while True:
            for answer in _answer(context, json.loads(result_buffer.receive_frame(control))):
                result_buffer.send_frame(control, answer)
    except EOFError:
        os._exit(0)
    except BaseException:
        _report_failure(control)
        os._exit(1)


def _forget_the_outside(outer: isolation.OuterIsolation) -> None:
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    sys.argv = [""]
    sys.path += outer.import_paths
    os.environ.update(HOME=outer.scratch, TMPDIR=outer.scratch)
    tempfile.tempdir = None  # it was looked up outside
    os.chdir(outer.scratch)


def _report_failure(control: socket.socket) -> None:
    error = sys.exc_info()[1]
    place = traceback.extract_tb(error.__traceback__)[-1] if error else None
    said = f"{type(error).__name__}: {error}" + (f" ({place.name}, line {place.lineno})" if place else "")
    with contextlib.suppress(OSError):  # the runner may be gone
        result_buffer.send_frame(control, json.dumps({"failure": said}).encode())


def _answer(context: WorkerContext, block: dict[str, Any]) -> Iterator[bytes]:
    """Run a block; yield the verdicts and, if they are asked for, the calls behind them."""
    pairs = [tuple(pair) for pair in block["pairs"]]
    tests = [(code, TestKind(kind)) for code, kind in block["tests"]]
    if needed := context.language.needs([*block["candidates"], *(code for code, _ in tests)]):
        context.language.load(needed)
        context.fork_server.load(needed)
    work = BlockWork(block["candidates"], tests, block["entry_point"], pairs)
    done = BlockRun(context, work)
    if block["calls"] is None:
        done.run()
    else:
        done.make_calls(block["calls"])
    cells = [done.cells[pair] for pair in pairs]
    columns = (
        [NOT_RUN if cell.verdict is None else cell.verdict for cell in cells],
        [cell.same_process for cell in cells],
        [cell.cpu_seconds for cell in cells],
        [cell.wall_seconds for cell in cells],
    )
    yield struct.pack(verdicts_layout(len(cells)), *itertools.chain(*columns))
    if block["record"]:
        paths: dict[tuple[Call, ...], int] = {}
        made = {
            "calls": done.calls.texts,
            "results": [_bounded(text) for text in done.results.texts],
            "path_of": [paths.setdefault(tuple(cell.calls), len(paths)) for cell in cells],
            "paths": [list(itertools.chain(*path)) for path in paths],
        }
        yield json.dumps(made).encode()


def verdicts_layout(pairs: int) -> str:
    """Format, for ``struct``, of the answer to a block: verdicts, together, CPU and wall seconds."""
    return f"<{pairs}B{pairs}B{pairs}f{pairs}f"


def _bounded(text: str) -> str:
    """A result, cut down to what tells it from others and shows people how it begins."""
    if len(text) <= _LONGEST_RECORD:
        return text
    return json.dumps([ResultKind.CUT_SHORT, hashlib.sha256(text.encode()).hexdigest(), text[:_SHOWN]])
