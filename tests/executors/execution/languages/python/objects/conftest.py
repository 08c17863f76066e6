"""Pairs of a judge process and a candidate process, without a sandbox around them."""

import json
import os
from collections.abc import Callable
from typing import NamedTuple

import pytest

from testbudget.executors.execution.languages.base import Connection, Program, Source
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.languages.python import interpreter, programs
from testbudget.executors.execution.languages.python.language import Python
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import TestKind, Verdict
from testbudget.rewards.verdict_reason import VerdictReason


class Judged(NamedTuple):
    """Verdict of a pair.

    Attributes:
        verdict: the verdict, after the states of compared objects were read.
        sentence: sentence of its reason; empty if there is none.
    """

    verdict: Verdict
    sentence: str


class Pairs:
    """Processes that judge pairs of harmless programs."""

    def __init__(self) -> None:
        self._language = Python()
        interpreter.preload()

    def judge(
        self, candidate: str, test: str, kind: str = "unittest", entry_point: str | None = None
    ) -> Judged:
        """Judge one pair."""
        program = _program(candidate, None, entry_point)
        message = self._message(program, _program(test, TestKind(kind), entry_point), entry_point)
        if message[0] == StepMessage.IF_EQUAL:
            _, equal, reason, different = message
            if self._have_states(program, equal, different, entry_point):
                return Judged(Verdict.PASSED, "")
            return Judged(Verdict.UNCONFIRMED, reason[0])
        found = VerdictReason.from_message(message[-1])
        return Judged(Verdict(message[1]), "" if found is None else found.sentence)

    def _message(self, candidate: Program, test: Program, entry_point: str | None) -> list:
        to_candidate, to_judge = os.pipe(), os.pipe()
        buffers = ResultBuffer(), ResultBuffer()
        here = Connection(to_judge[0], to_candidate[1])
        there = Connection(to_candidate[0], to_judge[1])
        judge = _fork(
            here, there, lambda: self._language.judge_objects(buffers[0], here, test, entry_point)
        )
        server = _fork(
            there, here, lambda: self._language.serve_objects(buffers[1], there, candidate, entry_point)
        )
        for descriptor in (*to_candidate, *to_judge):
            os.close(descriptor)
        for process in (judge, server):
            os.waitpid(process, 0)
        return _texts(buffers)[0]

    def _have_states(
        self, candidate: Program, equal: list, different: list, entry_point: str | None
    ) -> bool:
        states = {
            script: self._state(candidate, script, entry_point)
            for pair in equal + different
            for script in pair
        }
        return all(
            states[one] is not None and states[one] == states[other] for one, other in equal
        ) and all(
            None not in {states[one], states[other]} and states[one] != states[other]
            for one, other in different
        )

    def _state(self, candidate: Program, script: str, entry_point: str | None) -> bytes | None:
        buffer = ResultBuffer()
        nothing = Connection(-1, -1)
        process = _fork(
            nothing, nothing, lambda: self._language.object_state(buffer, candidate, script, entry_point)
        )
        os.waitpid(process, 0)
        texts = buffer.steps(1)[0].texts
        buffer.close()
        return texts[0] if texts else None


def _program(text: str, kind: TestKind | None, entry_point: str | None) -> Program:
    packed = programs.compile_source(Source(text, kind), entry_point)
    assert packed is not None, text
    return programs.unpack_program(packed)


def _fork(kept: Connection, closed: Connection, work: Callable[[], None]) -> int:
    process = os.fork()
    if process:
        return process
    try:
        for descriptor in closed:
            if descriptor >= 0:
                os.close(descriptor)
        work()
    finally:
        os._exit(0)


def _texts(buffers: tuple[ResultBuffer, ...]) -> list[list]:
    texts = [buffer.steps(1)[0].texts for buffer in buffers]
    for buffer in buffers:
        buffer.close()
    return [
        json.loads(found[0]) if found else [StepMessage.VERDICT, Verdict.KILLED, None] for found in texts
    ]


@pytest.fixture(scope="session")
def pairs() -> Pairs:
    """Judge of pairs."""
    return Pairs()
