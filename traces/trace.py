"""Finished runs as values: what ``run`` saw is what later runs replay and learn from.

Problems are known in a trace by id and content hash alone; their texts are joined again from where
they came from, so a run can be shared without them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.records import CandidateRecord, Cost, TestRecord, VerdictRecord


@dataclass(frozen=True, slots=True)
class ProblemTrace:
    """Everything that one run saw of one problem.

    Attributes:
        content_hash: of the problem that was solved.
        predicted_pass_rate: the belief that the run started from, NaN if it had none.
        candidates: in order of index.
        correct: bool (candidates,), by the ground truth; None if there is none.
        tests: by test index.
        verdicts: by test index, over the distinct candidates; usable tests that were run only.
        extraction: what its hidden states cost; NaN where nobody measured, nothing if there are none.
    """

    content_hash: str
    predicted_pass_rate: float
    candidates: Sequence[CandidateRecord]
    correct: NDArray[np.bool_] | None
    tests: Mapping[int, TestRecord]
    verdicts: Mapping[int, VerdictRecord]
    extraction: Cost = field(default_factory=Cost)


@dataclass(frozen=True, slots=True)
class Trace:
    """A finished run.

    Attributes:
        directory: where it lies.
        problems: by problem id, in the run's order.
        hidden_states: of the problems, in the same order; None if the run has none.
    """

    directory: Path
    problems: Mapping[str, ProblemTrace]
    hidden_states: HiddenStates | None

    def of(self, problem: Problem) -> ProblemTrace:
        """What the run saw of a problem.

        Raises:
            UserError: the run lacks it, or was made from another text under the same id.
        """
        trace = self.problems.get(problem.id)
        if trace is None:
            raise UserError(f"{self.directory} must hold problem {problem.id} but it does not")
        if trace.content_hash != problem.content_hash:
            raise UserError(
                f"{self.directory} must have been made from the same text of problem {problem.id} "
                f"(content hash {problem.content_hash[:12]}) but got {trace.content_hash[:12]}"
            )
        return trace

    def hidden_states_of(self, problems: Sequence[Problem], layers: Sequence[int] | None) -> HiddenStates:
        """Hidden states of some problems, in their order.

        Args:
            problems: all of them must be in the run.
            layers: layer numbers, or None for all that were recorded.

        Raises:
            UserError: the run has no hidden states, not these layers, or not these problems.
        """
        if self.hidden_states is None:
            raise UserError(f"{self.directory} must hold hidden states but it has none")
        wanted = tuple(layers or self.hidden_states.layers)
        missing = sorted(set(wanted) - set(self.hidden_states.layers))
        if missing:
            raise UserError(
                f"{self.directory} must hold hidden layers {_joined(wanted)} "
                f"but has {_joined(self.hidden_states.layers)}"
            )
        row = {problem: index for index, problem in enumerate(self.problems)}
        for problem in problems:
            self.of(problem)
        rows = [row[problem.id] for problem in problems]
        return self.hidden_states.of_problems(rows).of_layers(wanted)


def _joined(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items)
