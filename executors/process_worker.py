"""Worker in a child process of its own, whose methods are called without waiting for the answers.

The process is what frees the memory of a model, what is metered in CPU-seconds, and what a worker ends when
its lease or a time limit ends. It ends with its caller, however that ends.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe
from typing import Any

from testbudget.executors.calls import AT_ONCE, CallAnswer, Callee, WorkerDiedError
from testbudget.executors.execution.sandbox_process import IMPORT_DIRECTORY, entry_code

_CODE = entry_code("testbudget.executors.process_worker", "serve")
_MAX_CHARACTERS = 300


class ProcessWorker:
    """The caller's side of a worker. Use it from one thread, and end it.

    Args:
        make: creates the worker in its process; sent there, so made of names that can be imported.
        environment: further environment variables of the process.
    """

    def __init__(self, make: Callable[[], Any], environment: Mapping[str, str] | None = None) -> None:
        self._numbers = itertools.count()
        self._lock = threading.Lock()  # of the two attributes below
        self._calls: dict[int, Future[CallAnswer]] = {}
        self._ended: str | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``end``
        self._connection, inside = Pipe()
        with inside:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CODE, str(inside.fileno()), IMPORT_DIRECTORY],
                pass_fds=(inside.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C reaches the caller alone, which ends this process
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._send(sys.path)
        self._send(make)

    def call(self, method: str, *arguments: Any) -> Future[CallAnswer]:
        """Call a method of the worker.

        Asynchronous methods run concurrently, others one by one; ``lease`` and ``report`` wait for none.

        Returns:
            The future answer, or a WorkerDiedError.
        """
        future: Future[CallAnswer] = Future()
        with self._lock:
            if self._ended is not None:
                future.set_exception(WorkerDiedError(self._ended))
                return future
            number = next(self._numbers)
            self._calls[number] = future
        self._send((number, method, arguments))
        return future

    def end(self) -> None:
        """End the process and all that it has started. Calls in progress raise WorkerDiedError."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join()
        self._connection.close()
        self._errors.close()

    def _send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # a process that has ended shows when it is read from
            self._connection.send(message)

    def _read(self) -> None:
        try:
            while True:
                number, answered = self._connection.recv()
                with self._lock:
                    future = self._calls.pop(number)
                future.set_result(answered)
        except (EOFError, OSError):
            status = self._process.wait()
        with self._lock:
            self._ended = self._last_words() or f"its process ended with status {status}"
            calls, self._calls = self._calls, {}
        for future in calls.values():
            future.set_exception(WorkerDiedError(self._ended))

    def _last_words(self) -> str:
        """Last line that the process has written to its standard error."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip()[:_MAX_CHARACTERS] for line in reversed(lines) if line.strip()), "")


def serve() -> None:
    """Main function of a worker's process; the descriptor of its connection is ``sys.argv[1]``."""
    connection = Connection(int(sys.argv[1]))
    try:
        sys.path[:] = connection.recv()
        callee = Callee(connection.recv()())
        asyncio.run(_serve(connection, callee))
    except (EOFError, OSError):
        os._exit(0)  # the caller has ended; a thread may be in a computation


async def _serve(connection: Connection, callee: Callee) -> None:
    loop = asyncio.get_running_loop()
    reader, thread = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
    tasks: set[asyncio.Task[None]] = set()

    async def serve_call(number: int, method: str, arguments: tuple[Any, ...]) -> None:
        if callee.later:
            answered = await callee.answer_later(method, arguments)
        elif method in AT_ONCE:
            answered = callee.answer(method, arguments)
        else:
            answered = await loop.run_in_executor(thread, callee.answer, method, arguments)
        try:
            connection.send((number, answered))
        except OSError:
            os._exit(0)  # the caller has ended

    while True:
        task = asyncio.create_task(serve_call(*await loop.run_in_executor(reader, connection.recv)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
