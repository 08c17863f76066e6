"""Records of the event log: the content of an event, one record for each of its tasks, in their order.

The core decides by the numbers of an event alone. Texts, verdicts and outputs are for the evidence store,
the generator and the tables of the run.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import RecordedOutputs
from testbudget.traces.hidden_states import Provenance
from testbudget.traces.pair_reasons import PairReasons
from testbudget.traces.records import (
    CandidateRecord,
    HiddenStatesRecord,
    Piece,
    TestRecord,
    VerdictRecord,
)


@dataclass(frozen=True, slots=True, eq=False)
class SampledRecord:
    """Candidates of a problem, in order of index.

    Attributes:
        problem: id of the problem.
        candidates: all candidates.
        piece: None if they were taken from a run or a file.
    """

    problem: str
    candidates: tuple[CandidateRecord, ...]
    piece: Piece | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ExtractedRecord:
    """Hidden states of a problem.

    Attributes:
        problem: id of the problem.
        states: the states and their cost.
        layers: numbers of the layers, the same for all problems of a run.
        provenance: None if unknown; the same for all problems of a run.
        piece: None if they were taken from a run.
    """

    problem: str
    states: HiddenStatesRecord
    layers: tuple[int, ...]
    provenance: Provenance | None = None
    piece: Piece | None = None


@dataclass(frozen=True, slots=True, eq=False)
class GeneratedRecord:
    """Generated tests of a task, usable or not.

    Attributes:
        problem: id of the problem.
        first: index of the first test among the problem's.
        tests: the tests, with consecutive indices.
        piece: where and when they were generated.
    """

    problem: str
    first: int
    tests: tuple[TestRecord, ...]
    piece: Piece | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ExecutedRecord:
    """Verdicts of one rung of a task.

    Attributes:
        problem: id of the problem.
        tests: indices of the tests among the problem's, ascending.
        verdicts: verdicts of each test on all distinct programs.
        outputs: outputs of all distinct programs on these tests; None if not recorded.
        piece: where and when they were executed.
        reasons: reasons of the verdicts; None if unknown.
    """

    problem: str
    tests: tuple[int, ...]
    verdicts: tuple[VerdictRecord, ...]
    outputs: RecordedOutputs | None = None
    piece: Piece | None = None
    reasons: PairReasons | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AssessedRecord:
    """Pick of a problem by the tests told so far.

    Attributes:
        problem: id of the problem.
        pick: index of the candidate that would be picked.
        p_correct: probability that it is correct; NaN if not computed.
    """

    problem: str
    pick: int
    p_correct: float


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRecord:
    """Labels of the candidates of a problem.

    Attributes:
        problem: id of the problem.
        correct: bool (candidates,).
        piece: None if they were taken from a run.
    """

    problem: str
    correct: NDArray[np.bool_]
    piece: Piece | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FailedRecord:
    """Reason, as a sentence, for which the infrastructure lost the work of a task."""

    problem: str
    reason: str


Record = (
    SampledRecord
    | ExtractedRecord
    | GeneratedRecord
    | ExecutedRecord
    | AssessedRecord
    | LabelledRecord
    | FailedRecord
)
