"""From a grant to tests that can be run: what the reward model is asked, and what its answers become."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from testbudget.executors.generation.base import Completion, Prompt, Request
from testbudget.executors.generation.extraction.extract import extract_unit_test, normalised
from testbudget.executors.generation.prompts import PromptTemplate
from testbudget.rewards.problem import Problem, UnitTest
from testbudget.rewards.seeds import derive_seed
from testbudget.traces.records import ProblemCandidates, TestRecord, TestStatus

_REMEMBERED = 1 << 14  # answers, of a few kilobytes each


@dataclass(frozen=True, slots=True)
class UnitTestGenerator:
    """Asks for tests and reads the answers.

    Attributes:
        template: how the reward model is asked; None where answers are replayed.
        seed: the run's seed. A test's own seed derives from it, the problem and the test's index, so
            a resumed run asks for the same tests again.
    """

    __test__ = False  # pytest would collect it by its name

    template: PromptTemplate | None
    seed: int

    def requests(self, solving: ProblemCandidates, indices: Iterable[int]) -> tuple[Request, ...]:
        """One request per test. Where the template shows a solution, it is a candidate drawn by seed."""
        problem = solving.problem
        return tuple(
            Request(
                problem.id,
                index,
                self._prompt(solving, index),
                derive_seed(self.seed, "unit test", problem.id, index),
            )
            for index in indices
        )

    def records(
        self,
        solving: ProblemCandidates,
        requests: Sequence[Request],
        completions: Sequence[Completion],
        earlier: Iterable[TestRecord],
    ) -> list[TestRecord]:
        """What became of each answer.

        Args:
            solving: the problem.
            requests: what was asked.
            completions: the answers, in the same order.
            earlier: the problem's tests so far; an answer that equals one of them is a duplicate.
        """
        problem = solving.problem
        known = {
            usable.normal_form
            for record in earlier
            if record.status is TestStatus.USABLE and (usable := _usable_of(problem, record.text))
        }
        records = []
        for request, completion in zip(requests, completions, strict=True):
            usable = _usable_of(problem, completion.text)
            status = TestStatus.UNUSABLE
            if usable is not None:
                status = TestStatus.DUPLICATE if usable.normal_form in known else TestStatus.USABLE
                known.add(usable.normal_form)
            records.append(
                TestRecord(status, completion.text, request.seed, completion.tokens, completion.gpu_seconds)
            )
        return records

    def unit_test(self, solving: ProblemCandidates, index: int, record: TestRecord) -> UnitTest:
        """A usable test as it is run."""
        usable = _usable_of(solving.problem, record.text)
        if usable is None:
            raise ValueError(f"test {index} of problem {solving.problem.id} is {record.status}, not usable")
        return UnitTest(solving.problem.id, index, usable.code, record.seed)

    def _prompt(self, solving: ProblemCandidates, index: int) -> Prompt:
        if self.template is None:
            return Prompt("", chat=False)
        drawn = derive_seed(self.seed, "solution", solving.problem.id, index) % len(solving.candidates)
        return self.template.render(solving.problem, solving.candidates[drawn].code)


class _Usable(NamedTuple):
    """The test in an answer: as it is run, and as it is compared with others."""

    code: str
    normal_form: str


def _usable_of(problem: Problem, text: str) -> _Usable | None:
    return _extracted(text, problem.entry_point, problem.language)


@functools.lru_cache(maxsize=_REMEMBERED)
def _extracted(text: str, entry_point: str, language: str) -> _Usable | None:
    """An answer is read when it comes, when its test is run, and when a later one may repeat it."""
    code = extract_unit_test(text, entry_point, language).code
    return None if code is None else _Usable(code, normalised(code, language))
