"""Records of a run by problem, paged from the log: the fold of the log's payloads in bounded memory."""

import itertools
from array import array
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence, RecordedOutputs
from testbudget.rewards.problem import WRITTEN_INPUTS
from testbudget.scheduler.event_log import Entry, EventLog
from testbudget.scheduler.evidence_page import EvidencePage
from testbudget.scheduler.log_records import (
    ExecutedRecord,
    ExtractedRecord,
    GeneratedRecord,
    LabelledRecord,
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

MAX_PAGES = 1024
"""Problems whose records are in memory, those that were used last; 100 to 200 kB each."""

_KINDS = {
    kind.__name__: 1 << place
    for place, kind in enumerate(
        (SampledRecord, ExtractedRecord, GeneratedRecord, ExecutedRecord, LabelledRecord)
    )
}
"""Bit of each kind of record that a page is made of."""

_T = TypeVar("_T")


class PagedRecords(Mapping[str, _T], Generic[_T]):
    """One kind of records by problem id, read from the log when it is asked for.

    Args:
        known: bits of the kinds of records that each problem has.
        kind: class of the record without which a problem is not in the mapping.
        read: the records of a problem.
    """

    def __init__(self, known: Mapping[str, int], kind: type, read: Callable[[str], _T]) -> None:
        self._known, self._bit, self._read = known, _KINDS[kind.__name__], read

    def __contains__(self, problem: object) -> bool:
        return isinstance(problem, str) and bool(self._known.get(problem, 0) & self._bit)

    def __getitem__(self, problem: str) -> _T:
        return self._read(problem)

    def __iter__(self) -> Iterator[str]:
        return (problem for problem, kinds in self._known.items() if kinds & self._bit)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class EvidenceStore:
    """Records of a run by problem.

    The records of a problem are its *page*. A page is read from the log when it is needed. The last
    ``MAX_PAGES`` stay in memory. Of all others the numbers of their records do, 8 bytes each.

    Where the log holds a record twice, the first one counts: the core ignores the event of a late double.

    Args:
        log: log of the run. The kinds and problems of its records are read once, here.
        max_pages: pages to keep in memory.

    Attributes:
        tests, verdicts: records by problem id, then by index of the test; empty for a problem without any.
        written_inputs: inputs without expected values, by problem id.
        labels: bool (candidates,) by problem id.
        states: hidden states by problem id.
    """

    tests: Mapping[str, dict[int, TestRecord]]
    verdicts: Mapping[str, dict[int, VerdictRecord]]
    written_inputs: Mapping[str, WrittenInputs | None]
    labels: Mapping[str, NDArray[np.bool_] | None]
    states: Mapping[str, HiddenStatesRecord | None]

    def __init__(self, log: EventLog, max_pages: int = MAX_PAGES) -> None:
        self._log, self._max_pages = log, max_pages
        self._numbers: dict[str, array[int]] = {}  # of the records of each problem
        self._known: dict[str, int] = {}  # bits of their kinds
        self._pages: OrderedDict[str, EvidencePage] = OrderedDict()
        self._first_states: str | None = None  # the problem whose hidden states came first
        self.tests = PagedRecords(self._known, GeneratedRecord, lambda one: self._page(one).tests)
        self.verdicts = PagedRecords(self._known, ExecutedRecord, lambda one: self._page(one).verdicts)
        self.written_inputs = PagedRecords(
            self._known, GeneratedRecord, lambda one: self._page(one).written_inputs
        )
        self.labels = PagedRecords(self._known, LabelledRecord, lambda one: self._page(one).labels)
        self.states = PagedRecords(self._known, ExtractedRecord, lambda one: self._page(one).states)
        self._records = 0  # applied so far
        for number, kind, problem in log.heads():
            self._records = number
            self._note(number, kind, problem)

    def apply(self, entry: Entry) -> None:
        """Add the records of an entry. Every entry is applied once, after its append and in its order."""
        for record in entry.records:
            self._records += 1
            problem, new = record.problem, record.problem not in self._numbers
            self._note(self._records, type(record).__name__, problem)
            if new and problem in self._numbers:
                self._keep(problem, EvidencePage())
            if problem in self._pages:
                self._pages[problem].add(self._records, record)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers of all hidden states; empty until there are any."""
        first = self._first_extracted()
        return () if first is None else first.layers

    @property
    def provenance(self) -> Provenance | None:
        """Origin of all hidden states; None until there are any, or if unknown."""
        first = self._first_extracted()
        return None if first is None else first.provenance

    def candidates_of(self, problem: str) -> Sequence[CandidateRecord]:
        """Candidates of a problem, in order of index; empty until they are sampled."""
        return self._page(problem).candidates

    def is_sampled(self, problem: str) -> bool:
        """True if the candidates of a problem are there. No page is read."""
        return bool(self._known.get(problem, 0) & _KINDS[SampledRecord.__name__])

    def rung_ends(self, problem: str) -> Sequence[int]:
        """Number of a problem's tests up to the end of each executed rung, in the order of the log."""
        return self._page(problem).rung_ends

    def recorded_outputs_of(
        self, problem: str, tests: Collection[int] | None = None
    ) -> RecordedOutputs | None:
        """Outputs of a problem's distinct programs, in the order of the tests; None if not recorded.

        Args:
            problem: id of the problem.
            tests: indices of the tests whose outputs are wanted; None for all.
        """
        page = self._page(problem)
        wanted = sorted(page.executed_in if tests is None else page.executed_in.keys() & tests)
        missing = {page.executed_in[test] for test in wanted} - page.outputs.keys()
        for number, record in self._executed(problem, sorted(missing)):
            page.outputs[number] = record.outputs
        return page.outputs_of(wanted)

    def reasons_of(self, problem: str) -> PairReasons | None:
        """Reasons of a problem's verdicts, in the order of the tests; None if there are none."""
        executed_in = sorted(self._page(problem).executed_in.items())
        records = dict(self._executed(problem, sorted({number for _, number in executed_in})))
        parts = []
        for number, group in itertools.groupby(executed_in, key=lambda item: item[1]):
            if (reasons := records[number].reasons) is not None:
                parts.append(reasons.of_tests([test for test, _ in group]))
        return join_reasons(parts) if parts else None

    def evidence(
        self, item: ProblemCandidates, tests: int | None = None, *, all_inputs: bool = True
    ) -> Evidence:
        """Evidence of a problem's executed tests and written inputs, without statistics of the batch.

        It is not to be changed: it is kept, since elimination and assessment ask for the same.

        Args:
            item: the problem.
            tests: only tests with a smaller index count; None for all.
            all_inputs: False leaves out written inputs that came after the last of these tests.
        """
        page = self._page(item.problem.id)
        verdicts = page.verdicts
        if tests is not None:
            verdicts = {test: record for test, record in verdicts.items() if test < tests}
        known, written = set(verdicts), page.written_inputs
        if written is not None and (all_inputs or tests is None or written.tests < tests):
            known.add(WRITTEN_INPUTS)
        key = tuple(sorted(known))
        if page.evidence is None or page.evidence[0] != key:
            outputs = self.recorded_outputs_of(item.problem.id, known)
            page.evidence = key, evidence_of(verdicts, item.distinct, outputs)
        return page.evidence[1]

    def _note(self, number: int, kind: str, problem: str) -> None:
        """Note that a record is in the log."""
        bit = _KINDS.get(kind)
        if bit is None:
            return
        if problem not in self._numbers:
            self._numbers[problem] = array("q")
        self._numbers[problem].append(number)
        self._known[problem] = self._known.get(problem, 0) | bit
        if self._first_states is None and kind == ExtractedRecord.__name__:
            self._first_states = problem

    def _page(self, problem: str) -> EvidencePage:
        page = self._pages.get(problem)
        if page is not None:
            self._pages.move_to_end(problem)
            return page
        page = EvidencePage()
        if problem in self._numbers:
            for number, record in self._log.records(self._numbers[problem], outputs=False):
                if record.problem != problem:
                    raise _not_applied(number)
                page.add(number, record)
            self._keep(problem, page)
        return page

    def _keep(self, problem: str, page: EvidencePage) -> None:
        self._pages[problem] = page
        if len(self._pages) > self._max_pages:
            self._pages.popitem(last=False)

    def _executed(self, problem: str, numbers: Sequence[int]) -> Iterator[tuple[int, ExecutedRecord]]:
        """Records of a problem's verdicts, with outputs and reasons."""
        for number, record in self._log.records(numbers):
            if not isinstance(record, ExecutedRecord) or record.problem != problem:
                raise _not_applied(number)
            yield number, record

    def _first_extracted(self) -> ExtractedRecord | None:
        if self._first_states is None:
            return None
        for _, record in self._log.records(self._numbers[self._first_states], outputs=False):
            if isinstance(record, ExtractedRecord):
                return record
        return None


def _not_applied(number: int) -> RuntimeError:
    return RuntimeError(f"record {number} is another one, so an entry of the log was not applied")
