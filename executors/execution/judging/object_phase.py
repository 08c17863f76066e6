"""Object phase: a test and a candidate in two processes, joined by two pipes, watched together."""

import contextlib
import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbudget.executors.execution.judging import work
from testbudget.executors.execution.judging.engine_reasons import (
    NO_OBJECTS,
    NO_STATE,
    cpu_limit_reason,
    reason_of_end,
)
from testbudget.executors.execution.judging.pair_table import Pair, PairTable
from testbudget.executors.execution.judging.program_cache import CompiledProgram
from testbudget.executors.execution.languages.base import Language
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.kernel_counters import (
    AFTER_VERY_MUCH,
    CounterNoise,
    noise_since,
    read_counters,
)
from testbudget.executors.execution.processes.live_process import LimitKind, ProcessEnd
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.result_buffer import (
    failure_verdict,
    message_verdict,
    parse_message,
)
from testbudget.executors.execution.processes.staying_process import StayingProcess
from testbudget.executors.execution.processes.supervisor import Supervisor
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason

_MAX_STATES = 64  # pairs of objects of one test whose states are compared
_STATES_OF_SCRIPT = 2  # processes that repeat each script


@dataclass(frozen=True, slots=True)
class ObjectPhase:
    """Object phase of a block.

    Attributes:
        language: language of candidates and tests.
        trust: trust in the authors of the candidates.
        supervisor: watches the processes.
        judge_server, candidate_server: sources of judge processes and of candidate processes.
        judge_process: judges pairs, one after the other, as long as it is as new.
        candidates, tests: programs that compile, by position in the block.
        entry_point: name that each candidate must define; None if unknown.
        pair_table: receives verdicts and costs.
    """

    language: Language
    trust: Trust
    supervisor: Supervisor
    judge_server: ForkServer
    candidate_server: ForkServer
    judge_process: StayingProcess
    candidates: Mapping[int, CompiledProgram]
    tests: Mapping[int, CompiledProgram]
    entry_point: str | None
    pair_table: PairTable

    def judge(self, pair: Pair, reason: VerdictReason | None, *, full: bool) -> None:
        """Set the verdict of a pair, or mark it as slow.

        Args:
            pair: an open pair.
            reason: why plain data are not enough.
            full: True to let the pair reach its full limit.
        """
        if self.language.judges_objects:
            self._judge_through_pipes(pair, full=full)
        else:
            self.pair_table.close([pair], Verdict.UNCONFIRMED, reason or NO_OBJECTS)
        state = self.pair_table[pair]
        honest = self.trust is Trust.HONEST and self.language.judges_in_same_process
        if state.verdict == Verdict.UNCONFIRMED and honest:
            self._judge_in_same_process(pair)

    def _judge_through_pipes(self, pair: Pair, *, full: bool) -> None:
        directory, layers = self.supervisor.directory, self.supervisor.layers
        before = read_counters(directory, layers)
        ends = self._run_both(pair, full=full)
        if ends is None:
            return
        judged, served = ends
        match self._message(judged):
            case [StepMessage.VERDICT, int(verdict), _, reason]:
                self.pair_table.close([pair], message_verdict(verdict), VerdictReason.from_message(reason))
            case [StepMessage.NOT_LOADED, int(verdict), reason]:
                self.pair_table.close([pair], failure_verdict(verdict), VerdictReason.from_message(reason))
            case [StepMessage.IF_EQUAL, list(equal), reason, *rest]:
                (different,) = rest or ([],)
                noise = noise_since(before, read_counters(directory, layers))
                if noise is None:
                    AFTER_VERY_MUCH.add(directory)
                if noise is not None and self._have_states(pair, equal, different, noise):
                    self.pair_table.close([pair], Verdict.PASSED)
                else:
                    found = VerdictReason.from_message(reason) or NO_STATE
                    self.pair_table.close([pair], Verdict.UNCONFIRMED, found)
            case _:
                # If the candidate has ended first, the judge may have ended for that reason.
                ended = served if served.limit is not None or served.signal else judged
                self.pair_table.close([pair], *reason_of_end(ended, self._limits))
        self.pair_table[pair].loaded |= served.loaded

    def _run_both(self, pair: Pair, *, full: bool) -> Sequence[ProcessEnd] | None:
        """Ends of judge process and candidate process; None if a limit has decided the pair already."""
        candidate, test = pair
        for_both = self.pair_table.cpu_limit(candidate)
        for_judging = math.ceil(self._limits.cpu_seconds)
        for_serving = max(1, for_both - for_judging)
        if for_both == 0:
            self.pair_table.close([pair], Verdict.TIMED_OUT, cpu_limit_reason(self._limits))
            return None
        serving = work.serve_objects(self.candidates[candidate].text, self.entry_point)
        judging = work.judge_objects(self.tests[test].text, self.entry_point)
        with _two_pipes() as (for_judge, for_candidate):
            server = self.candidate_server.start(Work(serving, 1, for_serving, descriptors=for_candidate))
            judge = self.judge_process.start(Work(judging, 1, for_judging, descriptors=for_judge))
        first_limit = self.pair_table.first_limit(test)
        limit = self.supervisor.watch(judge, server, first_limit=None if full else lambda _: first_limit)
        ends = self.judge_process.end(server, limit=limit)
        for ended in ends:
            self.pair_table.charge([pair], ended)
        used = sum(ended.cpu_seconds for ended in ends)
        if limit is LimitKind.FIRST:
            self.pair_table.mark_slow(pair, used)
        elif limit is not None:
            self.pair_table.close([pair], *reason_of_end(ends[0], self._limits))
        else:
            self.pair_table.record_finished(test, used)
            return ends
        return None

    def _have_states(
        self, pair: Pair, equal: Sequence[Any], different: Sequence[Any], noise: CounterNoise
    ) -> bool:
        """Return whether the objects of pairs of scripts have equal states, those of others different ones.

        A script without a state is neither equal nor different. Each script is repeated in two processes,
        all of them in an order left to chance: a candidate that knows how many have run before, such as by
        the number of its process, knows nothing. Noise hides what the judged run has left in such numbers.
        """
        compared = [*((two, True) for two in equal), *((two, False) for two in different)]
        if not 0 < len(compared) <= _MAX_STATES or not all(
            map(_are_two_texts, (two for two, _ in compared))
        ):
            return False
        scripts = list(dict.fromkeys(script for two, _ in compared for script in two)) * _STATES_OF_SCRIPT
        random.SystemRandom().shuffle(scripts)
        states: dict[str, bytes] = {}
        for script in scripts:
            noise.add(self.supervisor.directory)
            state = self._state(pair, script)
            if state is None or states.setdefault(script, state) != state:
                return False
        return all((states[first] == states[second]) == alike for (first, second), alike in compared)

    def _state(self, pair: Pair, script: str) -> bytes | None:
        """State of an object in a candidate process that has done nothing else; None if there is none."""
        program = self.candidates[pair[0]].text
        ended = self._run(pair, self.candidate_server, work.object_state(program, script, self.entry_point))
        if ended is None or not ended.by_itself:
            return None
        (step,) = ended.steps
        return step.texts[0] if step.finished and len(step.texts) == 1 else None

    def _judge_in_same_process(self, pair: Pair) -> None:
        candidate, test = self.candidates[pair[0]].text, self.tests[pair[1]].text
        both = work.judge_in_same_process(candidate, test, self.entry_point)
        ended = self._run(pair, self.judge_server, both)
        if ended is None:
            return
        match self._message(ended):
            case [StepMessage.VERDICT, int(verdict), _, reason]:
                found = message_verdict(verdict), VerdictReason.from_message(reason)
            case [StepMessage.NOT_LOADED, int(verdict), reason]:
                found = failure_verdict(verdict), VerdictReason.from_message(reason)
            case _:
                found = reason_of_end(ended, self._limits)
        self.pair_table.replace(pair, *found)

    def _run(self, pair: Pair, fork_server: ForkServer, content: bytes) -> ProcessEnd | None:
        """End of a further process for a pair; None if the candidate has no CPU time left."""
        cpu_seconds = self.pair_table.cpu_limit(pair[0])
        if cpu_seconds == 0:
            return None
        ended = fork_server.run(Work(content, 1, cpu_seconds))
        self.pair_table.charge([pair], ended)
        return ended

    @property
    def _limits(self) -> TestLimits:
        return self.supervisor.limits

    def _message(self, ended: ProcessEnd) -> list[Any]:
        """Message of the only step; empty unless the process has ended by itself."""
        (step,) = ended.steps
        return parse_message(step.texts[0]) if ended.by_itself and step.finished and step.texts else []


def _are_two_texts(value: Any) -> bool:
    return isinstance(value, list) and [*map(type, value)] == [str, str]


@contextlib.contextmanager
def _two_pipes() -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Reading and writing ends of two processes, closed in this one at the end of the context."""
    judge_reads, candidate_writes = os.pipe()
    candidate_reads, judge_writes = os.pipe()
    try:
        yield (judge_reads, judge_writes), (candidate_reads, candidate_writes)
    finally:
        for descriptor in (judge_reads, candidate_writes, candidate_reads, judge_writes):
            os.close(descriptor)
