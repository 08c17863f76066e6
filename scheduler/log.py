"""The journal: sole owner of what was seen in a run, on disk before it counts.

SQLite in WAL mode, one writer. Every test is booked before it is made and every verdict is kept once,
so a run that is killed at any moment goes on from here with nothing lost but the work in flight.
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

_SCHEMA = """
CREATE TABLE IF NOT EXISTS extraction (layers TEXT NOT NULL, provenance TEXT);
CREATE TABLE IF NOT EXISTS states (
    problem TEXT PRIMARY KEY, states BLOB NOT NULL, truncated INTEGER, cpu_seconds REAL, gpu_seconds REAL
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS candidates (
    problem TEXT, candidate INTEGER, text TEXT NOT NULL, continues_prompt INTEGER NOT NULL,
    tokens INTEGER NOT NULL, gpu_seconds REAL, PRIMARY KEY (problem, candidate)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS labels (problem TEXT PRIMARY KEY, correct BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grants (
    problem TEXT, first INTEGER, tests INTEGER NOT NULL, PRIMARY KEY (problem, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tests (
    problem TEXT, test INTEGER, status TEXT NOT NULL, text TEXT NOT NULL, seed INTEGER NOT NULL,
    tokens INTEGER, gpu_seconds REAL, PRIMARY KEY (problem, test)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (
    problem TEXT, test INTEGER, verdicts BLOB NOT NULL, cpu_seconds BLOB NOT NULL, together BLOB NOT NULL,
    variations INTEGER NOT NULL, PRIMARY KEY (problem, test)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS behaviours (
    problem TEXT, test INTEGER, behaviour BLOB NOT NULL, PRIMARY KEY (problem, test)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS looks (
    problem TEXT PRIMARY KEY, tests INTEGER NOT NULL, stops INTEGER NOT NULL) WITHOUT ROWID;
"""


class EventLog:
    """What was seen in one run: an SQLite file, and the same in memory for reading.

    Behaviours alone stay on disk: they are large, and only asked for problem by problem.

    Attributes:
        candidates, tests, verdicts: records by problem id, then by index.
        labels: bool (candidates,) by problem id.
        grants: in the order of their first test, by problem id.
        looks: the latest one by problem id.
        states: hidden states by problem id.
        layers, provenance: of all hidden states; no layer and None until there are any.
    """

    def __init__(self, path: Path) -> None:
        """Opens or creates the journal, alone.

        Raises:
            UserError: another process has it open, or the file is no journal.
        """
        self._lock = path.with_suffix(".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise UserError(f"{path.parent} must not be in use but another process is running it") from None
        self._database = sqlite3.connect(path, isolation_level=None)
        self.candidates: dict[str, dict[int, CandidateRecord]] = defaultdict(dict)
        self.labels: dict[str, NDArray[np.bool_]] = {}
        self.grants: dict[str, list[TaskRecord]] = defaultdict(list)
        self.tests: dict[str, dict[int, TestRecord]] = defaultdict(dict)
        self.verdicts: dict[str, dict[int, VerdictRecord]] = defaultdict(dict)
        self.looks: dict[str, HarmCheckRecord] = {}
        self.states: dict[str, HiddenStatesRecord] = {}
        self.layers: tuple[int, ...] = ()
        self.provenance: Provenance | None = None
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
            self._load()
        except sqlite3.DatabaseError as error:
            self.close()
            raise UserError(f"{path} must be the journal of a run but it cannot be read: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file and lets others open it."""
        self._database.close()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is added inside reaches the disk together or not at all."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def add_extraction(self, layers: Sequence[int], provenance: Provenance | None) -> None:
        """Says of which layers, and from where, all hidden states of the run are."""
        row = (json.dumps(list(layers)), provenance and provenance.to_json())
        self._database.execute("INSERT INTO extraction VALUES (?, ?)", row)
        self.layers, self.provenance = tuple(layers), provenance

    def add_states(self, problem: str, record: HiddenStatesRecord) -> None:
        """Keeps the hidden states of one problem."""
        row = (
            problem,
            record.states.tobytes(),
            record.truncated,
            record.cpu_seconds,
            record.gpu_seconds,
        )
        self._database.execute("INSERT INTO states VALUES (?, ?, ?, ?, ?)", row)
        self.states[problem] = record

    def add_candidate(self, problem: str, index: int, record: CandidateRecord) -> None:
        """Keeps one candidate."""
        row = (problem, index, record.text, record.continues_prompt, record.tokens, record.gpu_seconds)
        self._database.execute("INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?)", row)
        self.candidates[problem][index] = record

    def add_labels(self, problem: str, correct: NDArray[np.bool_]) -> None:
        """Keeps which candidates the ground truth calls right."""
        self._database.execute("INSERT INTO labels VALUES (?, ?)", (problem, correct.tobytes()))
        self.labels[problem] = correct

    def add_grant(self, grant: TaskRecord) -> None:
        """Books a block of tests, before any of them is made."""
        row = (grant.problem, grant.first, grant.tests)
        self._database.execute("INSERT INTO grants VALUES (?, ?, ?)", row)
        self.grants[grant.problem].append(grant)

    def add_test(self, problem: str, index: int, record: TestRecord) -> None:
        """Keeps one written test."""
        row = (problem, index, record.status, record.text, record.seed, record.tokens, record.gpu_seconds)
        self._database.execute("INSERT INTO tests VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self.tests[problem][index] = record

    def add_verdicts(self, problem: str, test: int, record: VerdictRecord) -> None:
        """Keeps the verdicts of one test."""
        arrays = (record.verdicts, record.cpu_seconds, record.same_process)
        row = (problem, test, *(array.tobytes() for array in arrays), record.input_mutations)
        self._database.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)
        self.verdicts[problem][test] = record

    def add_recorded_outputs(self, problem: str, test: int, recorded_outputs: RecordedOutputs) -> None:
        """Keeps what the distinct candidates did on the calls of one test."""
        row = (problem, test, pack_outputs(recorded_outputs))
        self._database.execute("INSERT INTO behaviours VALUES (?, ?, ?)", row)

    def add_look(self, problem: str, look: HarmCheckRecord) -> None:
        """Keeps what a problem was found to be; an earlier look is forgotten."""
        row = (problem, look.tests, look.stops)
        self._database.execute("INSERT OR REPLACE INTO looks VALUES (?, ?, ?)", row)
        self.looks[problem] = look

    def recorded_outputs_of(self, problem: str) -> RecordedOutputs | None:
        """What a problem's distinct candidates did on all its tests, in their order; None if unrecorded."""
        select = "SELECT behaviour FROM behaviours WHERE problem = ? ORDER BY test"
        parts = [unpack_outputs(packed) for (packed,) in self._database.execute(select, (problem,))]
        return join_outputs(parts) if parts else None

    def candidates_of(self, problem: str) -> list[CandidateRecord]:
        """Candidates of a problem, in the order of their indices."""
        return [record for _, record in sorted(self.candidates[problem].items())]

    def granted(self, problem: str) -> int:
        """Tests of a problem that were booked so far."""
        return sum(grant.tests for grant in self.grants[problem])

    def _load(self) -> None:
        select = self._database.execute
        for layers, provenance in select("SELECT * FROM extraction"):
            self.layers = tuple(json.loads(layers))
            self.provenance = Provenance.from_json(provenance) if provenance else None
        for problem, states, truncated, cpu_seconds, gpu_seconds in select("SELECT * FROM states"):
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
        for problem, first, tests in select("SELECT * FROM grants ORDER BY problem, first"):
            self.grants[problem].append(TaskRecord(problem, first, tests))
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
        for problem, tests, stops in select("SELECT * FROM looks"):
            self.looks[problem] = HarmCheckRecord(tests, bool(stops))


def _known(amount: float | None) -> float:
    # SQLite stores NaN, our 'nobody measured it', as NULL.
    return float("nan") if amount is None else amount
