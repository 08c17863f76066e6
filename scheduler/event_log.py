"""The event log of a run: an SQLite file to which each event is added before it is acted on.

WAL mode, one writer. A task is logged before its tests are generated, and each verdict is logged once, so a
run that is killed at any moment is resumed from the log. Only work in flight is lost.

``PRAGMA user_version`` holds ``SCHEMA_VERSION``; a log of another version is refused.
"""

import fcntl
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import RecordedOutputs, join_outputs
from testbudget.traces.hidden_states import Provenance
from testbudget.traces.output_tables import pack_outputs, unpack_outputs
from testbudget.traces.records import (
    CandidateRecord,
    HarmCheckRecord,
    HiddenStatesRecord,
    TaskRecord,
    TestRecord,
    TestStatus,
    VerdictRecord,
)
from testbudget.traces.tables import SCHEMA_VERSION, check_schema_version

LOG_FILE = "log.sqlite"
"""Name of the event log in a run directory."""

_TABLES = """
CREATE TABLE IF NOT EXISTS extraction (layers TEXT NOT NULL, provenance TEXT);
CREATE TABLE IF NOT EXISTS hidden_states (
    problem TEXT PRIMARY KEY, states BLOB NOT NULL, truncated INTEGER, cpu_seconds REAL, gpu_seconds REAL
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS candidates (
    problem TEXT, candidate INTEGER, text TEXT NOT NULL, continues_prompt INTEGER NOT NULL,
    tokens INTEGER NOT NULL, gpu_seconds REAL, PRIMARY KEY (problem, candidate)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS labels (problem TEXT PRIMARY KEY, correct BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
    problem TEXT, first INTEGER, tests INTEGER NOT NULL, PRIMARY KEY (problem, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tests (
    problem TEXT, test INTEGER, status TEXT NOT NULL, text TEXT NOT NULL, seed INTEGER NOT NULL,
    tokens INTEGER, gpu_seconds REAL, PRIMARY KEY (problem, test)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (
    problem TEXT, test INTEGER, verdicts BLOB NOT NULL, cpu_seconds BLOB NOT NULL,
    same_process BLOB NOT NULL, input_mutations INTEGER NOT NULL, PRIMARY KEY (problem, test)
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recorded_outputs (
    problem TEXT, test INTEGER, outputs BLOB NOT NULL, PRIMARY KEY (problem, test)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS harm_checks (
    problem TEXT PRIMARY KEY, tests INTEGER NOT NULL, stops INTEGER NOT NULL) WITHOUT ROWID;
"""


class EventLog:
    """Events of one run: an SQLite file, and its content in memory for reading.

    Recorded outputs stay on disk, since they are large and are read one problem at a time.

    Attributes:
        candidates, tests, verdicts: records by problem id, then by index.
        labels: bool (candidates,) by problem id.
        tasks: by problem id, in the order of their first test.
        harm_checks: the latest one of each problem, by problem id.
        states: hidden states by problem id.
        layers: layers of all hidden states; empty until there are any.
        provenance: origin of all hidden states; None until there are any, or if unknown.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the log, with an exclusive lock.

        Raises:
            UserError: another process has it open, the file is no event log, or it has another
                schema version.
        """
        self._lock = path.with_suffix(".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise UserError(f"{path.parent} is in use: another process is running it") from None
        self._database = sqlite3.connect(path, isolation_level=None)
        self.candidates: dict[str, dict[int, CandidateRecord]] = defaultdict(dict)
        self.labels: dict[str, NDArray[np.bool_]] = {}
        self.tasks: dict[str, list[TaskRecord]] = defaultdict(list)
        self.tests: dict[str, dict[int, TestRecord]] = defaultdict(dict)
        self.verdicts: dict[str, dict[int, VerdictRecord]] = defaultdict(dict)
        self.harm_checks: dict[str, HarmCheckRecord] = {}
        self.states: dict[str, HiddenStatesRecord] = {}
        self.layers: tuple[int, ...] = ()
        self.provenance: Provenance | None = None
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._check_schema(path)
            self._database.executescript(f"PRAGMA user_version = {SCHEMA_VERSION}; {_TABLES}")
            self._load()
        except UserError:
            self.close()
            raise
        except sqlite3.DatabaseError as error:
            self.close()
            raise UserError(
                f"{path} must be the event log of a run but it cannot be read: {error}"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release its lock."""
        self._database.close()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Context whose additions reach the disk together or not at all."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def add_extraction(self, layers: Sequence[int], provenance: Provenance | None) -> None:
        """Log the layers and the origin of all hidden states of the run."""
        row = (json.dumps(list(layers)), provenance and provenance.to_json())
        self._database.execute("INSERT INTO extraction VALUES (?, ?)", row)
        self.layers, self.provenance = tuple(layers), provenance

    def add_states(self, problem: str, record: HiddenStatesRecord) -> None:
        """Log the hidden states of one problem."""
        row = (
            problem,
            record.states.tobytes(),
            record.truncated,
            record.cpu_seconds,
            record.gpu_seconds,
        )
        self._database.execute("INSERT INTO hidden_states VALUES (?, ?, ?, ?, ?)", row)
        self.states[problem] = record

    def add_candidate(self, problem: str, index: int, record: CandidateRecord) -> None:
        """Log one candidate."""
        row = (problem, index, record.text, record.continues_prompt, record.tokens, record.gpu_seconds)
        self._database.execute("INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?)", row)
        self.candidates[problem][index] = record

    def add_labels(self, problem: str, correct: NDArray[np.bool_]) -> None:
        """Log the labels of the candidates of one problem, bool (candidates,)."""
        self._database.execute("INSERT INTO labels VALUES (?, ?)", (problem, correct.tobytes()))
        self.labels[problem] = correct

    def add_task(self, task: TaskRecord) -> None:
        """Log a task, before any of its tests is generated."""
        row = (task.problem, task.first, task.tests)
        self._database.execute("INSERT INTO tasks VALUES (?, ?, ?)", row)
        self.tasks[task.problem].append(task)

    def add_test(self, problem: str, index: int, record: TestRecord) -> None:
        """Log one generated test."""
        row = (problem, index, record.status, record.text, record.seed, record.tokens, record.gpu_seconds)
        self._database.execute("INSERT INTO tests VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self.tests[problem][index] = record

    def add_verdicts(self, problem: str, test: int, record: VerdictRecord) -> None:
        """Log the verdicts of one test."""
        arrays = (record.verdicts, record.cpu_seconds, record.same_process)
        row = (problem, test, *(array.tobytes() for array in arrays), record.input_mutations)
        self._database.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)
        self.verdicts[problem][test] = record

    def add_recorded_outputs(self, problem: str, test: int, recorded_outputs: RecordedOutputs) -> None:
        """Log the outputs of the distinct candidates on the calls of one test."""
        row = (problem, test, pack_outputs(recorded_outputs))
        self._database.execute("INSERT INTO recorded_outputs VALUES (?, ?, ?)", row)

    def add_harm_check(self, problem: str, check: HarmCheckRecord) -> None:
        """Log the result of a harm check; it replaces an earlier one of the problem."""
        row = (problem, check.tests, check.stops)
        self._database.execute("INSERT OR REPLACE INTO harm_checks VALUES (?, ?, ?)", row)
        self.harm_checks[problem] = check

    def recorded_outputs_of(self, problem: str) -> RecordedOutputs | None:
        """Outputs of a problem's distinct candidates on its tests, in their order; None if not recorded."""
        select = "SELECT outputs FROM recorded_outputs WHERE problem = ? ORDER BY test"
        parts = [unpack_outputs(packed) for (packed,) in self._database.execute(select, (problem,))]
        return join_outputs(parts) if parts else None

    def candidates_of(self, problem: str) -> list[CandidateRecord]:
        """Candidates of a problem, in the order of their indices."""
        return [record for _, record in sorted(self.candidates[problem].items())]

    def granted(self, problem: str) -> int:
        """Number of tests in the tasks of a problem so far."""
        return sum(task.tests for task in self.tasks[problem])

    def _check_schema(self, path: Path) -> None:
        if not self._database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            return  # a new file
        (found,) = self._database.execute("PRAGMA user_version").fetchone()
        check_schema_version(path, found)

    def _load(self) -> None:
        select = self._database.execute
        for layers, provenance in select("SELECT * FROM extraction"):
            self.layers = tuple(json.loads(layers))
            self.provenance = Provenance.from_json(provenance) if provenance else None
        for problem, states, truncated, cpu_seconds, gpu_seconds in select("SELECT * FROM hidden_states"):
            self.states[problem] = HiddenStatesRecord(
                np.frombuffer(states, np.float16).reshape(len(self.layers), -1),
                None if truncated is None else bool(truncated),
                _known(cpu_seconds),
                _known(gpu_seconds),
            )
        for problem, index, text, continues, tokens, gpu_seconds in select("SELECT * FROM candidates"):
            record = CandidateRecord(text, bool(continues), tokens, _known(gpu_seconds))
            self.candidates[problem][index] = record
        for problem, correct in select("SELECT * FROM labels"):
            self.labels[problem] = np.frombuffer(correct, dtype=np.bool_)
        for problem, first, tests in select("SELECT * FROM tasks ORDER BY problem, first"):
            self.tasks[problem].append(TaskRecord(problem, first, tests))
        for problem, index, status, text, seed, tokens, gpu_seconds in select("SELECT * FROM tests"):
            self.tests[problem][index] = TestRecord(
                TestStatus(status), text, seed, _known(tokens), _known(gpu_seconds)
            )
        for problem, index, verdicts, cpu_seconds, same_process, input_mutations in select(
            "SELECT * FROM verdicts"
        ):
            self.verdicts[problem][index] = VerdictRecord(
                np.frombuffer(verdicts, dtype=np.uint8),
                np.frombuffer(cpu_seconds, dtype=np.float32),
                np.frombuffer(same_process, dtype=np.bool_),
                input_mutations,
            )
        for problem, tests, stops in select("SELECT * FROM harm_checks"):
            self.harm_checks[problem] = HarmCheckRecord(tests, bool(stops))


def _known(amount: float | None) -> float:
    # SQLite stores NaN, which stands for an unmeasured amount, as NULL.
    return float("nan") if amount is None else amount
