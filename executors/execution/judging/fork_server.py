"""Fork server for candidates. It is forked before the first block and never receives a test.

A forked process inherits the memory of its parent, and a hostile candidate can read it. The server process
holds all tests and results, so candidate processes are forked from the fork server instead. The fork server
stores nothing: the programs and calls of a candidate process come through a pipe that only this process
reads.
"""

import contextlib
import gc
import marshal
import os
import signal
import socket
import struct
from collections.abc import Sequence
from typing import NoReturn

from testbudget.executors.execution.languages.base import CallJob, Language, Program
from testbudget.executors.execution.processes import result_buffer
from testbudget.executors.execution.processes.process import ProcessEnd, ProcessRunner
from testbudget.executors.execution.processes.result_buffer import NO_STEP, ResultBuffer
from testbudget.executors.execution.sandbox import kernel

_REQUEST = struct.Struct("<Iid")  # steps, CPU-seconds, share of the limits; 0 steps: modules to load
_ENDED = struct.Struct("<ii?dd")  # signal, timed-out step or NO_STEP, loaded, CPU-seconds, wall-seconds
_FAILURE = b"failure: "


class CandidateForkServer:
    """Client side of the fork server, in the server process.

    Args:
        process_runner: process runner of the server process. It must not have run a test yet.
        buffer: buffer for the results of candidate processes; not the buffer of ``process_runner``.
        language: language of the candidates.

    Raises:
        OSError: no process could be forked.
    """

    def __init__(self, process_runner: ProcessRunner, buffer: ResultBuffer, language: Language) -> None:
        self._process_runner = process_runner
        self._buffer = buffer
        self._connection, inside = socket.socketpair()
        process = kernel.fork()
        if process == 0:
            self._connection.close()
            process_runner.control.close()
            process_runner.buffer.close()
            spared = (os.getppid(), os.getpid())
            own = ProcessRunner(
                inside,
                self._buffer,
                process_runner.layers,
                process_runner.limits,
                process_runner.scratch,
                process_runner.programs,
                spared,
            )
            _serve(own, language)
        inside.close()
        process_runner.spared = (process,)

    def load_modules(self, names: Sequence[str]) -> None:
        """Load modules in the fork server, so that later candidate processes inherit them.

        Args:
            names: names from `Language.slow_imports`.

        Raises:
            OSError: the fork server has ended.
        """
        self._send(_REQUEST.pack(0, 0, 0.0), marshal.dumps(list(names)))
        self._answer()

    def make_calls(
        self, jobs: Sequence[CallJob], entry_point: str | None, cpu_seconds: int, share: float
    ) -> ProcessEnd:
        """Make the calls of jobs in a new candidate process, one step for each job.

        Args:
            jobs, entry_point: as for `Language.make_calls`.
            cpu_seconds, share: as for `ProcessRunner.run`.

        Raises:
            OSError: the fork server has ended, or could not fork.
        """
        programs = {id(program): program for program, _ in jobs}
        numbers = {key: number for number, key in enumerate(programs)}
        numbered_jobs = [(numbers[id(program)], list(calls)) for program, calls in jobs]
        content = ([tuple(program) for program in programs.values()], numbered_jobs, entry_point)
        self._send(_REQUEST.pack(len(jobs), cpu_seconds, share), marshal.dumps(content))
        ended_by, step, loaded, used, wall_seconds = _ENDED.unpack(self._answer())
        steps = self._buffer.steps(len(jobs))
        timed_out_step = None if step == NO_STEP else step
        return ProcessEnd(steps, ended_by, timed_out_step, loaded, used, wall_seconds, cpu_seconds)

    def _send(self, request: bytes, content: bytes) -> None:
        reading, writing = os.pipe()
        socket.send_fds(self._connection, [request], [reading])
        os.close(reading)
        # A process that ends early has read only the beginning.
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            pipe.write(content)

    def _answer(self) -> bytes:
        try:
            while not (answer := result_buffer.receive_frame(self._connection)):
                self._process_runner.send_heartbeat()
        except EOFError:
            raise OSError("the fork server for candidates has ended") from None
        if answer.startswith(_FAILURE):
            raise OSError(
                f"the fork server could not run a candidate: {answer.removeprefix(_FAILURE).decode()}"
            )
        return answer


def _serve(process_runner: ProcessRunner, language: Language) -> NoReturn:
    """Main loop of the fork server: fork a process for each request and report its end."""
    try:
        kernel.die_with_parent(signal.SIGKILL)
        kernel.adopt_orphans()
        while True:
            request, descriptors, *_ = socket.recv_fds(process_runner.control, _REQUEST.size, 1)
            if not request:
                os._exit(0)
            steps, cpu_seconds, share = _REQUEST.unpack(request)
            (content,) = descriptors
            if steps == 0:
                language.load_modules(marshal.loads(_read_all(content)))
                result_buffer.send_frame(process_runner.control, b"loaded")
                continue
            ended = process_runner.run_without_reading(
                lambda content=content: _make_calls(  # type: ignore[misc]
                    process_runner, language, content
                ),
                steps,
                cpu_seconds,
                share,
                descriptors,
            )
            step = NO_STEP if ended.timed_out_step is None else ended.timed_out_step
            answer = _ENDED.pack(ended.signal, step, ended.loaded, ended.cpu_seconds, ended.wall_seconds)
            result_buffer.send_frame(process_runner.control, answer)
    except OSError as error:
        result_buffer.send_frame(process_runner.control, _FAILURE + str(error).encode())
    finally:
        os._exit(1)


def _make_calls(process_runner: ProcessRunner, language: Language, content: int) -> None:
    """Read programs and jobs from the pipe and make the calls; runs in the candidate process."""
    programs, numbered_jobs, entry_point = marshal.loads(_read_all(content))
    gc.freeze()
    jobs = [(Program(*programs[number]), calls) for number, calls in numbered_jobs]
    language.make_calls(process_runner.buffer, process_runner, jobs, entry_point)


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()
