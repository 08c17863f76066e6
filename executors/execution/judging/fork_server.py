"""The process that candidates are forked from. It knows no test, and no other candidate.

A forked process inherits the memory of the one that it was forked from, and a hostile candidate reads it.
So candidates do not come from the zygote, which knows all tests and results, but from a process that was
forked from it before the first block and has learned nothing since: what a candidate's process needs comes
through a pipe that only this process reads.
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

from testbudget.executors.execution.languages.base import Job, Language, Program
from testbudget.executors.execution.processes import result_buffer
from testbudget.executors.execution.processes.process import ProcessEnd, ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.executors.execution.sandbox import kernel

_ORDER = struct.Struct("<Iid")  # steps, CPU seconds, share; no steps: names of what to load
_ENDED = struct.Struct("<ii?dd")  # signal, overdue step or -1, loaded, CPU seconds, wall seconds
_NOBODY_OVERDUE = -1
_FAILURE = b"failure: "


class CandidateForkServer:
    """The zygote's side.

    Args:
        station: the zygote's own, before it has met any test.
        arena: what candidates' processes leave their results in; another than the station's.
        language: of the candidates.
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

    def load(self, names: Sequence[str]) -> None:
        """Load what coming candidates need, by name."""
        self._send(_ORDER.pack(0, 0, 0.0), marshal.dumps(list(names)))
        self._answer()

    def make_calls(
        self, jobs: Sequence[Job], entry_point: str | None, cpu_seconds: int, share: float
    ) -> ProcessEnd:
        """Have a new process make the calls of jobs; see ``Language.make_calls`` and ``ProcessRunner.run``.

        Raises:
            OSError: the nursery has ended, or could not fork.
        """
        programs = {id(program): program for program, _ in jobs}
        numbers = {key: number for number, key in enumerate(programs)}
        order = [(numbers[id(program)], list(calls)) for program, calls in jobs]
        content = ([tuple(program) for program in programs.values()], order, entry_point)
        self._send(_ORDER.pack(len(jobs), cpu_seconds, share), marshal.dumps(content))
        ended_by, timed_out_step, loaded, used, wall_seconds = _ENDED.unpack(self._answer())
        steps = self._buffer.steps(len(jobs))
        culprit = None if timed_out_step == _NOBODY_OVERDUE else timed_out_step
        return ProcessEnd(steps, ended_by, culprit, loaded, used, wall_seconds, cpu_seconds)

    def _send(self, order: bytes, content: bytes) -> None:
        reading, writing = os.pipe()
        socket.send_fds(self._connection, [order], [reading])
        os.close(reading)
        # A process that was ended early has read no more than the beginning.
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            pipe.write(content)

    def _answer(self) -> bytes:
        try:
            while not (answer := result_buffer.receive_frame(self._connection)):
                self._process_runner.send_heartbeat()
        except EOFError:
            raise OSError("the process that candidates are forked from has ended") from None
        if answer.startswith(_FAILURE):
            raise OSError(f"no candidate could be run: {answer.removeprefix(_FAILURE).decode()}")
        return answer


def _serve(process_runner: ProcessRunner, language: Language) -> NoReturn:
    """In the nursery: fork a process for each order, and tell how it ended."""
    try:
        kernel.die_with_parent(signal.SIGKILL)
        kernel.adopt_orphans()
        while True:
            order, descriptors, *_ = socket.recv_fds(process_runner.control, _ORDER.size, 1)
            if not order:
                os._exit(0)
            steps, cpu_seconds, share = _ORDER.unpack(order)
            (content,) = descriptors
            if steps == 0:
                language.load(marshal.loads(_all_of(content)))
                result_buffer.send_frame(process_runner.control, b"loaded")
                continue
            ended = process_runner.run_without_reading(
                lambda content=content: _make_calls(process_runner, language, content),  # type: ignore[misc]
                steps,
                cpu_seconds,
                share,
                descriptors,
            )
            timed_out_step = _NOBODY_OVERDUE if ended.timed_out_step is None else ended.timed_out_step
            told = _ENDED.pack(ended.signal, timed_out_step, ended.loaded, ended.cpu_seconds, ended.wall_seconds)
            result_buffer.send_frame(process_runner.control, told)
    except OSError as error:
        result_buffer.send_frame(process_runner.control, _FAILURE + str(error).encode())
    finally:
        os._exit(1)


def _make_calls(process_runner: ProcessRunner, language: Language, content: int) -> None:
    """In a candidate's process."""
    programs, order, entry_point = marshal.loads(_all_of(content))
    gc.freeze()
    jobs = [(Program(*programs[number]), calls) for number, calls in order]
    language.make_calls(process_runner.buffer, process_runner, jobs, entry_point)


def _all_of(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()
