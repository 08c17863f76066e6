"""The turns that candidates and tests take: candidates make calls, tests are played with the results.

A candidate runs in processes of its own, a test in others; what passes between them is plain data.
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
from testbudget.executors.execution.languages.base import Language, Path, Program, ResultKind, StepMessage
from testbudget.executors.execution.limits import next_cpu_limit
from testbudget.executors.execution.processes.process import ProcessEnd, ProcessRunner
from testbudget.executors.execution.processes.result_buffer import (
    failure_verdict,
    message_verdict,
    parse_message,
)
from testbudget.executors.execution.values import LONGEST_TEXT
from testbudget.rewards.problem import Verdict

_FORESIGHT = 0.01  # share of the time limits for calls that a test might turn out not to need
_SLOW_FOR_ALL = 2  # candidates for which a call took too long, so that it is probably the call
_MOST_JOBS = 256  # of one process: all that are left are sent again when it is ended by one of them
_MOST_CHARACTERS = 128 << 20  # of a block's results; beyond, long ones are not kept
_LONG = 4096
_NOT_LOADED = f'["{StepMessage.NOT_LOADED}"'.encode()
_OPAQUE = f'["{ResultKind.OPAQUE}"]'


@dataclass(frozen=True, slots=True)
class CallPhase:
    """Has candidates make calls.

    Attributes:
        calls, results: where the texts are kept.
    """

    fork_server: CandidateForkServer
    entry_point: str | None
    cells: PairTable
    calls: TextTable
    results: TextTable

    def make_calls(
        self, programs: Mapping[int, Program], scripts: Mapping[Pair, Sequence[int]], *, foreseen: bool
    ) -> None:
        """Make the calls of candidates' tests, in as many processes as it takes.

        Candidates that are tidy and innocent follow each other in one process. All others have their own,
        and those that are not tidy one for each test.

        Args:
            programs: the candidates, by position in the block.
            scripts: the calls of each pair, pairs of one candidate next to each other.
            foreseen: they may be calls that no test turns out to need. One that takes long is left open,
                and is not made of this candidate for any other test either; nor of any candidate, if it was
                so with several.
        """
        groups: list[list[Pair]] = [[]]
        for candidate, pairs in itertools.groupby(scripts, key=operator.itemgetter(0)):
            program = programs[candidate]
            if program.tidy and program.innocent:
                groups[0] += pairs
            elif program.tidy:
                groups.append(list(pairs))
            else:
                groups += [[pair] for pair in pairs]
        too_long: set[Pair] = set()
        slow = Counter[int]()
        for group in groups:
            left = group
            while left := [pair for pair in left if self._is_due(pair)]:
                batch = left[:_MOST_JOBS]
                jobs = [
                    (programs[pair[0]], self._texts(pair[0], scripts[pair], too_long, slow))
                    for pair in batch
                ]
                ended = self.run(
                    batch,
                    lambda cpu_seconds, jobs=jobs: self.fork_server.make_calls(  # type: ignore[misc]
                        jobs, self.entry_point, cpu_seconds, _FORESIGHT if foreseen else 1.0
                    ),
                )
                if ended is None:
                    continue
                reached = self._note(batch, ended, scripts, foreseen=foreseen)
                last, left = left[reached - 1], left[reached:]
                if foreseen and ended.timed_out:
                    made = len(self.cells[last].calls)
                    cut_off = scripts[last][made : made + 1]
                    too_long.update((last[0], call) for call in cut_off)
                    slow.update(cut_off)
                    if not ended.loaded:
                        left = [pair for pair in left if pair[0] != last[0]]

    def run(self, pairs: Sequence[Pair], start: Callable[[int], ProcessEnd]) -> ProcessEnd | None:
        """Run a process for some pairs, a step each, and charge it to them.

        Args:
            pairs: what it works on.
            start: runs it with so many CPU seconds.

        Returns:
            How it ended; None, and pairs are closed, if a candidate has used up all that it may.
        """
        allowances = {candidate: self.cells.allowance(candidate) for candidate, _ in pairs}
        cpu_seconds = sum(allowances.values())
        if 0 in allowances.values():
            exhausted = [pair for pair in pairs if allowances[pair[0]] == 0]
            self.cells.close(exhausted, Verdict.TIMED_OUT)
            return None
        ended = start(cpu_seconds)
        self.cells.charge(pairs, ended)
        return ended

    def _is_due(self, pair: Pair) -> bool:
        return self.cells.is_open(pair) and not self.cells.gave_up(pair[0], [pair])

    def _texts(
        self, candidate: int, script: Sequence[int], too_long: Container[Pair], slow: Mapping[int, int]
    ) -> list[str]:
        """The calls of a script, up to one that takes too long."""
        made = itertools.takewhile(
            lambda call: (candidate, call) not in too_long and slow.get(call, 0) < _SLOW_FOR_ALL, script
        )
        return [self.calls.texts[call] for call in made]

    def _note(
        self,
        pairs: Sequence[Pair],
        ended: ProcessEnd,
        scripts: Mapping[Pair, Sequence[int]],
        *,
        foreseen: bool,
    ) -> int:
        """Take down what a process has left; returns how many pairs it has dealt with."""
        for reached, (pair, step) in enumerate(zip(pairs, ended.steps, strict=True)):
            if not step.finished and ended.signal == 0 and reached > 0:
                return reached  # the process was no longer fit, or had no room left; the step is done again
            cell, script = self.cells[pair], scripts[pair]
            if step.texts and step.texts[0].startswith(_NOT_LOADED):
                self.cells.close([pair], failure_verdict(*parse_message(step.texts[0])[1:]))
                continue
            cell.calls = [(call, self._kept(text)) for call, text in zip(script, step.texts, strict=False)]
            cell.loaded |= step.finished or bool(step.texts) or ended.loaded
            if step.finished:
                continue
            if foreseen and ended.timed_out:
                return reached + 1
            death = self.cells.death(pair[0], ended)
            if not cell.loaded:
                self.cells.close_unloaded(pair, death)
            elif len(cell.calls) < len(script):
                ending = self.results.position(f'["{ResultKind.ENDED}",{death:d}]')
                cell.calls.append((script[len(cell.calls)], ending))
            return reached + 1
        return len(pairs)

    def _kept(self, text: bytes) -> int:
        too_much = len(text) > _LONG and self.results.characters > _MOST_CHARACTERS
        if too_much or len(text) > 2 * LONGEST_TEXT:
            return self.results.position(_OPAQUE)
        return self.results.position(text.decode("utf-8", "replace"))


class TestReplay(NamedTuple):
    """A test to be played on a path, for the sake of a candidate, who pays for it."""

    candidate: int
    test: int
    path: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class JudgePhase:
    """Plays tests with the results of calls.

    Attributes:
        programs: the tests, by position in the block.
        insights: what is known of each.
    """

    __test__ = False  # pytest would collect it by its name

    process_runner: ProcessRunner
    language: Language
    cells: PairTable
    calls: TextTable
    results: TextTable
    programs: Mapping[int, Program]
    insights: Mapping[int, TestOutcome]

    def foresee(self, payers: Mapping[int, int]) -> None:
        """Play every test without results, to learn its calls, each at the expense of a candidate."""
        self._play([TestReplay(payers[test], test, ()) for test in self.programs])
        for insight in self.insights.values():
            outcome = insight.outcome(())
            if isinstance(outcome, list):
                insight.script = outcome

    def judge(self, pairs: Iterable[Pair]) -> None:
        """Play the tests of pairs with all results of which nothing is known yet."""
        unknown: dict[tuple[int, tuple[Call, ...]], int] = {}
        for candidate, test in pairs:
            path = tuple(self.cells[candidate, test].calls)
            if self.insights[test].outcome(path) is not PendingPath.UNKNOWN:
                continue
            if self.cells.allowance(candidate) == 0:
                self.cells.close([(candidate, test)], Verdict.TIMED_OUT)
            else:
                unknown.setdefault((test, path), candidate)
        self._play([TestReplay(candidate, *known) for known, candidate in unknown.items()])

    def _play(self, plays: Sequence[TestReplay]) -> None:
        """Play tests, those that may disturb others in processes of their own."""
        tidy = [play for play in plays if self.programs[play.test].tidy]
        untidy = {play.test for play in plays if not self.programs[play.test].tidy}
        for batch in [tidy, *([play for play in plays if play.test == test] for test in sorted(untidy))]:
            done = 0
            while done < len(batch):
                done += self._play_some(batch[done:])

    def _play_some(self, plays: Sequence[TestReplay]) -> int:
        """Play as many as one process can; returns how many that are."""
        parts = [(self.programs[play.test], self._path(play.path)) for play in plays]
        ended = self.process_runner.run(
            lambda: self.language.judge(self.process_runner.buffer, parts),
            len(parts),
            next_cpu_limit(self.process_runner.limits, len(parts), 0.0),
        )
        self.cells.charge([(play.candidate, play.test) for play in plays], ended)
        for reached, (play, step) in enumerate(zip(plays, ended.steps, strict=True)):
            if not step.finished and reached and ended.signal == 0 and not step.texts:
                return reached
            self._note(play, step.texts, ended)
            if not step.finished:
                return reached + 1
        return len(plays)

    def _note(self, play: TestReplay, texts: Sequence[bytes], ended: ProcessEnd) -> None:
        insight = self.insights[play.test]
        match parse_message(texts[0]) if texts else []:
            case [StepMessage.VERDICT, int(verdict), int(used)]:
                insight.add(play.path, used, message_verdict(verdict))
            case [StepMessage.MORE, int(used)] if len(texts) > used + 1:
                insight.add(play.path, used, [self.calls.position(text.decode()) for text in texts[1:]])
            case [StepMessage.TOGETHER]:
                insight.add(play.path, len(play.path), PendingPath.TOGETHER)
            case _:  # the test has ended its process
                death = Verdict.TIMED_OUT if ended.timed_out else Verdict.KILLED
                insight.add(play.path, len(play.path), death)

    def _path(self, path: tuple[Call, ...]) -> Path:
        return [(self.calls.texts[call], self.results.texts[result]) for call, result in path]
