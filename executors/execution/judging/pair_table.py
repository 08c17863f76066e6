"""What a block has learned: the texts of calls and results, and what follows from them for each test."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from testbudget.executors.execution.languages.base import Language, Program, Source
from testbudget.executors.execution.limits import TestLimits, next_cpu_limit
from testbudget.executors.execution.processes.process import ProcessEnd, ProcessRunner
from testbudget.rewards.problem import NOT_RUN, Verdict

Call = tuple[int, int]
"""A call and its result, by position in the block's books of texts."""


class TextTable:
    """Texts, each kept once and known by its position."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.characters = 0
        self._positions: dict[str, int] = {}

    def position(self, text: str) -> int:
        """Where the text is; it is put there if it is new."""
        position = self._positions.setdefault(text, len(self.texts))
        if position == len(self.texts):
            self.texts.append(text)
            self.characters += len(text)
        return position


class PendingPath(Enum):
    """What can be known of a path besides a verdict, or the calls that lead further."""

    UNKNOWN = auto()
    TOGETHER = auto()


Outcome = Verdict | list[int] | PendingPath
"""What follows from a path: the verdict, or the calls to make instead, or neither."""


@dataclass(slots=True)
class TestOutcome:
    """What is known of one test from playing it.

    Attributes:
        script: the calls to start from.
    """

    script: list[int] = field(default_factory=list)
    _outcomes: dict[tuple[Call, ...], Outcome] = field(default_factory=dict)
    _lengths: list[int] = field(default_factory=list)

    def add(self, path: tuple[Call, ...], used: int, outcome: Outcome) -> None:
        """Note what follows from the first ``used`` calls and results of a path.

        If they are known to lead on, it follows from the whole path instead: what one candidate has left
        must not undo what others rest on.
        """
        beginning = path[:used]
        known = path if isinstance(self._outcomes.get(beginning), list) else beginning
        self._outcomes[known] = outcome
        if len(known) not in self._lengths:
            self._lengths = sorted([*self._lengths, len(known)])

    def outcome(self, calls: Sequence[Call]) -> Outcome:
        """What follows from these calls and results."""
        for length in self._lengths:
            if length > len(calls):
                break
            outcome = self._outcomes.get(tuple(calls[:length]), PendingPath.UNKNOWN)
            if isinstance(outcome, list) and length < len(calls) and calls[length][0] == outcome[length]:
                continue  # the path has gone on as it had to
            if outcome is not PendingPath.UNKNOWN:
                return outcome
        return PendingPath.UNKNOWN


# ~ """The cells of a block, one for each pair of candidate and test: what is known of them, what they cost."""


Pair = tuple[int, int]
"""A candidate and a test of the block, by position."""


@dataclass(slots=True)
class PairState:
    """What came out of one candidate on one test.

    Attributes:
        verdict: a Verdict, ``NOT_RUN``, or None as long as it is open.
        calls: the calls that the candidate has made for the test.
        loaded: whether the candidate has been loaded for the test.
        together: whether both had to share an interpreter.
    """

    verdict: int | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    same_process: bool = False
    loaded: bool = False
    calls: list[Call] = field(default_factory=list)


class PairTable:
    """All cells of a block, and what each candidate may still use.

    Args:
        pairs: which candidates are run on which tests.
        limits: of one test.
    """

    def __init__(self, pairs: Sequence[Pair], limits: TestLimits) -> None:
        self._cells = {pair: PairState() for pair in pairs}
        self._limits = limits
        self._tests = Counter(candidate for candidate, _ in pairs)
        self._spent: defaultdict[int, float] = defaultdict(float)
        self._timeouts: Counter[int] = Counter()

    def __getitem__(self, pair: Pair) -> PairState:
        return self._cells[pair]

    def close(self, pairs: Iterable[Pair], verdict: int) -> None:
        """Give a verdict on those pairs that have none yet."""
        for pair in pairs:
            if self._cells[pair].verdict is None:
                self._cells[pair].verdict = verdict

    def close_unloaded(self, pair: Pair, verdict: Verdict) -> None:
        """Close a pair whose candidate did not live to be loaded; all of its pairs if it never did."""
        pairs = [other for other in self._cells if other[0] == pair[0]]
        self.close([pair] if any(self._cells[other].loaded for other in pairs) else pairs, verdict)

    def is_open(self, pair: Pair) -> bool:
        """Whether there is no verdict on a pair."""
        return self._cells[pair].verdict is None

    def gave_up(self, candidate: int, pairs: Iterable[Pair]) -> bool:
        """Close what is left of a candidate that has run into its time limit too often."""
        if self._timeouts[candidate] < self._limits.max_timeouts:
            return False
        self.close(pairs, NOT_RUN)
        return True

    def allowance(self, candidate: int) -> int:
        """CPU seconds that the candidate's next process may use; 0 when none may start."""
        return next_cpu_limit(self._limits, self._tests[candidate], self._spent[candidate])

    def death(self, candidate: int, ended: ProcessEnd) -> Verdict:
        """The verdict on what a candidate's process was at when it ended."""
        self._timeouts[candidate] += ended.timed_out
        return Verdict.TIMED_OUT if ended.timed_out else Verdict.KILLED

    def charge(self, pairs: Sequence[Pair], ended: ProcessEnd) -> None:
        """Make the seconds of a process's steps, one a pair, add up to what the kernel has counted.

        What no step has claimed, as starting and ending the process and further threads, goes to the step
        in which the process was ended, or else to the last. Claims that cannot be true are replaced by
        equal shares.
        """
        finished = sum(1 for _ in itertools.takewhile(lambda step: step.finished, ended.steps))
        reached = min(len(pairs), finished + 1 if ended.signal or not finished else finished)
        cpu_seconds = _completed([step.cpu_seconds for step in ended.steps[:reached]], ended.cpu_seconds)
        wall_seconds = _completed([step.wall_seconds for step in ended.steps[:reached]], ended.wall_seconds)
        for pair, cpu, wall in zip(pairs, cpu_seconds, wall_seconds, strict=False):
            self._spent[pair[0]] += cpu
            self._cells[pair].cpu_seconds += cpu
            self._cells[pair].wall_seconds += wall


def _completed(claims: list[float], whole: float) -> list[float]:
    """Claims with the rest of the whole added to the last; equal shares if they cannot be true."""
    rest = whole - sum(claims)
    if not (rest >= 0 and all(claim >= 0 for claim in claims)):
        return [whole / len(claims)] * len(claims)
    return [*claims[:-1], claims[-1] + rest]


# ~ """Programs that have been read: a candidate that comes again, for further tests, is not compiled again."""


_CPU_SECONDS = 60
_MOST_PROGRAMS = 1024


class ProgramCache:
    """Reads programs, and remembers the latest.

    Args:
        station: where to run what reads them.
        language: that they are written in.
    """

    def __init__(self, process_runner: ProcessRunner, language: Language) -> None:
        self._process_runner = process_runner
        self._language = language
        self._read: dict[tuple[Source, str | None], Program | None] = {}

    def read(self, sources: Sequence[Source], entry_point: str | None) -> list[Program | None]:
        """Compile programs, None for one that does not compile.

        It happens in another process, since some texts make a compiler hang or crash; a text that ends the
        process does not compile.

        Args:
            sources: texts, in any number.
            entry_point: the name that tests are about.

        Raises:
            OSError: no process could be forked or watched, or it did not come to read anything.
        """
        unknown = [source for source in dict.fromkeys(sources) if (source, entry_point) not in self._read]
        while unknown:
            programs = self._compiled(unknown, entry_point)
            self._read.update(
                ((source, entry_point), program) for source, program in zip(unknown, programs, strict=False)
            )
            unknown = unknown[len(programs) :]
        found = [self._read[source, entry_point] for source in sources]
        while len(self._read) > _MOST_PROGRAMS:
            del self._read[next(iter(self._read))]
        return found

    def _compiled(self, sources: Sequence[Source], entry_point: str | None) -> list[Program | None]:
        """As many programs as one process can read; at least one."""
        ended = self._process_runner.run(
            lambda: self._language.read(self._process_runner.buffer, sources, entry_point),
            len(sources),
            _CPU_SECONDS + len(sources),
        )
        if ended.timed_out_step is not None and ended.timed_out_step < 0:
            raise OSError("what reads programs took too long to start")
        steps = list(itertools.takewhile(lambda step: step.finished, ended.steps))
        programs = [self._language.program(step.texts[0]) if step.texts else None for step in steps]
        if len(programs) < len(sources) and (ended.signal or not programs):
            programs.append(None)
        return programs
