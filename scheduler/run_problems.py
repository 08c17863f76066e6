"""Problems of a run by position, with what the run has recorded about each: candidates and evidence."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.problem import Problem
from testbudget.scheduler.evidence_store import MAX_PAGES, EvidenceStore
from testbudget.traces.records import ProblemCandidates, VerdictRecord


class RunProblems:
    """Problems of a run. The core names a problem by its position here, records name it by its id.

    Args:
        problems: problems of the job, in its order.
        store: records of the run.

    Attributes:
        problems: as given.
        positions: position of each problem, by id.
        store: as given.
        pass_rates: predicted pass rates, float64 (problems,); NaN where not (yet) predicted.
    """

    def __init__(self, problems: Sequence[Problem], store: EvidenceStore) -> None:
        self.problems = problems
        self.positions = {problem.id: position for position, problem in enumerate(problems)}
        self.store = store
        self.pass_rates = np.full(len(problems), np.nan)
        self._items: OrderedDict[int, ProblemCandidates] = OrderedDict()  # used last

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, position: int) -> ProblemCandidates:
        """A problem with its candidates, all of which must be recorded."""
        item = self._items.get(position)
        if item is not None:
            self._items.move_to_end(position)
            return item
        problem = self.problems[position]
        item = ProblemCandidates.of(problem, self.store.candidates_of(problem.id))
        self._items[position] = item
        if len(self._items) > MAX_PAGES:
            self._items.popitem(last=False)
        return item

    def verdicts(self, position: int) -> Mapping[int, VerdictRecord]:
        """Verdicts of a problem by index of the test; empty until there are any."""
        return self.store.verdicts.get(self.problems[position].id, {})

    def evidence(self, position: int, tests: int, *, all_inputs: bool = False) -> Evidence:
        """Evidence of the first ``tests`` tests of a problem, without statistics of the batch.

        Args:
            position: the problem.
            tests: number of tests.
            all_inputs: as for :meth:`EvidenceStore.evidence`.
        """
        return self.store.evidence(self[position], tests, all_inputs=all_inputs)
