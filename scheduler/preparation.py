"""What must be there before the first test: problems, candidates, labels, hidden states and beliefs.

Each stage keeps what it made in the journal, so a resumed run does none of it twice.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from executors.generation.base import Request, derive_seed
from executors.generation.extraction import extract_candidate
from executors.generation.prompts import prompt_template
from rewards.errors import UserError
from rewards.problem import Problem, TestKind, UnitTest, Verdict
from scheduler.backend import Backend, Execute, Executed, Generate, Generated, Role
from scheduler.job import CandidatesSection, Job
from scheduler.journal import Journal
from scheduler.jsonl import read_rows
from scheduler.records import CandidateRecord
from scheduler.solving import Solving
from scheduler.tables import ReadTrace
from scheduler.validation import sentence

_BATCH = 256  # candidates asked for in one task: small enough to lose little at a kill


def take_candidates(job: Job, problems: Sequence[Problem], journal: Journal, read: ReadTrace) -> None:
    """Takes candidates from the run or file that the job names, if it names one.

    Raises:
        UserError: the source cannot be used, or has no candidate for one of the problems.
    """
    section = job.candidates
    missing = [problem for problem in problems if not journal.candidates[problem.id]]
    if section.model is not None or not missing:
        return
    recorded = _read_candidates(section, missing, read)
    for problem in missing:
        if not recorded[problem.id]:
            raise UserError(f"every problem must have candidates but problem {problem.id} has none")
    with journal.transaction():
        for problem in missing:
            for index, record in enumerate(recorded[problem.id][: section.count]):
                journal.add_candidate(problem.id, index, record)


def sample_candidates(
    job: Job,
    problems: Sequence[Problem],
    backend: Backend,
    journal: Journal,
    on_progress: Callable[[], None] = lambda: None,
) -> None:
    """Has the policy model write the candidates that are not there yet, if the job names a model."""
    section = job.candidates
    if section.model is None or section.count is None:
        return
    template = prompt_template(section.model.template)
    by_id = {problem.id: problem for problem in problems}
    waiting = 0
    for problem in problems:
        indices = [index for index in range(section.count) if index not in journal.candidates[problem.id]]
        prompt = template.render(problem)
        for start in range(0, len(indices), _BATCH):
            requests = tuple(
                Request(problem.id, index, prompt, derive_seed(job.seed, "candidate", problem.id, index))
                for index in indices[start : start + _BATCH]
            )
            backend.submit(Generate(Role.POLICY_MODEL, problem.id, requests))
            waiting += 1
    while waiting:
        results = [result for result in backend.wait() if isinstance(result, Generated)]
        with journal.transaction():
            for result in results:
                problem = by_id[result.task.problem]
                for request, answer in zip(result.task.requests, result.completions, strict=True):
                    code = extract_candidate(template, problem, answer.text)
                    record = CandidateRecord.of(problem, code, int(answer.tokens), answer.gpu_seconds)
                    journal.add_candidate(problem.id, request.index, record)
        waiting -= len(results)
        on_progress()
    backend.retire(Role.POLICY_MODEL)


def label(solving: Sequence[Solving], backend: Backend, journal: Journal) -> None:
    """Runs the ground truth of problems that have one on their candidates; it never enters a decision.

    Labels that are there already, from a recording or an earlier part of the run, stay.
    """
    by_id = {item.problem.id: item for item in solving}
    waiting = 0
    for item in solving:
        problem = item.problem
        if problem.ground_truth is not None and problem.id not in journal.labels:
            test = UnitTest(problem.id, 0, problem.ground_truth, kind=TestKind.ASSERTIONS)
            backend.submit(Execute(problem, item.programs, (test,), record=False))
            waiting += 1
    while waiting:
        results = [result for result in backend.wait() if isinstance(result, Executed)]
        with journal.transaction():
            for result in results:
                item = by_id[result.task.problem.id]
                passed = result.outcomes.verdicts[:, 0] == Verdict.PASSED
                journal.add_labels(item.problem.id, passed[item.distinct.inverse])
        waiting -= len(results)


def recorded_labels(job: Job, solving: Sequence[Solving], journal: Journal, read: ReadTrace) -> None:
    """Takes labels from the run that a job replays; where candidates are run for real, so is the truth."""
    if job.backend != "replay" or job.candidates.run is None:
        return
    trace = read(job.candidates.run)
    with journal.transaction():
        for item in solving:
            correct = trace.of(item.problem).correct
            if correct is not None and item.problem.id not in journal.labels:
                journal.add_labels(item.problem.id, correct[: len(item.candidates)])


class _CandidateLine(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    problem: str
    code: str


def _read_candidates(
    section: CandidatesSection, problems: Sequence[Problem], read: ReadTrace
) -> dict[str, list[CandidateRecord]]:
    if section.run is not None:
        trace = read(section.run)
        return {problem.id: list(trace.of(problem).candidates) for problem in problems}
    assert section.file is not None
    return _read_candidate_file(section.file, problems)


def _read_candidate_file(path: Path, problems: Sequence[Problem]) -> dict[str, list[CandidateRecord]]:
    by_id = {problem.id: problem for problem in problems}
    records: dict[str, list[CandidateRecord]] = {problem.id: [] for problem in problems}
    for number, row in read_rows(path, "candidates.file must be a JSONL file of candidates"):
        try:
            line = _CandidateLine.model_validate(row)
        except ValidationError as error:
            raise UserError(f"{path}:{number} {sentence(error)}") from None
        if problem := by_id.get(line.problem):
            records[problem.id].append(CandidateRecord.of(problem, line.code, 0, float("nan")))
    return records
