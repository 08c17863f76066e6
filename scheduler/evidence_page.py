"""Records of one problem of a run: the fold of its part of the log."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import RecordedOutputs, outputs_by_test
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
        outputs: recorded outputs by test, by number of the record; only those that are in memory.
    """

    candidates: tuple[CandidateRecord, ...] = ()
    tests: dict[int, TestRecord] = field(default_factory=dict)
    verdicts: dict[int, VerdictRecord] = field(default_factory=dict)
    written_inputs: WrittenInputs | None = None
    labels: NDArray[np.bool_] | None = None
    states: HiddenStatesRecord | None = None
    executed_in: dict[int, int] = field(default_factory=dict)
    rung_ends: list[int] = field(default_factory=list)
    outputs: dict[int, Mapping[int, RecordedOutputs]] = field(default_factory=dict)

    def add(self, number: int, record: Record) -> None:
        """Add a record of the problem.

        Args:
            number: its number in the log.
            record: the record; its outputs are kept if it has them.
        """
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

    def keep_outputs(self, number: int, outputs: RecordedOutputs | None) -> None:
        """Keep the outputs of a record in memory."""
        self.outputs[number] = {} if outputs is None else outputs_by_test(outputs)

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
            self.keep_outputs(number, record.outputs)
