"""Call phase: candidates make calls, each in processes of its own, and the results are stored."""

import itertools
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from testbudget.executors.execution.judging import work
from testbudget.executors.execution.judging.engine_reasons import cpu_limit_reason, reason_of_end
from testbudget.executors.execution.judging.loopers import Loopers, StoppedProcess
from testbudget.executors.execution.judging.pair_table import Pair, PairTable, TextTable
from testbudget.executors.execution.judging.program_cache import CompiledProgram
from testbudget.executors.execution.languages.messages import OPAQUE_RESULT, ResultKind, StepMessage
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.live_process import LimitKind, LiveProcess, ProcessEnd
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.result_buffer import (
    StepResult,
    failure_verdict,
    parse_message,
)
from testbudget.executors.execution.processes.supervisor import Supervisor
from testbudget.executors.execution.values import LONGEST_TEXT
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason

_MAX_JOBS = 256  # of one process; the remaining ones are sent again if a job ends the process
_MAX_CHARACTERS = 128 << 20  # of a block's results; beyond, results longer than _LONG are dropped
_LONG = 4096
_NOT_LOADED = f'["{StepMessage.NOT_LOADED}"'.encode()

CallPlan = Mapping[Pair, Sequence[int]]
"""Calls of each pair, by position in the block's texts, with the pairs of one candidate side by side."""


@dataclass(frozen=True, slots=True)
class CallPhase:
    """Call phase of a block.

    Attributes:
        supervisor: watches the processes.
        fork_server: source of the candidate processes.
        programs: candidates that compile, by position in the block.
        entry_point: name that each candidate must define; None if unknown.
        pair_table: receives the calls of each pair and their cost.
        calls, results: texts of all calls and of all results.
        loopers: receives processes that have reached their first limit.
    """

    supervisor: Supervisor
    fork_server: ForkServer
    programs: Mapping[int, CompiledProgram]
    entry_point: str | None
    pair_table: PairTable
    calls: TextTable
    results: TextTable
    loopers: Loopers

    def make_calls(self, call_plan: CallPlan, *, full: bool) -> None:
        """Make the planned calls, in as many processes as needed.

        Each candidate has processes of its own; one that is not self-contained has one for each test. A
        pair that reaches its first limit is marked as slow. The test may turn out not to need the call that
        takes so long.

        Args:
            call_plan: the calls.
            full: True to let every pair reach its full limit.
        """
        for candidate, group in itertools.groupby(call_plan, key=operator.itemgetter(0)):
            pairs = list(group)
            batches = (
                [pairs] if self.programs[candidate].program.self_contained else [[pair] for pair in pairs]
            )
            for batch in batches:
                remaining = batch
                while remaining := [pair for pair in remaining if self._is_due(pair)]:
                    remaining = (
                        self._make_some_calls(remaining[:_MAX_JOBS], call_plan, full=full)
                        + (remaining[_MAX_JOBS:])
                    )

    def finish(self, pair: Pair, planned: Sequence[int]) -> None:
        """Make the calls of a slow pair with the full limit, in its stopped process if it is still there.

        Args:
            pair: a slow pair.
            planned: its calls.
        """
        self.pair_table.mark_resumed(pair)
        looper = self.loopers.take(pair)
        if looper is None:
            self.make_calls({pair: planned}, full=True)
            return
        looper.process.resume()
        limit = self.supervisor.watch(
            looper.process, first_limit=lambda step: math.inf if step <= looper.step else 0.0
        )
        (ended,) = self.supervisor.end(looper.process, limit=limit)
        step = ended.steps[looper.step]
        rest = ended._replace(
            steps=[StepResult([], True, 0.0, 0.0)],
            cpu_seconds=max(0.0, ended.cpu_seconds - looper.cpu_seconds),
            wall_seconds=max(0.0, ended.wall_seconds - looper.wall_seconds),
        )
        self.pair_table.charge([pair], rest)
        self._record_calls(pair, planned, step)
        self.pair_table[pair].loaded |= ended.loaded
        if not step.finished:
            self._record_end(pair, planned, ended)

    def _is_due(self, pair: Pair) -> bool:
        table = self.pair_table
        return table.is_open(pair) and not table.is_slow(pair) and not table.is_held(pair[0])

    def _make_some_calls(self, pairs: list[Pair], call_plan: CallPlan, *, full: bool) -> list[Pair]:
        """Make calls in one process; return the pairs that need another one."""
        candidate, _ = pairs[0]
        cpu_seconds = self.pair_table.cpu_limit(candidate)
        if cpu_seconds == 0:
            self.pair_table.close(pairs, Verdict.TIMED_OUT, cpu_limit_reason(self.supervisor.limits))
            return []
        calls = [[self._call(position) for position in call_plan[pair]] or [b""] for pair in pairs]
        content = work.make_calls(self.programs[candidate].text, len(pairs), self.entry_point)
        process = self.fork_server.start(Work(content, len(pairs), cpu_seconds, parts=calls))

        def first_limit(step: int) -> float:
            return self.pair_table.first_limit(pairs[min(step, len(pairs) - 1)][1])

        limit = self.supervisor.watch(process, first_limit=None if full else first_limit)
        if limit is LimitKind.FIRST:
            return self._record_slow(process, pairs, call_plan)
        (ended,) = self.supervisor.end(process, limit=limit)
        self.pair_table.charge(pairs, ended)
        return pairs[self._record(pairs, ended, call_plan) :]

    def _record_slow(self, process: LiveProcess, pairs: list[Pair], call_plan: CallPlan) -> list[Pair]:
        """Stop a process at its first limit; return the pairs behind the slow one."""
        process.stop()
        so_far = process.so_far(LimitKind.FIRST)
        self.pair_table.charge(pairs, so_far)
        finished = self._record_finished(pairs, so_far, call_plan)
        if finished == len(pairs):  # it finished while it was being stopped
            self.supervisor.end(process, limit=LimitKind.FIRST)
            return []
        slow = pairs[finished]
        self._record_calls(slow, call_plan[slow], so_far.steps[finished])
        self.pair_table[slow].loaded |= so_far.loaded
        self.pair_table.mark_slow(slow, self.pair_table[slow].cpu_seconds)
        self.loopers.keep(slow, StoppedProcess(process, finished, so_far.cpu_seconds, so_far.wall_seconds))
        return pairs[finished + 1 :]

    def _record(self, pairs: Sequence[Pair], ended: ProcessEnd, call_plan: CallPlan) -> int:
        """Record the results of a process; return the number of pairs that need no other process."""
        finished = self._record_finished(pairs, ended, call_plan)
        if finished == len(pairs) or (finished and ended.by_itself):
            return finished  # the process could not be reused, or the buffer was full: repeat the step
        pair = pairs[finished]
        self._record_calls(pair, call_plan[pair], ended.steps[finished])
        self.pair_table[pair].loaded |= ended.loaded
        self._record_end(pair, call_plan[pair], ended)
        return finished + 1

    def _record_finished(self, pairs: Sequence[Pair], ended: ProcessEnd, call_plan: CallPlan) -> int:
        """Record the results of the first steps, as far as they have finished; return their number."""
        for number, (pair, step) in enumerate(zip(pairs, ended.steps, strict=True)):
            if not step.finished:
                return number
            self._record_calls(pair, call_plan[pair], step)
        return len(pairs)

    def _record_calls(self, pair: Pair, planned: Sequence[int], step: StepResult) -> None:
        state = self.pair_table[pair]
        if step.texts and step.texts[0].startswith(_NOT_LOADED):
            _, *failure = parse_message(step.texts[0]) or [None]
            reason = VerdictReason.from_message(failure[1]) if len(failure) > 1 else None
            self.pair_table.close([pair], failure_verdict(*failure), reason)
            return
        state.calls = list(zip(planned, map(self._stored, step.texts), strict=False))
        state.loaded |= step.finished or bool(step.texts)
        if step.finished:
            self.pair_table.record_finished(pair[1], step.cpu_seconds)

    def _record_end(self, pair: Pair, planned: Sequence[int], ended: ProcessEnd) -> None:
        """Record that a process ended while it made the calls of a pair."""
        state = self.pair_table[pair]
        verdict, reason = reason_of_end(ended, self.supervisor.limits)
        if verdict == Verdict.TIMED_OUT:
            self.pair_table.record_timeout(pair)
        if not state.loaded:
            self.pair_table.close_unloaded(pair, verdict, reason)
        elif len(state.calls) < len(planned):
            state.end_reason = reason
            ending = self.results.position(f'["{ResultKind.ENDED}",{verdict:d}]')
            state.calls.append((planned[len(state.calls)], ending))

    def _call(self, position: int) -> bytes:
        return self.calls.texts[position].encode("utf-8", "surrogatepass")

    def _stored(self, text: bytes) -> int:
        """Position of a result; that of an opaque result if it is too long."""
        too_much = len(text) > _LONG and self.results.characters > _MAX_CHARACTERS
        if too_much or len(text) > 2 * LONGEST_TEXT:
            return self.results.position(OPAQUE_RESULT)
        return self.results.position(text.decode("utf-8", "replace"))
