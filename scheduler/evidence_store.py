"""Records of a run by problem: the fold of the log's payloads."""

import itertools
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence, RecordedOutputs, join_outputs, outputs_by_test
from testbudget.rewards.problem import WRITTEN_INPUTS
from testbudget.scheduler.event_log import Entry, EventLog
from testbudget.scheduler.log_records import (
    ExecutedRecord,
    ExtractedRecord,
    GeneratedRecord,
    LabelledRecord,
    Record,
    SampledRecord,
)
from testbudget.traces.hidden_states import Provenance
from testbudget.traces.pair_reasons import PairReasons, join_reasons
from testbudget.traces.records import (
    CandidateRecord,
    HiddenStatesRecord,
    ProblemCandidates,
    TestRecord,
    VerdictRecord,
    WrittenInputs,
    evidence_of,
)

_RECENT = 4096
"""Records whose outputs are kept in memory, those that were used last; a few kB each."""


class EvidenceStore:
    """Records of a run by problem.

    Recorded outputs and reasons stay in the log; the outputs that were used last are in memory too.

    Where the log holds a record twice, the first one counts: the core ignores the event of a late double.

    Args:
        log: log of the run. Its entries are read once, here.

    Attributes:
        tests, verdicts: records by problem id, then by index of the test.
        written_inputs: inputs without expected values, by problem id.
        labels: bool (candidates,) by problem id.
        states: hidden states by problem id.
        layers: layers of all hidden states; empty until there are any.
        provenance: origin of all hidden states; None until there are any, or if unknown.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._records = 0  # applied so far
        self._candidates: dict[str, tuple[CandidateRecord, ...]] = {}
        self.tests: dict[str, dict[int, TestRecord]] = defaultdict(dict)
        self.verdicts: dict[str, dict[int, VerdictRecord]] = defaultdict(dict)
        self.written_inputs: dict[str, WrittenInputs] = {}
        self.labels: dict[str, NDArray[np.bool_]] = {}
        self.states: dict[str, HiddenStatesRecord] = {}
        self.layers: tuple[int, ...] = ()
        self.provenance: Provenance | None = None
        self._executed_in: dict[str, dict[int, int]] = defaultdict(dict)  # records of verdicts, by test
        self._recent: OrderedDict[int, Mapping[int, RecordedOutputs]] = OrderedDict()  # by record, by test
        for entry in log.entries(outputs=False):
            self.apply(entry)

    def apply(self, entry: Entry) -> None:
        """Add the records of an entry. Every entry is applied once, after its append and in its order."""
        for record in entry.records:
            self._records += 1
            self._add(record)

    def candidates_of(self, problem: str) -> Sequence[CandidateRecord]:
        """Candidates of a problem, in order of index; empty until they are sampled."""
        return self._candidates.get(problem, ())

    def recorded_outputs_of(
        self, problem: str, tests: Collection[int] | None = None
    ) -> RecordedOutputs | None:
        """Outputs of a problem's distinct programs, in the order of the tests; None if not recorded.

        Args:
            problem: id of the problem.
            tests: indices of the tests whose outputs are wanted; None for all.
        """
        executed_in = self._executed_in.get(problem, {})
        wanted = sorted(executed_in if tests is None else executed_in.keys() & tests)
        parts = [
            part
            for test in wanted
            if (part := self._outputs_in(executed_in[test], problem, test).get(test)) is not None
        ]
        return join_outputs(parts) if parts else None

    def reasons_of(self, problem: str) -> PairReasons | None:
        """Reasons of a problem's verdicts, in the order of the tests; None if there are none."""
        parts = []
        executed_in = sorted(self._executed_in.get(problem, {}).items())
        for number, group in itertools.groupby(executed_in, key=lambda item: item[1]):
            record = self._log.record(number)
            if isinstance(record, ExecutedRecord) and record.reasons is not None:
                parts.append(record.reasons.of_tests([test for test, _ in group]))
        return join_reasons(parts) if parts else None

    def evidence(
        self, item: ProblemCandidates, tests: int | None = None, *, all_inputs: bool = True
    ) -> Evidence:
        """Evidence of a problem's executed tests and written inputs, without statistics of the batch.

        Args:
            item: the problem.
            tests: only tests with a smaller index count; None for all.
            all_inputs: False leaves out written inputs that came after the last of these tests.
        """
        problem = item.problem.id
        verdicts: Mapping[int, VerdictRecord] = self.verdicts.get(problem, {})
        if tests is not None:
            verdicts = {test: record for test, record in verdicts.items() if test < tests}
        known = set(verdicts)
        written = self.written_inputs.get(problem)
        if written is not None and (all_inputs or tests is None or written.tests < tests):
            known.add(WRITTEN_INPUTS)
        return evidence_of(verdicts, item.distinct, self.recorded_outputs_of(problem, known))

    def _outputs_in(self, number: int, problem: str, test: int) -> Mapping[int, RecordedOutputs]:
        """Recorded outputs in one record, that of a test of a problem among others, by test."""
        if number in self._recent:
            self._recent.move_to_end(number)
            return self._recent[number]
        record = self._log.record(number)
        if not isinstance(record, ExecutedRecord) or record.problem != problem or test not in record.tests:
            raise RuntimeError(f"record {number} is another one, so an entry of the log was not applied")
        return self._keep(number, record.outputs)

    def _keep(self, number: int, outputs: RecordedOutputs | None) -> Mapping[int, RecordedOutputs]:
        by_test = {} if outputs is None else outputs_by_test(outputs)
        self._recent[number] = by_test
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        return by_test

    def _executed_inputs(self, problem: str, verdict: VerdictRecord) -> None:
        written = self.written_inputs[problem]
        if written.executed is None:
            self.written_inputs[problem] = replace(written, executed=verdict)

    def _add(self, record: Record) -> None:
        problem = record.problem
        match record:
            case SampledRecord():
                self._candidates.setdefault(problem, record.candidates)
            case ExtractedRecord() if problem not in self.states:
                self.states[problem] = record.states
                self.layers, self.provenance = record.layers, record.provenance
            case GeneratedRecord(first=first) if first == WRITTEN_INPUTS:
                written = WrittenInputs(record.tests[0], None, len(self.tests[problem]))
                self.written_inputs.setdefault(problem, written)
            case GeneratedRecord():
                tests = self.tests[problem]
                for index, test in enumerate(record.tests, record.first):
                    tests.setdefault(index, test)
            case ExecutedRecord():
                verdicts, executed_in = self.verdicts[problem], self._executed_in[problem]
                for index, verdict in zip(record.tests, record.verdicts, strict=True):
                    if index == WRITTEN_INPUTS:
                        self._executed_inputs(problem, verdict)
                    else:
                        verdicts.setdefault(index, verdict)
                    executed_in.setdefault(index, self._records)
                if record.outputs is not None:
                    self._keep(self._records, record.outputs)
            case LabelledRecord():
                self.labels.setdefault(problem, record.correct)
