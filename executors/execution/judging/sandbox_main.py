"""Program inside the sandbox: an interpreter with preloaded modules that serves blocks.

Processes:

- The *guard* is started by the runner. It builds the sandbox, forks the server process into it, and kills
  everything inside once the runner or the server process has ended.
- The *server process* is the first process inside. It has common modules loaded, never executes untrusted
  text, watches other processes, and collects verdicts.
- The *fork servers* are forked from the server process before the first block. Some of them fork the
  *candidate processes*, which run candidates, others the *judge processes*, which run tests, and the
  process that compiles. All of these are children of the server process.

docs/sandbox.md describes the guarantees behind a verdict.
"""

import contextlib
import dataclasses
import gc
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

from testbudget.executors.execution.judging import work
from testbudget.executors.execution.judging.block import BlockRun, BlockWork, ProcessSources, WorkerContext
from testbudget.executors.execution.judging.engine_reasons import default_reason
from testbudget.executors.execution.judging.near_results import merged_results
from testbudget.executors.execution.judging.pair_table import Call
from testbudget.executors.execution.judging.program_cache import ProgramCache
from testbudget.executors.execution.languages.base import Language
from testbudget.executors.execution.languages.messages import bounded_result
from testbudget.executors.execution.languages.registry import load_language
from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.processes import result_buffer
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.process import ProcessRunner, open_streams
from testbudget.executors.execution.processes.staying_process import StayingProcess
from testbudget.executors.execution.processes.supervisor import Supervisor
from testbudget.executors.execution.processes.working_directory import WorkingDirectory
from testbudget.executors.execution.sandbox import cpu_time, isolation, kernel, leftovers
from testbudget.executors.execution.sandbox.toolchain import COMPILER_WALL_SECONDS, Toolchain
from testbudget.rewards.comparison import Comparison
from testbudget.rewards.problem import NOT_RUN, TestKind


def main() -> NoReturn:
    """Build the sandbox and guard it.

    The first argument is the descriptor of the connection to the runner.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    try:
        settings = json.loads(result_buffer.receive_frame(control))
        limits = TestLimits(**settings["limits"])
        language = load_language(settings["language"])
        language.programs = tuple(settings["programs"])  # as found outside, with the caller's PATH
        language.toolchain = Toolchain.from_record(settings["toolchain"])
        language.package_modules = tuple(settings["modules"])
        outer = isolation.isolate_outer(
            settings["packages"], limits, language.programs, language.toolchain, settings["packages_mib"]
        )
        server_process = os.fork()
        if server_process == 0:
            _serve(control, language, outer, limits, Trust(settings["trust"]))
        _guard(control, server_process, outer)
        with contextlib.suppress(OSError):  # the runner may have ended
            os.write(1, cpu_time.last_words(outer.group).encode())
        isolation.clean_up(outer)
    except Exception:
        _report_failure(control)
    os._exit(0)


def _guard(control: socket.socket, server_process: int, outer: isolation.OuterIsolation) -> None:
    """Wait until the runner or the server process has ended, then end everything inside."""
    kernel.adopt_orphans()
    poller = select.poll()
    poller.register(control, 0)  # reports a hang-up and nothing else
    poller.register(os.pidfd_open(server_process), select.POLLIN)
    poller.poll()
    os.kill(server_process, signal.SIGKILL)
    if "pid" in outer.layers:
        os.waitpid(server_process, 0)  # the first process of a PID namespace ends last
    else:
        leftovers.end_descendants()


def _serve(
    control: socket.socket,
    language: Language,
    outer: isolation.OuterIsolation,
    limits: TestLimits,
    trust: Trust,
) -> NoReturn:
    """Confine this process, the server process, and run blocks until the runner closes the connection."""
    try:
        _drop_outside_state(outer)
        language.preload()
        layers = isolation.isolate_inner(outer, limits)
        usage = outer.group.usage if outer.group is not None and "cgroup" in layers else None
        directory = WorkingDirectory(outer.scratch, layers)
        os.environ.update(HOME=directory.path, TMPDIR=directory.path)
        supervisor = Supervisor(control, layers, limits, directory, usage)
        context = _start_fork_servers(supervisor, language, trust)
        ready = {"layers": layers, "scratch": outer.scratch, "packages": outer.packages}
        result_buffer.send_frame(control, json.dumps(ready).encode())
        while True:
            for answer in _answer(context, json.loads(result_buffer.receive_frame(control))):
                result_buffer.send_frame(control, answer)
            context.supervisor.reap_dismissed()
    except EOFError:
        os._exit(0)
    except BaseException:
        _report_failure(control)
        os._exit(1)


def _start_fork_servers(supervisor: Supervisor, language: Language, trust: Trust) -> WorkerContext:
    """Fork the fork servers, which inherit what this process holds: no test and no result yet."""
    process_runner = ProcessRunner(
        supervisor.layers,
        supervisor.limits,
        supervisor.directory.path,
        language.programs,
        language.toolchain,
    )
    language.rehearse(process_runner)
    # Forked processes share this memory; a collection would touch it, and so copy it.
    gc.collect()
    gc.freeze()
    gc.disable()
    do_work = work.to_do_work(language)

    def process_sources() -> ProcessSources:
        judges, candidates = (
            ForkServer(supervisor, process_runner, do_work, language.load_modules) for _ in range(2)
        )
        object_judge = StayingProcess(supervisor, judges, stays=language.judge_stays)
        return ProcessSources(judges, candidates, StayingProcess(supervisor, judges), object_judge)

    lean, rich = process_sources(), process_sources()
    if language.toolchain.compilers:
        compiling = dataclasses.replace(process_runner, compiles=True)
        compiler = ForkServer(supervisor, compiling, do_work, language.load_modules)
        cache = ProgramCache(compiler, language, COMPILER_WALL_SECONDS / supervisor.limits.wall_seconds)
    else:
        cache = ProgramCache(StayingProcess(supervisor, lean.judges), language)
    return WorkerContext(supervisor, lean, rich, cache, language, trust)


def _drop_outside_state(outer: isolation.OuterIsolation) -> None:
    """Replace streams, signal mask, arguments, paths and working directory by those of the sandbox."""
    open_streams()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    sys.argv = [""]
    sys.path.append(outer.packages)
    tempfile.tempdir = None  # it was determined outside the sandbox
    os.chdir(outer.scratch)


def _report_failure(control: socket.socket) -> None:
    error = sys.exc_info()[1]
    place = traceback.extract_tb(error.__traceback__)[-1] if error else None
    message = f"{type(error).__name__}: {error}" + (
        f" ({place.name}, line {place.lineno})" if place else ""
    )
    with contextlib.suppress(OSError):  # the runner may have ended
        result_buffer.send_frame(control, json.dumps({"failure": message}).encode())


def _answer(context: WorkerContext, block: dict[str, Any]) -> Iterator[bytes]:
    """Run a block; yield its verdicts, their reasons and, if they are to be recorded, calls and results."""
    numbers = {text: number for number, text in enumerate(dict.fromkeys(block["candidates"]))}
    number_of = [numbers[text] for text in block["candidates"]]
    rows = [(number_of[row], test) for row, test in block["pairs"]]  # equal programs share their verdicts
    tests = [(code, TestKind(kind)) for code, kind in block["tests"]]
    programs = [*numbers, *(code for code, kind in tests if kind is not TestKind.STDIN)]
    slow_imports = context.language.slow_imports(programs)
    servers = context.rich if slow_imports else context.lean
    # A judge process needs of the packages what its tests name.
    judged = {*context.language.slow_imports([code for code, _ in tests])}
    packages = context.language.package_modules
    servers.candidates.load_modules(slow_imports)
    servers.load_judge_modules(
        [name for name in slow_imports if name in judged or name.partition(".")[0] not in packages]
    )
    standing = None
    if block["standing"] is not None:
        standing = [0] * len(numbers)
        for number, passed in zip(number_of, block["standing"], strict=True):
            standing[number] = max(standing[number], passed)
    pairs = sorted(set(rows))
    comparison = Comparison.from_text(block["comparison"])
    block_work = BlockWork(
        [*numbers], tests, block["entry_point"], pairs, standing, comparison, block["record"]
    )
    block_run = BlockRun(context, servers, block_work)
    if block["calls"] is None:
        block_run.run()
    else:
        block_run.make_calls(block["calls"])
    states = [block_run.pair_table[pair] for pair in rows]
    first_row = {pair: row for row, pair in reversed([*enumerate(rows)])}
    charged = [first_row[pair] == row for row, pair in enumerate(rows)]
    reasons: dict[str, int] = {}
    verdicts = [NOT_RUN if state.verdict is None else state.verdict for state in states]
    texts = [
        json.dumps((state.reason or default_reason(verdict)).as_message())
        for state, verdict in zip(states, verdicts, strict=True)
    ]
    columns = (
        verdicts,
        [state.same_process for state in states],
        [state.cpu_seconds * own for state, own in zip(states, charged, strict=True)],
        [state.wall_seconds * own for state, own in zip(states, charged, strict=True)],
        [state.cut_at for state in states],
        [reasons.setdefault(text, len(reasons)) for text in texts],
    )
    yield struct.pack(verdicts_layout(len(states)), *itertools.chain(*columns))
    yield f"[{','.join(reasons)}]".encode()
    if block["record"]:
        texts_of = block_run.calls.texts, block_run.results.texts
        merged = merged_results(comparison, (state.calls for state in states), *texts_of)
        recorded = [tuple(merged.get(call, call) for call in state.calls) for state in states]
        paths: dict[tuple[Call, ...], int] = {}
        message = {
            "calls": block_run.calls.texts,
            "results": [bounded_result(text) for text in block_run.results.texts],
            "path_of": [paths.setdefault(path, len(paths)) for path in recorded],
            "paths": [list(itertools.chain(*path)) for path in paths],
        }
        yield json.dumps(message).encode()


def verdicts_layout(pairs: int) -> str:
    """``struct`` format of the first frame of the answer to a block.

    Columns, each with one value per pair: verdict, same_process, CPU-seconds, wall-seconds, CPU-seconds at
    which the pair was cut off, number of the reason. The second frame is a JSON array of the reasons.
    """
    return f"<{pairs}B{pairs}B{pairs}f{pairs}f{pairs}f{pairs}i"
