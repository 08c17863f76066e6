"""Traces: finished runs as values, from which recorded work is looked up and models are fitted.

A trace identifies problems by id and content hash. Their texts are those that the run holds or, if it is
shared without them, those of :attr:`Trace.problem_source`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.problems import load_problems
from testbudget.traces.records import CandidateRecord, Cost, TestRecord, VerdictRecord, WrittenInputs


@dataclass(frozen=True, slots=True)
class ProblemTrace:
    """Records of one problem in a finished run.

    Attributes:
        content_hash: hash of the problem's text and ground truth.
        predicted_pass_rate: predicted pass rate in [0, 1], as given to the run's policy; NaN without a
            predictor.
        candidates: candidates in order of index.
        correct: bool (candidates,), labels; None if the problem has no ground truth.
        tests: generated tests by test index, unusable ones included.
        verdicts: verdicts by test index, over the distinct programs; only usable tests that were executed.
        extraction: cost of the problem's hidden states; NaN where unmeasured, zero without hidden states.
        problem: the problem with its texts; None if the run does not hold them.
        written_inputs: inputs without expected values that a model wrote; None if it wrote none.
    """

    content_hash: str
    predicted_pass_rate: float
    candidates: Sequence[CandidateRecord]
    correct: NDArray[np.bool_] | None
    tests: Mapping[int, TestRecord]
    verdicts: Mapping[int, VerdictRecord]
    extraction: Cost = field(default_factory=Cost)
    problem: Problem | None = None
    written_inputs: WrittenInputs | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """A finished run.

    Attributes:
        directory: the run directory.
        problems: traces of problems by problem id, in the run's order.
        hidden_states: hidden states of the problems, in the same order; None if the run has none.
        problem_source: source of the problems' texts, as for ``load_problems``; None if unknown.
    """

    directory: Path
    problems: Mapping[str, ProblemTrace]
    hidden_states: HiddenStates | None
    problem_source: str | None = None

    def problem(self, problem: Problem) -> ProblemTrace:
        """The trace of a problem.

        Raises:
            UserError: the run lacks the problem, or holds another text under the same id.
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

    def texts(self) -> list[Problem]:
        """The problems with their texts, in the run's order.

        Raises:
            UserError: the run does not hold all texts, and their source is unknown, cannot be read, lacks
                a problem, or has another text of it.
        """
        own = [trace.problem for trace in self.problems.values() if trace.problem is not None]
        if len(own) == len(self.problems):
            return own
        if self.problem_source is None:
            raise UserError(f"{self.directory} must hold the texts of its problems or name their source")
        found = {item.id: item for item in load_problems(self.problem_source, ids=list(self.problems))}
        for problem in found.values():
            self.problem(problem)
        return [found[problem] for problem in self.problems]

    def hidden_states_of(self, problems: Sequence[Problem], layers: Sequence[int] | None) -> HiddenStates:
        """Hidden states of some problems, in their order.

        Args:
            problems: all of them must be in the run.
            layers: layer numbers; None takes all recorded layers.

        Raises:
            UserError: the run lacks hidden states, one of the layers, or one of the problems.
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
            self.problem(problem)
        rows = [row[problem.id] for problem in problems]
        return self.hidden_states.of_problems(rows).of_layers(wanted)


def correct_labels(trace: Trace) -> list[NDArray[np.bool_]]:
    """Labels of every problem's candidates: bool (candidates,) each, in the run's order.

    Raises:
        UserError: a problem has no labels.
    """
    found = []
    for problem, recorded in trace.problems.items():
        if recorded.correct is None:
            raise UserError(f"{trace.directory} must say which candidates are correct but not of {problem}")
        found.append(recorded.correct)
    return found


def _joined(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items)
