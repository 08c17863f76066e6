"""One problem's candidates on its tests: who runs when, and what follows for the verdicts.

Candidates and tests run in turns, each in processes of their own. First a test is played without any
results, which shows the calls that it is going to make. Then each candidate makes the calls of all its
tests; then each test is played with the results that came out, once for all candidates with the same
results. Where that shows that a test makes other calls than foreseen, those candidates take another turn.
"""

import itertools
import json
import operator
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from executors.execution.languages.base import Language, Left, Path, Program, ResultKind, Source
from executors.execution.limits import allowance
from executors.execution.process import Ended, Station
from rewards.problem import NOT_RUN, TestKind, Verdict

_MOST_TURNS = 8
_FORESIGHT = 0.1  # share of the time limits for calls that a test might turn out not to need
_READING_CPU_SECONDS = 60

Pair = tuple[int, int]  # candidate, test
_Call = tuple[int, int]  # a call and its result, as positions in a book


class Work(NamedTuple):
    """A block as the runner sends it.

    Attributes:
        candidates: programs, all different.
        tests: code and kind of each.
        entry_point: name that each candidate must define, None if that is not known.
        pairs: which candidates to run on which tests.
    """

    candidates: Sequence[str]
    tests: Sequence[tuple[str, TestKind]]
    entry_point: str | None
    pairs: Sequence[Pair]


@dataclass(slots=True)
class Cell:
    """What came out of one candidate on one test.

    Attributes:
        verdict: a Verdict, ``NOT_RUN``, or None as long as it is open.
        calls: the calls that the candidate has made for the test and what came out of each, as positions in
            the ``Book`` of the block.
    """

    verdict: int | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    together: bool = False
    calls: list[_Call] = field(default_factory=list)


class _Play(NamedTuple):
    """A test to be played on a path, for the sake of a candidate, who pays for it."""

    candidate: int
    test: int
    path: tuple[_Call, ...]


class Book:
    """Texts, each kept once and known by its position."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._positions: dict[str, int] = {}

    def position(self, text: str) -> int:
        """Where the text is; it is put there if it is new."""
        position = self._positions.setdefault(text, len(self.texts))
        if position == len(self.texts):
            self.texts.append(text)
        return position


@dataclass(slots=True)
class _Plays:
    """What is known of one test from playing it.

    Attributes:
        decided: by the calls with results that it rests on: the verdict; the calls to make next; or None if
            the test cannot be judged apart.
        lengths: of the keys of ``decided``.
        script: the calls to start from.
    """

    decided: dict[tuple[_Call, ...], Verdict | list[int] | None] = field(default_factory=dict)
    lengths: set[int] = field(default_factory=set)
    script: list[int] = field(default_factory=list)

    def decide(self, key: tuple[_Call, ...], outcome: Verdict | list[int] | None) -> None:
        self.decided[key] = outcome
        self.lengths.add(len(key))

    def outcome(self, calls: Sequence[_Call]) -> tuple[bool, Verdict | list[int] | None]:
        """Whether anything is known of a path or of the beginning of it, and what."""
        for length in sorted(self.lengths):
            if length > len(calls) or (key := tuple(calls[:length])) not in self.decided:
                continue
            outcome = self.decided[key]
            goes_on = isinstance(outcome, list) and length < len(calls)
            if not (goes_on and calls[length][0] == outcome[length]):
                return True, outcome
        return False, None


class Block:
    """Runs one block of work.

    Args:
        station: where to run.
        language: of candidates and tests.
        work: what to run.

    Attributes:
        cells: what came out, by candidate and test.
        calls, results: the texts of calls and results.
    """

    def __init__(self, station: Station, language: Language, work: Work) -> None:
        self.cells: dict[Pair, Cell] = {pair: Cell() for pair in work.pairs}
        self.calls = Book()
        self.results = Book()
        self._station = station
        self._language = language
        self._work = work
        self._spent: dict[int, float] = defaultdict(float)
        self._timeouts: dict[int, int] = defaultdict(int)
        self._tests_of: dict[int, int] = defaultdict(int)
        for candidate, _ in work.pairs:
            self._tests_of[candidate] += 1

    def run(self) -> None:
        """Come to a verdict on every pair.

        Raises:
            OSError: no process could be forked or watched.
        """
        sources = [Source(text, None) for text in self._work.candidates]
        sources += [Source(text, kind) for text, kind in self._work.tests]
        programs = self._read(sources)
        self._candidates = programs[: len(self._work.candidates)]
        self._tests = programs[len(self._work.candidates) :]
        together: list[Pair] = []
        apart: list[Pair] = []
        for pair in self._work.pairs:
            candidate, test = self._candidates[pair[0]], self._tests[pair[1]]
            if candidate is None or test is None:
                self.cells[pair].verdict = Verdict.ERRORED
            elif test.apart and not self._language.defines(candidate, test.others):
                apart.append(pair)
            else:
                together.append(pair)
        together += self._run_apart(apart)
        self._run_together(sorted(together))

    def make_calls(self, calls: Sequence[str]) -> None:
        """Have every candidate make each of these calls, one call for each of the work's tests."""
        self._candidates = self._read([Source(text, None) for text in self._work.candidates])
        for candidate, program in enumerate(self._candidates):
            pairs = [pair for pair in self._work.pairs if pair[0] == candidate]
            if program is None:
                for pair in pairs:
                    self.cells[pair].verdict = Verdict.ERRORED
                continue
            self._make_calls(
                candidate, {test: [self.calls.position(calls[test])] for _, test in pairs}, 1.0
            )

    # Reading

    def _read(self, sources: Sequence[Source]) -> list[Program | None]:
        """Compile programs, None for one that does not compile.

        It happens in another process, since some texts make a compiler hang or crash; a text that ends the
        process does not compile.
        """
        programs: list[Program | None] = []
        while rest := sources[len(programs) :]:
            ended = self._station.run(
                lambda rest=rest: self._language.read(  # type: ignore[misc]
                    self._station.arena, rest, self._work.entry_point
                ),
                len(rest),
                _READING_CPU_SECONDS + len(rest),
            )
            read = list(itertools.takewhile(lambda step: step.finished, ended.steps))
            programs += [self._language.program(step.texts[0]) if step.texts else None for step in read]
            if len(read) < len(rest) and (ended.signal or not read):
                programs.append(None)
        return programs

    # Apart

    def _run_apart(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Come to verdicts in turns; returns the pairs that cannot be judged apart."""
        plays = {test: _Plays() for _, test in pairs}
        together: list[Pair] = []
        self._foresee(plays, {test: candidate for candidate, test in reversed(pairs)})
        scripts = {pair: plays[pair[1]].script for pair in pairs}
        for turn in range(_MOST_TURNS):
            share = 1.0 if turn else _FORESIGHT
            for candidate, tests in itertools.groupby(sorted(scripts), key=lambda pair: pair[0]):
                self._make_calls(candidate, {test: scripts[candidate, test] for _, test in tests}, share)
            self._judge(plays, [pair for pair in scripts if self.cells[pair].verdict is None])
            further: dict[Pair, list[int]] = {}
            for pair in scripts:
                cell = self.cells[pair]
                if cell.verdict is not None:
                    continue
                _, outcome = plays[pair[1]].outcome(cell.calls)
                if outcome is None:
                    together.append(pair)
                elif isinstance(outcome, Verdict):
                    cell.verdict = outcome
                else:
                    further[pair] = outcome
            scripts = further
        return together + list(scripts)

    def _foresee(self, plays: dict[int, _Plays], payers: dict[int, int]) -> None:
        """Play every test without results, to learn its calls, at the expense of a candidate."""
        self._play(plays, [_Play(payers[test], test, ()) for test in plays])
        for play in plays.values():
            known, outcome = play.outcome(())
            if known and isinstance(outcome, list):
                play.script = outcome

    def _make_calls(self, candidate: int, scripts: dict[int, list[int]], share: float) -> None:
        """Have a candidate make the calls of its tests, in as many processes as it takes.

        With a ``share`` of the time limits, a call that takes too long is left for another turn, and not
        made for any other test either: it may be one that none of them needs.
        """
        program = self._candidates[candidate]
        assert program is not None
        left = list(scripts)
        too_long: set[int] = set()
        while left:
            if self._timeouts[candidate] >= self._station.limits.timeouts:
                self._close([(candidate, test) for test in left], NOT_RUN)
                return
            batch = left if program.tidy else left[:1]
            texts = [self._affordable(scripts[test], too_long) for test in batch]
            ended = self._run_candidate(
                candidate,
                lambda texts=texts: self._language.make_calls(  # type: ignore[misc]
                    self._station.arena, self._station, program, texts, self._work.entry_point
                ),
                [(candidate, test) for test in batch],
                share,
            )
            if ended is None:
                return
            reached = self._note_results(candidate, ended, {test: scripts[test] for test in batch}, share)
            left = left[reached:]
            if share < 1 and ended.out_of_time:
                script, made = scripts[batch[reached - 1]], self.cells[candidate, batch[reached - 1]].calls
                too_long.update(script[len(made) : len(made) + 1])

    def _affordable(self, script: Sequence[int], too_long: Container[int]) -> list[str]:
        """The texts of a script, up to a call that is known to take too long."""
        made = itertools.takewhile(lambda call: call not in too_long, script)
        return [self.calls.texts[call] for call in made]

    def _note_results(
        self, candidate: int, ended: Ended, scripts: dict[int, list[int]], share: float
    ) -> int:
        """Take down what a candidate's process has left; returns how many tests it has dealt with."""
        for reached, (test, script) in enumerate(scripts.items()):
            step, cell = ended.steps[reached], self.cells[candidate, test]
            if step.texts and step.texts[0].startswith(b'["' + Left.NOT_LOADED.encode()):
                verdict = _parsed(step.texts[0])[1:]
                self._not_loaded(candidate, scripts, reached, _not_passed(*verdict))
                return len(scripts) if reached == 0 else reached + 1
            cell.calls = [
                (call, self.results.position(text.decode("utf-8", "replace")))
                for call, text in zip(script, step.texts, strict=False)
            ]
            if step.finished:
                continue
            if ended.signal == 0 and reached > 0 and not step.texts:
                return reached  # the process was no longer fit, and left before this test
            if share < 1 and ended.out_of_time:
                return reached + 1
            death = Verdict.TIMED_OUT if ended.out_of_time else Verdict.KILLED
            if death == Verdict.TIMED_OUT:
                self._timeouts[candidate] += 1
            if not ended.loaded and not step.texts:
                self._not_loaded(candidate, scripts, reached, death)
                return len(scripts) if reached == 0 else reached + 1
            if len(cell.calls) < len(script):
                ending = f'["{ResultKind.ENDED}",{death:d}]'
                cell.calls.append((script[len(cell.calls)], self.results.position(ending)))
            return reached + 1
        return len(scripts)

    def _not_loaded(self, candidate: int, tests: Iterable[int], reached: int, verdict: Verdict) -> None:
        """Close a test for which the candidate did not load; all of them if it was the first."""
        pairs = [(candidate, test) for test in tests]
        self._close(pairs if reached == 0 else [pairs[reached]], verdict)

    def _judge(self, plays: dict[int, _Plays], pairs: Sequence[Pair]) -> None:
        """Play each test with all results of which nothing is known yet."""
        unknown: dict[tuple[int, tuple[_Call, ...]], int] = {}
        for candidate, test in pairs:
            path = tuple(self.cells[candidate, test].calls)
            known, _ = plays[test].outcome(path)
            if known:
                continue
            if self._allowance(candidate) == 0:
                self.cells[candidate, test].verdict = Verdict.TIMED_OUT
            else:
                unknown.setdefault((test, path), candidate)
        self._play(plays, [_Play(candidate, *play) for play, candidate in unknown.items()])

    def _play(self, plays: dict[int, _Plays], asked: Sequence[_Play]) -> None:
        """Play tests on paths, in as many processes as it takes."""
        tidy = [play for play in asked if self._test(play.test).tidy]
        batches = [tidy] if tidy else []
        untidy = sorted(
            (play for play in asked if not self._test(play.test).tidy), key=operator.attrgetter("test")
        )
        batches += [list(plays) for _, plays in itertools.groupby(untidy, key=operator.attrgetter("test"))]
        for left in batches:
            while left:
                left = left[self._play_some(plays, left) :]

    def _play_some(self, plays: dict[int, _Plays], asked: Sequence[_Play]) -> int:
        """Play as many as one process can; returns how many that are."""
        parts = [(self._test(play.test), self._path(play.path)) for play in asked]
        limits = self._station.limits
        ended = self._station.run(
            lambda: self._language.judge(self._station.arena, parts),
            len(parts),
            allowance(limits, len(parts), 0.0),
        )
        self._charge([(play.candidate, play.test) for play in asked], ended)
        for reached, (play, step) in enumerate(zip(asked, ended.steps, strict=True)):
            if not step.finished and reached and ended.signal == 0 and not step.texts:
                return reached
            self._note_play(plays[play.test], play.path, step.texts, ended)
            if not step.finished:
                return reached + 1
        return len(asked)

    def _test(self, index: int) -> Program:
        test = self._tests[index]
        assert test is not None
        return test

    def _note_play(
        self, plays: _Plays, path: tuple[_Call, ...], texts: Sequence[bytes], ended: Ended
    ) -> None:
        left = _parsed(texts[0]) if texts else []
        match left:
            case [Left.VERDICT, int(verdict), int(used)]:
                plays.decide(path[:used], _checked(verdict))
            case [Left.MORE, int(used)] if len(texts) > used + 1:
                plays.decide(path[:used], [self.calls.position(text.decode()) for text in texts[1:]])
            case [Left.TOGETHER]:
                plays.decide(path, None)
            case _:  # the test has ended its process
                plays.decide(path, Verdict.TIMED_OUT if ended.out_of_time else Verdict.KILLED)

    def _path(self, path: tuple[_Call, ...]) -> Path:
        return [(self.calls.texts[call], self.results.texts[result]) for call, result in path]

    # Together

    def _run_together(self, pairs: Sequence[Pair]) -> None:
        """Run tests in the interpreter of their candidates, and confirm what passed by acquittal."""
        for pair in pairs:
            self.cells[pair].together = True
        if not self._language.shares_interpreter:
            self._close(pairs, Verdict.UNCONFIRMED)
            return
        for candidate, group in itertools.groupby(pairs, key=lambda pair: pair[0]):
            self._run_candidate_together(candidate, [test for _, test in group])
        passed = [pair for pair in pairs if self.cells[pair].verdict == Verdict.PASSED]
        suspects = sorted({candidate for candidate, _ in passed})
        innocent = self._acquitted([self._work.candidates[candidate] for candidate in suspects])
        guilty = {candidate for candidate, free in zip(suspects, innocent, strict=True) if not free}
        for pair in passed:
            if pair[0] in guilty:
                self.cells[pair].verdict = Verdict.UNCONFIRMED

    def _run_candidate_together(self, candidate: int, left: list[int]) -> None:
        program = self._candidates[candidate]
        assert program is not None
        while left:
            if self._timeouts[candidate] >= self._station.limits.timeouts:
                self._close([(candidate, test) for test in left], NOT_RUN)
                return
            batch = left if program.tidy else left[:1]
            tests = [self._test(index) for index in batch]
            pairs = [(candidate, test) for test in batch]
            ended = self._run_candidate(
                candidate,
                lambda tests=tests: self._language.judge_together(  # type: ignore[misc]
                    self._station.arena, self._station, program, tests, self._work.entry_point
                ),
                pairs,
            )
            if ended is None:
                return
            left = left[self._note_together(candidate, pairs, ended) :]

    def _note_together(self, candidate: int, pairs: Sequence[Pair], ended: Ended) -> int:
        for reached, (pair, step) in enumerate(zip(pairs, ended.steps, strict=True)):
            match _parsed(step.texts[0]) if step.texts else []:
                case [Left.NOT_LOADED, int(verdict)]:
                    self._close(pairs if reached == 0 else [pair], _not_passed(verdict))
                    return len(pairs) if reached == 0 else reached + 1
                case [Left.VERDICT, int(verdict), doubtful]:
                    doubtful = doubtful and verdict == Verdict.PASSED
                    self._close([pair], Verdict.UNCONFIRMED if doubtful else _checked(verdict))
                    continue
            if ended.signal == 0 and reached > 0 and not step.finished:
                return reached
            death = Verdict.TIMED_OUT if ended.out_of_time else Verdict.KILLED
            if death == Verdict.TIMED_OUT:
                self._timeouts[candidate] += 1
            self._close(pairs if reached == 0 and not ended.loaded else [pair], death)
            return len(pairs) if reached == 0 and not ended.loaded else reached + 1
        return len(pairs)

    def _acquitted(self, candidates: Sequence[str]) -> list[bool]:
        if not candidates:
            return []
        ended = self._station.run(
            lambda: self._language.acquit(self._station.arena, candidates),
            len(candidates),
            _READING_CPU_SECONDS + len(candidates),
        )
        return [bool(step.texts) for step in ended.steps]

    # Both

    def _run_candidate(
        self, candidate: int, task: Callable[[], None], pairs: Sequence[Pair], share: float = 1.0
    ) -> Ended | None:
        """Run a process for a candidate and charge it; None if it has used up all that it may."""
        cpu_seconds = self._allowance(candidate)
        if cpu_seconds == 0:
            self._close(pairs, Verdict.TIMED_OUT)
            return None
        ended = self._station.run(task, len(pairs), cpu_seconds, share)
        self._charge(pairs, ended)
        return ended

    def _allowance(self, candidate: int) -> int:
        return allowance(self._station.limits, self._tests_of[candidate], self._spent[candidate])

    def _charge(self, pairs: Sequence[Pair], ended: Ended) -> None:
        """Make the seconds of a process's tests add up to what the kernel has counted for the process.

        Starting and ending the process, and further threads, go to the last test that it has reached. Claims
        that cannot be true are replaced by equal shares.
        """
        reached = max(1, sum(1 for step in ended.steps if step.finished or step.texts))
        claims = [step.cpu_seconds for step in ended.steps[:reached]]
        rest = ended.cpu_seconds - sum(claims)
        if not (rest >= 0 and all(claim >= 0 for claim in claims)):
            claims, rest = [ended.cpu_seconds / reached] * reached, 0.0
        claims[-1] += rest
        for pair, claim, step in zip(pairs, claims, ended.steps, strict=False):
            self._spent[pair[0]] += claim
            self.cells[pair].cpu_seconds += claim
            self.cells[pair].wall_seconds += max(0.0, step.wall_seconds)

    def _close(self, pairs: Iterable[Pair], verdict: int) -> None:
        for pair in pairs:
            if self.cells[pair].verdict is None:
                self.cells[pair].verdict = verdict


def _parsed(text: bytes) -> list[object]:
    """A text that a process has left, as a list; it may have written anything."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return content if isinstance(content, list) else []


def _checked(verdict: int) -> Verdict:
    return Verdict(verdict) if verdict in set(Verdict) else Verdict.ERRORED


def _not_passed(verdict: object = None) -> Verdict:
    checked = _checked(verdict) if isinstance(verdict, int) else Verdict.ERRORED
    return Verdict.ERRORED if checked == Verdict.PASSED else checked
