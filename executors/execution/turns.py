"""The turns that candidates and tests take: candidates make calls, tests are played with the results.

A candidate runs in processes of its own, a test in others; what passes between them is plain data.
"""

import itertools
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from executors.execution.books import Book, Insight, Open
from executors.execution.cells import Call, Cells, Pair
from executors.execution.languages.base import Language, Left, Path, Program, ResultKind
from executors.execution.left import not_passed, parsed, verdict_in
from executors.execution.limits import Limits, allowance
from executors.execution.process import Ended, Station
from executors.execution.values import LONGEST_TEXT
from rewards.problem import Verdict

_FORESIGHT = 0.1  # share of the time limits for calls that a test might turn out not to need
_MOST_CHARACTERS = 128 << 20  # of a block's results; beyond, long ones are not kept
_LONG = 4096
_OPAQUE = f'["{ResultKind.OPAQUE}"]'


@dataclass(frozen=True, slots=True)
class Candidates:
    """Has candidates make calls.

    Attributes:
        calls, results: where the texts are kept.
    """

    station: Station
    language: Language
    entry_point: str | None
    cells: Cells
    calls: Book
    results: Book

    def make_calls(
        self, candidate: int, program: Program, scripts: Mapping[int, Sequence[int]], *, foreseen: bool
    ) -> None:
        """Make the calls of a candidate's tests, in as many processes as it takes.

        Args:
            candidate: its position in the block.
            program: the candidate.
            scripts: calls by test.
            foreseen: they may be calls that no test turns out to need. One that takes long is left open, and
                is not made for any other test either.
        """
        left = list(scripts)
        too_long: set[int] = set()
        while left and not self.cells.gave_up(candidate, [(candidate, test) for test in left]):
            batch = left if program.tidy else left[:1]
            pairs = [(candidate, test) for test in batch]
            texts = [self._texts(scripts[test], too_long) for test in batch]
            ended = self.run(
                pairs,
                lambda texts=texts: self.language.make_calls(  # type: ignore[misc]
                    self.station.arena, self.station, program, texts, self.entry_point
                ),
                share=_FORESIGHT if foreseen else 1.0,
            )
            if ended is None:
                return
            reached = self._note(pairs, ended, scripts, foreseen=foreseen)
            left = left[reached:]
            if foreseen and ended.out_of_time:
                if not ended.loaded:
                    return
                last = batch[reached - 1]
                made = len(self.cells[candidate, last].calls)
                too_long.update(scripts[last][made : made + 1])

    def run(self, pairs: Sequence[Pair], task: Callable[[], None], share: float = 1.0) -> Ended | None:
        """Run a process for some pairs of one candidate, a step each, and charge it to them.

        Returns:
            How it ended; None, and the pairs are closed, if the candidate has used up all that it may.
        """
        cpu_seconds = self.cells.allowance(pairs[0][0])
        if cpu_seconds == 0:
            self.cells.close(pairs, Verdict.TIMED_OUT)
            return None
        ended = self.station.run(task, len(pairs), cpu_seconds, share)
        self.cells.charge(pairs, ended)
        return ended

    def _texts(self, script: Sequence[int], too_long: Container[int]) -> list[str]:
        made = itertools.takewhile(lambda call: call not in too_long, script)
        return [self.calls.texts[call] for call in made]

    def _note(
        self,
        pairs: Sequence[Pair],
        ended: Ended,
        scripts: Mapping[int, Sequence[int]],
        *,
        foreseen: bool,
    ) -> int:
        """Take down what a candidate's process has left; returns how many pairs it has dealt with."""
        for reached, (pair, step) in enumerate(zip(pairs, ended.steps, strict=True)):
            cell, script = self.cells[pair], scripts[pair[1]]
            match parsed(step.texts[0]) if step.texts else []:
                case [Left.NOT_LOADED, *verdict]:
                    return close_unloaded(self.cells, pairs, reached, not_passed(*verdict))
            cell.calls = [(call, self._kept(text)) for call, text in zip(script, step.texts, strict=False)]
            cell.loaded |= step.finished or bool(step.texts)
            if step.finished:
                continue
            if ended.signal == 0 and reached > 0 and not step.texts:
                return reached  # the process was no longer fit, and left before this test
            if foreseen and ended.out_of_time:
                return reached + 1
            death = self.cells.death(pair[0], ended)
            if not (ended.loaded or step.texts):
                return close_unloaded(self.cells, pairs, reached, death)
            cell.loaded = True
            if len(cell.calls) < len(script):
                ending = self.results.position(f'["{ResultKind.ENDED}",{death:d}]')
                cell.calls.append((script[len(cell.calls)], ending))
            return reached + 1
        return len(pairs)

    def _kept(self, text: bytes) -> int:
        too_much = len(text) > _LONG and self.results.characters > _MOST_CHARACTERS
        if too_much or len(text) > 2 * LONGEST_TEXT:
            return self.results.position(_OPAQUE)
        return self.results.position(text.decode("utf-8", "replace"))


def close_unloaded(cells: Cells, pairs: Sequence[Pair], reached: int, verdict: Verdict) -> int:
    """Close a pair whose candidate did not load; all pairs if it was the first.

    Returns:
        How many pairs are dealt with.
    """
    cells.close(pairs if reached == 0 else [pairs[reached]], verdict)
    return len(pairs) if reached == 0 else reached + 1


class Play(NamedTuple):
    """A test to be played on a path, for the sake of a candidate, who pays for it."""

    candidate: int
    test: int
    path: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Tests:
    """Plays tests with the results of calls.

    Attributes:
        programs: the tests, by position in the block.
        insights: what is known of each.
    """

    __test__ = False  # pytest would collect it by its name

    station: Station
    language: Language
    limits: Limits
    cells: Cells
    calls: Book
    results: Book
    programs: Mapping[int, Program]
    insights: Mapping[int, Insight]

    def foresee(self, payers: Mapping[int, int]) -> None:
        """Play every test without results, to learn its calls, each at the expense of a candidate."""
        self._play([Play(payers[test], test, ()) for test in self.programs])
        for insight in self.insights.values():
            outcome = insight.outcome(())
            if isinstance(outcome, list):
                insight.script = outcome

    def judge(self, pairs: Iterable[Pair]) -> None:
        """Play the tests of pairs with all results of which nothing is known yet."""
        unknown: dict[tuple[int, tuple[Call, ...]], int] = {}
        for candidate, test in pairs:
            path = tuple(self.cells[candidate, test].calls)
            if self.insights[test].outcome(path) is not Open.UNKNOWN:
                continue
            if self.cells.allowance(candidate) == 0:
                self.cells.close([(candidate, test)], Verdict.TIMED_OUT)
            else:
                unknown.setdefault((test, path), candidate)
        self._play([Play(candidate, *known) for known, candidate in unknown.items()])

    def _play(self, plays: Sequence[Play]) -> None:
        """Play tests, those that may disturb others in processes of their own."""
        tidy = [play for play in plays if self.programs[play.test].tidy]
        batches = [tidy]
        for test in {play.test: None for play in plays if not self.programs[play.test].tidy}:
            batches.append([play for play in plays if play.test == test])
        for left in batches:
            while left:
                left = left[self._play_some(left) :]

    def _play_some(self, plays: Sequence[Play]) -> int:
        """Play as many as one process can; returns how many that are."""
        parts = [(self.programs[play.test], self._path(play.path)) for play in plays]
        ended = self.station.run(
            lambda: self.language.judge(self.station.arena, parts),
            len(parts),
            allowance(self.limits, len(parts), 0.0),
        )
        self.cells.charge([(play.candidate, play.test) for play in plays], ended)
        for reached, (play, step) in enumerate(zip(plays, ended.steps, strict=True)):
            if not step.finished and reached and ended.signal == 0 and not step.texts:
                return reached
            self._note(play, step.texts, ended)
            if not step.finished:
                return reached + 1
        return len(plays)

    def _note(self, play: Play, texts: Sequence[bytes], ended: Ended) -> None:
        insight = self.insights[play.test]
        match parsed(texts[0]) if texts else []:
            case [Left.VERDICT, int(verdict), int(used)]:
                insight.add(play.path[:used], verdict_in(verdict))
            case [Left.MORE, int(used)] if len(texts) > used + 1:
                insight.add(play.path[:used], [self.calls.position(text.decode()) for text in texts[1:]])
            case [Left.TOGETHER]:
                insight.add(play.path, Open.TOGETHER)
            case _:  # the test has ended its process
                insight.add(play.path, Verdict.TIMED_OUT if ended.out_of_time else Verdict.KILLED)

    def _path(self, path: tuple[Call, ...]) -> Path:
        return [(self.calls.texts[call], self.results.texts[result]) for call, result in path]
