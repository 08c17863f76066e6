"""The event log of a run that goes on, read without touching it: what its live page shows."""

import sqlite3
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.view.problem_columns import number
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.scheduler.core.events import DriverRestarted, RunStarted
from testbudget.scheduler.event_codec import EVENTS, decode_event
from testbudget.scheduler.event_log import LOG_FILE, LOG_SCHEMA_VERSION
from testbudget.scheduler.log_records import (
    AssessedRecord,
    ExecutedRecord,
    FailedRecord,
    GeneratedRecord,
    LabelledRecord,
    Record,
    SampledRecord,
)
from testbudget.scheduler.record_codec import decode_record
from testbudget.traces.missing_run import missing_run
from testbudget.traces.records import TestStatus
from testbudget.traces.tables import check_schema_version

_HAPPENINGS = 12  # last ones that are shown
_CURVE_POINTS = 300
_EVENTS_AT_ONCE = 5000
_NO_VERDICTS = np.empty(0, np.uint8)


@dataclass(slots=True)
class LiveProblem:
    """State of one problem.

    Attributes:
        id: id of the problem.
        candidates: number of candidates.
        tests: generated tests.
        usable: usable tests among them.
        voting: executed tests.
        pairs: executed pairs.
        passed: passed pairs.
        pick: candidate that would be picked; None before the first assessment.
        p_correct: probability that it is correct; None if unknown.
        correct: bool (candidates,), labels; None if unknown.
    """

    id: str
    candidates: int = 0
    tests: int = 0
    usable: int = 0
    voting: int = 0
    pairs: int = 0
    passed: int = 0
    pick: int | None = None
    p_correct: float | None = None
    correct: NDArray[np.bool_] | None = None

    def row(self) -> list[Any]:
        """The state as the page reads it: id, tests, voting, pick, p_correct, pairs, passed, candidates."""
        return [
            self.id,
            self.tests,
            self.voting,
            self.pick,
            number(self.p_correct),
            self.pairs,
            self.passed,
            self.candidates,
        ]


@dataclass(slots=True)
class LiveLog:
    """State of a run by its log so far. Reading never locks the log.

    Attributes:
        path: the log.
        seq: number of the last entry that was read.
        epoch: number of drivers so far; a resumed run has one more.
        expected: number of problems of the run; 0 before its log has a header.
        problems: problems by id, in the order in which they appeared.
        changed: ids of the problems that changed since :meth:`take_changed`.
        happenings: last things that happened: time, id of the problem, and a sentence.
        curve: points of tests so far, and mean p_correct of the picks by then (null if unknown).
    """

    path: Path
    seq: int = 0
    epoch: int = 1
    expected: int = 0
    problems: dict[str, LiveProblem] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    happenings: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=_HAPPENINGS))
    curve: list[list[float | int | None]] = field(default_factory=list)
    _tests: int = 0
    _chances: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_run(cls, directory: Path) -> "LiveLog":
        """The log of a run, not yet read.

        Raises:
            UserError: the directory has no event log, or one of another schema version.
        """
        log = cls(directory / LOG_FILE)
        if not log.path.exists():
            raise missing_run(directory, LOG_FILE)
        with log._opened() as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
        check_schema_version(log.path, version, LOG_SCHEMA_VERSION)
        return log

    def read(self) -> bool:
        """Fold what was appended since the last call; return False if nothing was.

        Raises:
            UserError: the log is damaged.
        """
        try:
            with self._opened() as database:
                before = self.seq
                while self._read_some(database):
                    pass
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path} must be the event log of a run but {error}") from None
        return self.seq != before

    def take_changed(self) -> list[list[Any]]:
        """Rows of the problems that changed since the last call."""
        rows = [self.problems[problem].row() for problem in self.problems if problem in self.changed]
        self.changed.clear()
        return rows

    def right(self) -> tuple[int, int]:
        """Number of right picks so far, and of labelled problems with a pick."""
        known = [
            bool(one.correct[one.pick])
            for one in self.problems.values()
            if one.pick is not None and one.correct is not None and one.pick < len(one.correct)
        ]
        return sum(known), len(known)

    def rows(self) -> list[list[Any]]:
        """Rows of all problems."""
        return [problem.row() for problem in self.problems.values()]

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(self.path.absolute()))}?mode=ro", uri=True, timeout=1)

    def _read_some(self, database: sqlite3.Connection) -> bool:
        events = database.execute(
            "SELECT seq, time, kind, numbers FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
            (self.seq, _EVENTS_AT_ONCE),
        ).fetchall()
        if not events:
            return False
        times = {seq: time for seq, time, _, _ in events}
        for _, _, kind, numbers in events:
            if kind in {RunStarted.__name__, DriverRestarted.__name__} and kind in EVENTS:
                event = decode_event(kind, numbers)
                self.epoch += isinstance(event, DriverRestarted)
                if isinstance(event, RunStarted):
                    self.expected = event.problems
        records = database.execute(
            "SELECT seq, kind, problem, payload FROM records WHERE seq > ? AND seq <= ? ORDER BY number",
            (self.seq, events[-1][0]),
        )
        for seq, kind, problem, payload in records:
            self._apply(times[seq], decode_record(kind, problem, payload, None, None))
        self.seq = events[-1][0]
        return True

    def _apply(self, time: float, record: Record) -> None:
        problem = self.problems.setdefault(record.problem, LiveProblem(record.problem))
        self.changed.add(record.problem)
        match record:
            case SampledRecord():
                problem.candidates = len(record.candidates)
            case GeneratedRecord():
                usable = sum(test.status is TestStatus.USABLE for test in record.tests)
                problem.tests += len(record.tests)
                self._tests += len(record.tests)
                problem.usable += usable
                self._tell(time, problem, f"{_tests_text(len(record.tests))} written, {usable} usable")
            case ExecutedRecord():
                verdicts = np.concatenate([one.verdicts for one in record.verdicts] or [_NO_VERDICTS])
                pairs, passed = int((verdicts != NOT_RUN).sum()), int((verdicts == Verdict.PASSED).sum())
                problem.voting += len(record.tests)
                problem.pairs += pairs
                problem.passed += passed
                self._tell(
                    time,
                    problem,
                    f"{_tests_text(len(record.tests))} executed, {passed} of {pairs} pairs passed",
                )
            case AssessedRecord():
                known = record.p_correct == record.p_correct
                problem.pick, problem.p_correct = record.pick, record.p_correct if known else None
                if known:
                    self._chances[record.problem] = record.p_correct
                    self._add_point()
                chance = f" with a chance of {record.p_correct:.0%}" if known else ""
                self._tell(time, problem, f"candidate #{record.pick} leads{chance}")
            case LabelledRecord():
                problem.correct = record.correct
            case FailedRecord():
                self._tell(time, problem, f"failed: {record.reason}")

    def _tell(self, time: float, problem: LiveProblem, sentence: str) -> None:
        self.happenings.append((round(time, 1), problem.id, sentence))

    def _add_point(self) -> None:
        """Add a point to the curve; of more than ``_CURVE_POINTS`` every second one is kept."""
        if self.curve and self.curve[-1][0] == self._tests:
            self.curve.pop()
        self.curve.append([self._tests, number(sum(self._chances.values()) / len(self._chances))])
        if len(self.curve) > _CURVE_POINTS:
            self.curve = self.curve[:-1:2] + self.curve[-1:]


def _tests_text(count: int) -> str:
    return f"{count} test{'s' * (count != 1)}"
