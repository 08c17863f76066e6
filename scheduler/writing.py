"""From a grant to tests that can be run: what the reward model is asked, and what its answers become."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from executors.generation.base import Completion, Prompt, Request, derive_seed
from executors.generation.extraction import extract_unit_test, normalised
from executors.generation.prompts import PromptTemplate
from rewards.problem import UnitTest
from scheduler.records import TestRecord, TestStatus
from scheduler.solving import Solving


@dataclass(frozen=True, slots=True)
class TestWriter:
    """Asks for tests and reads the answers.

    Attributes:
        template: how the reward model is asked; None where answers are replayed.
        seed: the run's seed. A test's own seed derives from it, the problem and the test's index, so
            a resumed run asks for the same tests again.
    """

    __test__ = False  # pytest would collect it by its name

    template: PromptTemplate | None
    seed: int

    def requests(self, solving: Solving, indices: Iterable[int]) -> tuple[Request, ...]:
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
        solving: Solving,
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
        known = {
            normalised(code, solving.problem.language)
            for record in earlier
            if record.status is TestStatus.USABLE and (code := self.code(solving, record))
        }
        records = []
        for request, completion in zip(requests, completions, strict=True):
            code = extract_unit_test(
                completion.text, solving.problem.entry_point, solving.problem.language
            ).code
            status = TestStatus.UNUSABLE
            if code is not None:
                key = normalised(code, solving.problem.language)
                status = TestStatus.DUPLICATE if key in known else TestStatus.USABLE
                known.add(key)
            records.append(
                TestRecord(status, completion.text, request.seed, completion.tokens, completion.gpu_seconds)
            )
        return records

    def unit_test(self, solving: Solving, index: int, record: TestRecord) -> UnitTest:
        """A usable test as it is run."""
        code = self.code(solving, record)
        if code is None:
            raise ValueError(f"test {index} of problem {solving.problem.id} is {record.status}, not usable")
        return UnitTest(solving.problem.id, index, code, record.seed, record.tokens)

    @staticmethod
    def code(solving: Solving, record: TestRecord) -> str | None:
        """The test in a recorded answer, or None if there is none that can be used."""
        problem = solving.problem
        return extract_unit_test(record.text, problem.entry_point, problem.language).code

    def _prompt(self, solving: Solving, index: int) -> Prompt:
        if self.template is None:
            return Prompt("", chat=False)
        drawn = derive_seed(self.seed, "solution", solving.problem.id, index) % len(solving.candidates)
        return self.template.render(solving.problem, solving.candidates[drawn].code)
