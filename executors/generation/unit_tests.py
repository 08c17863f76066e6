"""Unit tests from a reward model: requests for tests, and test records of the answers."""

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from testbudget.executors.generation.base import Completion, Prompt, Request
from testbudget.executors.generation.extraction.answers import UnusableError
from testbudget.executors.generation.extraction.extract import extract_unit_test, normal_form
from testbudget.executors.generation.extraction.written_inputs import extract_inputs
from testbudget.executors.generation.prompts import PromptTemplate
from testbudget.rewards.problem import WRITTEN_INPUTS, Problem, TestKind, UnitTest
from testbudget.rewards.seeds import derive_seed
from testbudget.traces.records import ProblemCandidates, TestRecord, TestStatus

_CACHED_ANSWERS = 1 << 14  # a few kilobytes each


@dataclass(frozen=True, slots=True)
class UnitTestGenerator:
    """Requests for unit tests, and their answers as test records.

    Attributes:
        template: prompt of the reward model; None if answers are looked up in a finished run.
        stdin_template: prompt for problems without an entry point; None for ``template``.
        seed: seed of the run. The seed of a test is derived from it, the problem and the index of the test,
            so a resumed run requests the same tests again.
        given: tests that are taken as they are, by problem and index: given as code, or with the verdicts
            of a recording. An answer that was not usable in it is not usable.
        inputs: inputs without expected values to write for a problem.
        inputs_template: prompt for them; None if they are looked up in a finished run, or not written.
        stdin_inputs_template: the same for problems without an entry point.
    """

    __test__ = False  # pytest would collect it by its name

    template: PromptTemplate | None
    seed: int
    stdin_template: PromptTemplate | None = None
    given: Mapping[str, Mapping[int, TestRecord]] = field(default_factory=dict)
    inputs: int = 0
    inputs_template: PromptTemplate | None = None
    stdin_inputs_template: PromptTemplate | None = None

    def requests(
        self, problem_candidates: ProblemCandidates, indices: Iterable[int]
    ) -> tuple[Request, ...]:
        """One request for each test.

        If the template shows a solution, one of the candidates is drawn by the seed of the run, the problem
        and the index of the test.

        Args:
            problem_candidates: problem with its candidates.
            indices: indices of the tests among those of the problem, from 0; or ``WRITTEN_INPUTS``.
        """
        problem = problem_candidates.problem
        return tuple(
            Request(
                problem.id,
                index,
                self._prompt(problem_candidates, index),
                derive_seed(self.seed, "unit test", problem.id, index),
            )
            for index in indices
        )

    def records(
        self,
        problem_candidates: ProblemCandidates,
        requests: Sequence[Request],
        completions: Sequence[Completion],
        earlier: Iterable[TestRecord],
    ) -> list[TestRecord]:
        """Test record of each answer, in the order of the requests.

        Args:
            problem_candidates: problem of all requests, with its candidates.
            requests: requests for tests.
            completions: answers in the same order.
            earlier: tests of the problem so far. An answer with the normal form of an earlier usable test
                is a duplicate.
        """
        problem = problem_candidates.problem
        usable_ones = (record for record in earlier if record.status is TestStatus.USABLE)
        known = {record.form or _form_of(_recorded_test(problem, record)) for record in usable_ones}
        records = []
        given = self.given.get(problem.id, {})
        for request, completion in zip(requests, completions, strict=True):
            if own := given.get(request.index):
                usable = own.status is TestStatus.USABLE
                found, record = _recorded_test(problem, own) if usable else None, own
            else:
                found = _parsed_test(problem, completion.text)
                record = _record_of_answer(TestStatus.UNUSABLE, request, completion)
            if found is not None:
                form = _form_of(found)
                status = TestStatus.DUPLICATE if form in known else TestStatus.USABLE
                record = replace(record, status=status, form=form)
                known.add(form)
            records.append(record)
        return records

    def inputs_record(self, problem: Problem, request: Request, completion: Completion) -> TestRecord:
        """Record of the answer to a request for written inputs."""
        status = TestStatus.USABLE if self._inputs_in(problem, completion.text) else TestStatus.UNUSABLE
        return _record_of_answer(status, request, completion)

    def written_inputs(self, problem: Problem, record: TestRecord) -> UnitTest:
        """Written inputs of a usable record, in the form of a test.

        Raises:
            ValueError: the answer in the record holds no input.
        """
        code = self._inputs_in(problem, record.text)
        if code is None:
            raise ValueError(f"the written inputs of problem {problem.id} are {record.status}, not usable")
        return UnitTest(problem.id, WRITTEN_INPUTS, code, record.seed, TestKind.ASSERT)

    def _inputs_in(self, problem: Problem, text: str) -> str | None:
        try:
            return extract_inputs(text, problem.entry_point, self.inputs)
        except UnusableError:
            return None

    def unit_test(self, problem_candidates: ProblemCandidates, index: int, record: TestRecord) -> UnitTest:
        """Unit test of a usable record.

        Args:
            problem_candidates: problem of the test, with its candidates.
            index: index of the test among those of the problem.
            record: test record.

        Raises:
            ValueError: the answer in the record holds no usable test.
        """
        usable = _recorded_test(problem_candidates.problem, record)
        if usable is None:
            raise ValueError(
                f"test {index} of problem {problem_candidates.problem.id} is {record.status}, not usable"
            )
        return UnitTest(problem_candidates.problem.id, index, usable.code, record.seed, usable.kind)

    def _prompt(self, problem_candidates: ProblemCandidates, index: int) -> Prompt:
        template = self._template(problem_candidates.problem, index)
        if template is None:
            return Prompt("", chat=False)
        shown = problem_candidates.shown
        drawn = derive_seed(self.seed, "solution", problem_candidates.problem.id, index) % len(shown)
        return template.render(problem_candidates.problem, shown[drawn].code, self.inputs)

    def _template(self, problem: Problem, index: int) -> PromptTemplate | None:
        of_programs = problem.entry_point is None
        if index == WRITTEN_INPUTS:
            return self.stdin_inputs_template if of_programs else self.inputs_template
        return self.stdin_template or self.template if of_programs else self.template


def _record_of_answer(status: TestStatus, request: Request, completion: Completion) -> TestRecord:
    return TestRecord(
        status,
        completion.text,
        request.seed,
        completion.tokens,
        completion.gpu_seconds,
        mean_logprob=completion.mean_logprob,
    )


class _ParsedTest(NamedTuple):
    """Test in an answer.

    Attributes:
        code: test program.
        kind: form of the test.
        normal_form: equal for tests that differ in comments and layout only.
    """

    code: str
    kind: TestKind
    normal_form: str


def _form_of(test: _ParsedTest | None) -> int:
    """Digest of the normal form of a test; 0 for no test."""
    if test is None:
        return 0
    digest = hashlib.blake2b(test.normal_form.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _recorded_test(problem: Problem, record: TestRecord) -> _ParsedTest | None:
    if record.kind is None:
        return _parsed_test(problem, record.text)
    return _ParsedTest(
        record.text, record.kind, _normal_form_of_given(record.text, problem.language, record.kind)
    )


@functools.lru_cache(maxsize=_CACHED_ANSWERS)
def _normal_form_of_given(code: str, language: str, kind: TestKind) -> str:
    """Normal form of a test that was given; the code itself if it does not parse."""
    try:
        return normal_form(code, language, kind)
    except (SyntaxError, ValueError, RecursionError):
        return code


def _parsed_test(problem: Problem, text: str) -> _ParsedTest | None:
    return _extracted(text, problem.entry_point, problem.language)


@functools.lru_cache(maxsize=_CACHED_ANSWERS)
def _extracted(text: str, entry_point: str | None, language: str) -> _ParsedTest | None:
    """Test in an answer; cached, because the same answer is parsed several times."""
    found = extract_unit_test(text, entry_point, language)
    if found.code is None:
        return None
    return _ParsedTest(found.code, found.kind, normal_form(found.code, language, found.kind))
