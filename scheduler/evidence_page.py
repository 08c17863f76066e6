"""Records of one problem of a run: the fold of its part of the log."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence, RecordedOutputs, join_outputs, select_outputs
from testbudget.rewards.problem import WRITTEN_INPUTS
from testbudget.scheduler.log_records import (
    ExecutedRecord,
    ExtractedRecord,
    GeneratedRecord,
    LabelledRecord,
    Record,
    SampledRecord,
)
from testbudget.traces.records import (
    CandidateRecord,
    HiddenStatesRecord,
    TestRecord,
    VerdictRecord,
    WrittenInputs,
)


@dataclass(slots=True, eq=False)
class EvidencePage:
    """Records of one problem. Where the log holds a record twice, the first one counts.

    Attributes:
        candidates: in order of index; empty until they are sampled.
        tests, verdicts: by index of the test.
        written_inputs: inputs without expected values; None if there are none.
        labels: bool (candidates,); None until there are any.
        states: hidden states; None until there are any.
        executed_in: number of the record that holds the verdicts, by index of the test.
        rung_ends: number of tests up to the end of each executed rung, in the order of the log.
        outputs: recorded outputs by number of the record, None if it has none; only those in memory.
        joined: tests whose outputs were asked for last, and these outputs.
        evidence: tests whose evidence was asked for last, and the evidence; None after a record.
    """

    candidates: tuple[CandidateRecord, ...] = ()
    tests: dict[int, TestRecord] = field(default_factory=dict)
    verdicts: dict[int, VerdictRecord] = field(default_factory=dict)
    written_inputs: WrittenInputs | None = None
    labels: NDArray[np.bool_] | None = None
    states: HiddenStatesRecord | None = None
    executed_in: dict[int, int] = field(default_factory=dict)
    rung_ends: list[int] = field(default_factory=list)
    outputs: dict[int, RecordedOutputs | None] = field(default_factory=dict)
    joined: tuple[tuple[int, ...], RecordedOutputs | None] = ((), None)
    evidence: tuple[tuple[int, ...], Evidence] | None = None

    def add(self, number: int, record: Record) -> None:
        """Add a record of the problem.

        Args:
            number: its number in the log.
            record: the record; its outputs are kept if it has them.
        """
        self.evidence = None
        match record:
            case SampledRecord():
                self.candidates = self.candidates or record.candidates
            case ExtractedRecord():
                self.states = self.states or record.states
            case GeneratedRecord(first=first) if first == WRITTEN_INPUTS:
                self.written_inputs = self.written_inputs or WrittenInputs(
                    record.tests[0], None, len(self.tests)
                )
            case GeneratedRecord():
                for index, test in enumerate(record.tests, record.first):
                    self.tests.setdefault(index, test)
            case ExecutedRecord():
                self._executed(number, record)
            case LabelledRecord() if self.labels is None:
                self.labels = record.correct

    def outputs_of(self, tests: Sequence[int]) -> RecordedOutputs | None:
        """Recorded outputs of executed tests, ascending, all in memory; None if there are none.

        Tests that were asked for last, and come first, are not joined again.
        """
        wanted, (known, found) = tuple(tests), self.joined
        if wanted[: len(known)] != known:
            known, found = (), None
        parts = [] if found is None else [found]
        for number, group in itertools.groupby(wanted[len(known) :], self.executed_in.__getitem__):
            parts += _outputs_of_tests(self.outputs[number], set(group))
        if len(parts) > 1:
            found = join_outputs(parts)
        elif parts:
            (found,) = parts
        self.joined = wanted, found
        return found

    def _executed(self, number: int, record: ExecutedRecord) -> None:
        for index, verdict in zip(record.tests, record.verdicts, strict=True):
            if index != WRITTEN_INPUTS:
                self.verdicts.setdefault(index, verdict)
            elif self.written_inputs is not None and self.written_inputs.executed is None:
                self.written_inputs = replace(self.written_inputs, executed=verdict)
            self.executed_in.setdefault(index, number)
        if WRITTEN_INPUTS not in record.tests:
            self.rung_ends.append(max(record.tests) + 1)
        if record.outputs is not None:
            self.outputs[number] = record.outputs


def _outputs_of_tests(outputs: RecordedOutputs | None, tests: set[int]) -> list[RecordedOutputs]:
    """Recorded outputs of some tests of a record; whole, as a rule."""
    if outputs is None:
        return []
    of_tests = [place for place, call in enumerate(outputs.inputs) if call.test in tests]
    if len(of_tests) == len(outputs.inputs):
        return [outputs]
    return [select_outputs(outputs, inputs=of_tests)] if of_tests else []
