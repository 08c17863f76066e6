"""Phases of a block: candidates make calls, tests are replayed on the results.

Candidates run in candidate processes, tests in judge processes. Only plain data passes between the two.
"""

import itertools
import operator
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from testbudget.executors.execution.judging.fork_server import CandidateForkServer
from testbudget.executors.execution.judging.pair_table import (
    Call,
    Pair,
    PairTable,
    PendingPath,
    TestOutcome,
    TextTable,
)
from testbudget.executors.execution.languages.base import (
    OPAQUE_RESULT,
    CallPath,
    Language,
    Program,
    ResultKind,
    StepMessage,
)
from testbudget.executors.execution.limits import next_cpu_limit
from testbudget.executors.execution.processes.process import ProcessEnd, ProcessRunner
from testbudget.executors.execution.processes.result_buffer import (
    failure_verdict,
    message_verdict,
    parse_message,
)
from testbudget.executors.execution.values import LONGEST_TEXT
from testbudget.rewards.problem import Verdict

_DRY_RUN_SHARE = 0.01  # of the time limits, for calls that a test might turn out not to need
_SLOW_CANDIDATES = 2  # a call that is too slow for this many candidates is not tried with others
_MAX_JOBS = 256  # of one process; the remaining ones are sent again if a job ends the process
_MAX_CHARACTERS = 128 << 20  # of a block's results; beyond, results longer than _LONG are dropped
_LONG = 4096
_NOT_LOADED = f'["{StepMessage.NOT_LOADED}"'.encode()


@dataclass(frozen=True, slots=True)
class CallPhase:
    """Call phase: candidates make calls, and the results are stored.

    Attributes:
        fork_server: source of the candidate processes.
        entry_point: name that each candidate must define; None if unknown.
        pair_table: receives the calls of each pair and their cost.
        calls, results: texts of all calls and of all results.
    """

    fork_server: CandidateForkServer
    entry_point: str | None
    pair_table: PairTable
    calls: TextTable
    results: TextTable

    def make_calls(
        self, programs: Mapping[int, Program], call_plan: Mapping[Pair, Sequence[int]], *, predicted: bool
    ) -> None:
        """Make the planned calls, in as many processes as needed.

        Self-contained, side-effect-free candidates share processes. Any other candidate has a process of
        its own, and one that is not self-contained has a process for each test.

        Args:
            programs: candidates, by position in the block.
            call_plan: calls of each pair, with the pairs of one candidate next to each other.
            predicted: True if the calls come from dry runs, so that tests might not need them. Each of them
                has only 1 % of the time limit. A candidate does not repeat a call that exceeds this share.
                After two candidates have exceeded it with the same call, no other candidate makes it.
        """
        groups: list[list[Pair]] = [[]]
        for candidate, pairs in itertools.groupby(call_plan, key=operator.itemgetter(0)):
            program = programs[candidate]
            if program.self_contained and program.side_effect_free:
                groups[0] += pairs
            elif program.self_contained:
                groups.append(list(pairs))
            else:
                groups += [[pair] for pair in pairs]
        too_slow: set[Pair] = set()  # a candidate and a call
        slow_candidates = Counter[int]()  # by call
        for group in groups:
            remaining = group
            while remaining := [pair for pair in remaining if self._is_due(pair)]:
                batch = remaining[:_MAX_JOBS]
                jobs = [
                    (programs[pair[0]], self._texts(pair[0], call_plan[pair], too_slow, slow_candidates))
                    for pair in batch
                ]
                ended = self.run(
                    batch,
                    lambda cpu_seconds, jobs=jobs: self.fork_server.make_calls(  # type: ignore[misc]
                        jobs, self.entry_point, cpu_seconds, _DRY_RUN_SHARE if predicted else 1.0
                    ),
                )
                if ended is None:
                    continue
                reached = self._record(batch, ended, call_plan, predicted=predicted)
                last, remaining = remaining[reached - 1], remaining[reached:]
                if predicted and ended.timed_out:
                    made = len(self.pair_table[last].calls)
                    cut_off = call_plan[last][made : made + 1]
                    too_slow.update((last[0], call) for call in cut_off)
                    slow_candidates.update(cut_off)
                    if not ended.loaded:
                        remaining = [pair for pair in remaining if pair[0] != last[0]]

    def run(self, pairs: Sequence[Pair], start: Callable[[int], ProcessEnd]) -> ProcessEnd | None:
        """Run a process for some pairs, one step each, and charge it to them.

        Args:
            pairs: one for each step.
            start: function that runs the process with the given number of CPU-seconds.

        Returns:
            The end of the process; None if a candidate had no CPU time left. Its pairs are then closed.
        """
        cpu_limits = {candidate: self.pair_table.cpu_limit(candidate) for candidate, _ in pairs}
        cpu_seconds = sum(cpu_limits.values())
        if 0 in cpu_limits.values():
            exhausted = [pair for pair in pairs if cpu_limits[pair[0]] == 0]
            self.pair_table.close(exhausted, Verdict.TIMED_OUT)
            return None
        ended = start(cpu_seconds)
        self.pair_table.charge(pairs, ended)
        return ended

    def _is_due(self, pair: Pair) -> bool:
        return self.pair_table.is_open(pair) and not self.pair_table.close_after_timeouts(pair[0], [pair])

    def _texts(
        self,
        candidate: int,
        planned: Sequence[int],
        too_slow: Container[Pair],
        slow_candidates: Mapping[int, int],
    ) -> list[str]:
        """Texts of the planned calls, up to the first that is too slow."""
        made = itertools.takewhile(
            lambda call: (
                (candidate, call) not in too_slow and slow_candidates.get(call, 0) < _SLOW_CANDIDATES
            ),
            planned,
        )
        return [self.calls.texts[call] for call in made]

    def _record(
        self,
        pairs: Sequence[Pair],
        ended: ProcessEnd,
        call_plan: Mapping[Pair, Sequence[int]],
        *,
        predicted: bool,
    ) -> int:
        """Record the results of a process; return the number of pairs that need no other process."""
        for reached, (pair, step) in enumerate(zip(pairs, ended.steps, strict=True)):
            if not step.finished and ended.signal == 0 and reached > 0:
                return reached  # the process could not be reused, or the buffer was full: repeat the step
            state = self.pair_table[pair]
            planned = call_plan[pair]
            if step.texts and step.texts[0].startswith(_NOT_LOADED):
                self.pair_table.close([pair], failure_verdict(*parse_message(step.texts[0])[1:]))
                continue
            state.calls = list(zip(planned, map(self._stored, step.texts), strict=False))
            state.loaded |= step.finished or bool(step.texts) or ended.loaded
            if step.finished:
                continue
            if predicted and ended.timed_out:
                return reached + 1
            verdict = self.pair_table.record_end(pair[0], ended)
            if not state.loaded:
                self.pair_table.close_unloaded(pair, verdict)
            elif len(state.calls) < len(planned):
                ending = self.results.position(f'["{ResultKind.ENDED}",{verdict:d}]')
                state.calls.append((planned[len(state.calls)], ending))
            return reached + 1
        return len(pairs)

    def _stored(self, text: bytes) -> int:
        """Position of a result; that of an opaque result if it is too long."""
        too_much = len(text) > _LONG and self.results.characters > _MAX_CHARACTERS
        if too_much or len(text) > 2 * LONGEST_TEXT:
            return self.results.position(OPAQUE_RESULT)
        return self.results.position(text.decode("utf-8", "replace"))


class _Replay(NamedTuple):
    """Test to run on a path.

    Attributes:
        charged_to: candidate that the replay is charged to.
        test: position of the test in the block.
        path: calls and results; empty for a dry run.
    """

    charged_to: int
    test: int
    path: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class JudgePhase:
    """Judge phase: tests are replayed on the results of calls, in judge processes.

    Attributes:
        process_runner: runner of the judge processes.
        language: language of the tests.
        pair_table: holds the calls of each pair; receives the cost of the replays.
        calls, results: texts of all calls and of all results.
        programs: tests, by position in the block.
        outcomes: known outcomes of each test; receives those of the replays.
    """

    process_runner: ProcessRunner
    language: Language
    pair_table: PairTable
    calls: TextTable
    results: TextTable
    programs: Mapping[int, Program]
    outcomes: Mapping[int, TestOutcome]

    def dry_run(self, charged_to: Mapping[int, int]) -> None:
        """Run every test without results, to find out its calls.

        Args:
            charged_to: for each test the candidate that its dry run is charged to.
        """
        self._replay([_Replay(charged_to[test], test, ()) for test in self.programs])
        for outcomes in self.outcomes.values():
            outcome = outcomes.after(())
            if isinstance(outcome, list):
                outcomes.first_calls = outcome

    def judge(self, pairs: Iterable[Pair]) -> None:
        """Replay the tests of pairs on every path without a known outcome, once for each distinct path."""
        unknown: dict[tuple[int, tuple[Call, ...]], int] = {}
        for candidate, test in pairs:
            path = tuple(self.pair_table[candidate, test].calls)
            if self.outcomes[test].after(path) is not PendingPath.UNKNOWN:
                continue
            if self.pair_table.cpu_limit(candidate) == 0:
                self.pair_table.close([(candidate, test)], Verdict.TIMED_OUT)
            else:
                unknown.setdefault((test, path), candidate)
        self._replay([_Replay(candidate, *known) for known, candidate in unknown.items()])

    def _replay(self, replays: Sequence[_Replay]) -> None:
        """Replay tests; a test that is not self-contained has a process of its own."""
        shared = [replay for replay in replays if self.programs[replay.test].self_contained]
        alone = {replay.test for replay in replays if not self.programs[replay.test].self_contained}
        batches = [shared, *([one for one in replays if one.test == test] for test in sorted(alone))]
        for batch in batches:
            done = 0
            while done < len(batch):
                done += self._replay_some(batch[done:])

    def _replay_some(self, replays: Sequence[_Replay]) -> int:
        """Replay as many tests as one process can; return their number."""
        parts = [(self.programs[replay.test], self._path(replay.path)) for replay in replays]
        ended = self.process_runner.run(
            lambda: self.language.judge(self.process_runner.buffer, parts),
            len(parts),
            next_cpu_limit(self.process_runner.limits, len(parts), 0.0),
        )
        self.pair_table.charge([(replay.charged_to, replay.test) for replay in replays], ended)
        for reached, (replay, step) in enumerate(zip(replays, ended.steps, strict=True)):
            if not step.finished and reached and ended.signal == 0 and not step.texts:
                return reached
            self._record(replay, step.texts, ended)
            if not step.finished:
                return reached + 1
        return len(replays)

    def _record(self, replay: _Replay, texts: Sequence[bytes], ended: ProcessEnd) -> None:
        outcomes = self.outcomes[replay.test]
        match parse_message(texts[0]) if texts else []:
            case [StepMessage.VERDICT, int(verdict), int(used)]:
                outcomes.record(replay.path, used, message_verdict(verdict))
            case [StepMessage.MORE, int(used)] if len(texts) > used + 1:
                calls = [self.calls.position(text.decode()) for text in texts[1:]]
                outcomes.record(replay.path, used, calls)
            case [StepMessage.SAME_PROCESS]:
                outcomes.record(replay.path, len(replay.path), PendingPath.SAME_PROCESS)
            case _:  # the test has ended its process
                verdict_on_end = Verdict.TIMED_OUT if ended.timed_out else Verdict.KILLED
                outcomes.record(replay.path, len(replay.path), verdict_on_end)

    def _path(self, path: tuple[Call, ...]) -> CallPath:
        return [(self.calls.texts[call], self.results.texts[result]) for call, result in path]
