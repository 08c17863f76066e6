"""Work of processes: calls of methods of a `Language`, sent to a process as bytes.

A program is sent as the text that `Language.decode_program` reads.
"""

import marshal
import os
from collections.abc import Callable, Sequence
from typing import Any

from testbudget.executors.execution.judging.checker_run import CHECK, check_output
from testbudget.executors.execution.languages.base import (
    CallJobs,
    CallPath,
    Connection,
    Language,
    Source,
)
from testbudget.executors.execution.processes.process import DoWork, ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import TestKind

_Carrier = Callable[[Language, ProcessRunner, ResultBuffer, Sequence[int], Any], None]


def to_do_work(language: Language) -> DoWork:
    """Function that does work in a language."""

    def do_work(
        process_runner: ProcessRunner, buffer: ResultBuffer, content: bytes, descriptors: Sequence[int]
    ) -> None:
        method, *arguments = marshal.loads(content)
        if method == CHECK:
            text, texts, trusted = arguments
            check_output(buffer, text, texts, trusted=trusted)
            return
        _CARRIERS[method](language, process_runner, buffer, descriptors, arguments)

    return do_work


def compile_sources(sources: Sequence[Source], entry_point: str | None) -> bytes:
    """Work that calls `Language.compile_sources`."""
    plain = [(text, None if kind is None else str(kind)) for text, kind in sources]
    return marshal.dumps(("compile_sources", plain, entry_point))


def make_calls(candidate: bytes, jobs: int, entry_point: str | None) -> bytes:
    """Work that calls `Language.make_calls`; the calls of each of its jobs are the parts of a step."""
    return marshal.dumps(("make_calls", candidate, jobs, entry_point))


def judge(replays: Sequence[tuple[bytes, CallPath]]) -> bytes:
    """Work that calls `Language.judge`."""
    texts = list(dict.fromkeys(text for text, _ in replays))
    numbers = {text: number for number, text in enumerate(texts)}
    paths = [(numbers[text], [tuple(step) for step in path]) for text, path in replays]
    return marshal.dumps(("judge", texts, paths))


def judge_objects(test: bytes, entry_point: str | None) -> bytes:
    """Work that calls `Language.judge_objects`, with the connection as descriptors."""
    return marshal.dumps(("judge_objects", test, entry_point))


def serve_objects(candidate: bytes, entry_point: str | None) -> bytes:
    """Work that calls `Language.serve_objects`, with the connection as descriptors."""
    return marshal.dumps(("serve_objects", candidate, entry_point))


def object_state(candidate: bytes, script: str, entry_point: str | None) -> bytes:
    """Work that calls `Language.object_state`."""
    return marshal.dumps(("object_state", candidate, script, entry_point))


def judge_in_same_process(candidate: bytes, test: bytes, entry_point: str | None) -> bytes:
    """Work that calls `Language.judge_in_same_process` with one test."""
    return marshal.dumps(("judge_in_same_process", candidate, test, entry_point))


def run_program() -> bytes:
    """Work that calls `Language.run_program`, with three streams and the artefact as descriptors."""
    return marshal.dumps(("run_program",))


def _run_program(
    language: Language,
    process_runner: ProcessRunner,
    buffer: ResultBuffer,
    descriptors: Sequence[int],
    _: Any,
) -> None:
    *streams, artefact = descriptors
    for place, descriptor in enumerate(streams):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.set_inheritable(artefact, False)  # its position is shared by all runs of the candidate
    buffer.begin(0)
    buffer.close()
    status = 1
    try:
        status = language.run_program(process_runner, artefact)
    finally:
        os._exit(status)


def _compile_sources(
    language: Language, _: ProcessRunner, buffer: ResultBuffer, __: Sequence[int], arguments: Any
) -> None:
    plain, entry_point = arguments
    sources = [Source(text, None if kind is None else TestKind(kind)) for text, kind in plain]
    language.compile_sources(buffer, sources, entry_point)


def _make_calls(
    language: Language,
    process_runner: ProcessRunner,
    buffer: ResultBuffer,
    _: Sequence[int],
    arguments: Any,
) -> None:
    candidate, jobs, entry_point = arguments
    assert process_runner.parts is not None
    program = language.decode_program(candidate)
    language.make_calls(buffer, process_runner, CallJobs(program, jobs, process_runner.parts), entry_point)


def _judge(
    language: Language, _: ProcessRunner, buffer: ResultBuffer, __: Sequence[int], arguments: Any
) -> None:
    texts, paths = arguments
    programs = [language.decode_program(text) for text in texts]
    language.judge(buffer, [(programs[number], path) for number, path in paths])


def _judge_objects(
    language: Language, _: ProcessRunner, buffer: ResultBuffer, descriptors: Sequence[int], arguments: Any
) -> None:
    test, entry_point = arguments
    connection = Connection(*descriptors)
    if not language.judge_objects(buffer, connection, language.decode_program(test), entry_point):
        os._exit(0)
    for descriptor in connection:
        os.close(descriptor)


def _serve_objects(
    language: Language, _: ProcessRunner, buffer: ResultBuffer, descriptors: Sequence[int], arguments: Any
) -> None:
    candidate, entry_point = arguments
    language.serve_objects(
        buffer, Connection(*descriptors), language.decode_program(candidate), entry_point
    )


def _object_state(
    language: Language, _: ProcessRunner, buffer: ResultBuffer, __: Sequence[int], arguments: Any
) -> None:
    candidate, script, entry_point = arguments
    language.object_state(buffer, language.decode_program(candidate), script, entry_point)


def _judge_in_same_process(
    language: Language,
    process_runner: ProcessRunner,
    buffer: ResultBuffer,
    _: Sequence[int],
    arguments: Any,
) -> None:
    candidate, test, entry_point = arguments
    language.judge_in_same_process(
        buffer,
        process_runner,
        language.decode_program(candidate),
        [language.decode_program(test)],
        entry_point,
    )


_CARRIERS: dict[str, _Carrier] = {
    "compile_sources": _compile_sources,
    "make_calls": _make_calls,
    "judge": _judge,
    "judge_objects": _judge_objects,
    "serve_objects": _serve_objects,
    "object_state": _object_state,
    "judge_in_same_process": _judge_in_same_process,
    "run_program": _run_program,
}
