"""Judgement of one pair by the processes of the JavaScript language alone, without a sandbox or a runner.

For programs that the tests themselves hold, and that are known to be harmless.
"""

import json
import os
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.base import Connection, Program, Source
from testbudget.executors.execution.languages.javascript.language import JavaScript
from testbudget.executors.execution.processes.result_buffer import ResultBuffer, parse_message
from testbudget.rewards.problem import TestKind

LANGUAGE = JavaScript()


class NodeProcess:
    """Forked process that performs step 0 of a method of the language."""

    def __init__(self, work: Callable[[ResultBuffer], None], *unrelated: int) -> None:
        self._buffer = ResultBuffer()
        self._buffer.clear()
        self._process = os.fork()
        if self._process == 0:
            try:
                for descriptor in unrelated:
                    os.close(descriptor)
                work(self._buffer)
            finally:
                os._exit(70)

    def texts(self, steps: int = 1) -> list[list[bytes]]:
        """Wait for the end of the process; return the texts of each step."""
        os.waitpid(self._process, 0)
        results = self._buffer.steps(steps)
        self._buffer.close()
        return [result.texts for result in results]


def compile_pair(
    candidate: str, test: str, kind: TestKind = TestKind.ASSERT, entry_point: str | None = None
) -> tuple[Program, Program]:
    """Compile a candidate and a test."""
    sources = [Source(candidate, None), Source(test, kind)]
    process = NodeProcess(lambda buffer: LANGUAGE.compile_sources(buffer, sources, entry_point))
    compiled = [LANGUAGE.decode_program(texts[0]) for texts in process.texts(2)]
    return compiled[0], compiled[1]


def judge_objects(
    candidate: str, test: str, kind: TestKind = TestKind.ASSERT, entry_point: str | None = None
) -> list[Any]:
    """Judge a pair through handles; return the step message of the judge process."""
    programs = compile_pair(candidate, test, kind, entry_point)
    to_judge, from_candidate = os.pipe()
    to_candidate, from_judge = os.pipe()
    serving = NodeProcess(
        lambda buffer: LANGUAGE.serve_objects(
            buffer, Connection(to_candidate, from_candidate), programs[0], entry_point
        ),
        to_judge,
        from_judge,
    )
    judging = NodeProcess(
        lambda buffer: LANGUAGE.judge_objects(
            buffer, Connection(to_judge, from_judge), programs[1], entry_point
        ),
        to_candidate,
        from_candidate,
    )
    for descriptor in (to_judge, from_candidate, to_candidate, from_judge):
        os.close(descriptor)
    texts = judging.texts()[0]
    serving.texts()
    return parse_message(texts[0]) if texts else []


def object_state(candidate: str, script: str, entry_point: str | None = None) -> str | None:
    """State of an object that a script makes; None if it has none."""
    programs = compile_pair(candidate, "", TestKind.ASSERT, entry_point)
    process = NodeProcess(lambda buffer: LANGUAGE.object_state(buffer, programs[0], script, entry_point))
    texts = process.texts()[0]
    return texts[0].decode() if texts else None


def judge_plain_calls(
    candidate: str, test: str, kind: TestKind = TestKind.ASSERT, entry_point: str | None = None
) -> list[Any]:
    """Judge a pair by rounds of calls and replays; return the last step message of the judge process."""
    programs = compile_pair(candidate, test, kind, entry_point)
    path: list[tuple[str, str]] = []
    while True:
        judging = NodeProcess(lambda buffer: LANGUAGE.judge(buffer, [(programs[1], path)]))
        texts = [text.decode() for text in judging.texts()[0]]
        message = json.loads(texts[0]) if texts else []
        if message[:1] != ["m"]:
            return message
        calls = texts[1:]
        calling = NodeProcess(
            lambda buffer, calls=calls: LANGUAGE.make_calls(  # type: ignore[misc]
                buffer,
                None,
                [(programs[0], calls)],
                entry_point,  # type: ignore[arg-type]
            )
        )
        results = [text.decode() for text in calling.texts()[0]]
        path = list(zip(calls, results, strict=False))


def confirmed(message: list[Any], candidate: str, entry_point: str | None = None) -> list[Any]:
    """Step message, with the verdict that the states of compared objects give."""
    if message[:1] != ["s"]:
        return message
    states = [[object_state(candidate, script, entry_point) for script in pair] for pair in message[1]]
    equal = all(one is not None and one == other for one, other in states)
    return ["v", 1, 0, None] if equal else ["v", 6, 0, message[2]]
