"""Candidates of a run. All of them are logged, so a resumed run repeats nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from testbudget.executors.generation.base import Request
from testbudget.executors.generation.extraction.extract import extract_candidate
from testbudget.executors.generation.prompts import prompt_template
from testbudget.rewards.errors import UserError, validation_sentence
from testbudget.rewards.problem import Problem
from testbudget.rewards.seeds import derive_seed
from testbudget.scheduler.backends.base import Backend, Generate, Generated, Role
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.job import CandidatesSection, Job
from testbudget.traces.files import read_rows
from testbudget.traces.records import CandidateRecord
from testbudget.traces.tables import ReadTrace

_CANDIDATES_PER_TASK = 256  # a kill loses the tasks in flight


def take_candidates(job: Job, problems: Sequence[Problem], event_log: EventLog, read: ReadTrace) -> None:
    """Take candidates from the run or file that the job names; does nothing if it names a model.

    Args:
        job: names the source.
        problems: problems of the job.
        event_log: log of the run; problems with candidates in it are left as they are.
        read: reads a finished run.

    Raises:
        UserError: the source cannot be used, or has no candidate for one of the problems.
    """
    section = job.candidates
    missing = [problem for problem in problems if not event_log.candidates[problem.id]]
    if section.model is not None or not missing:
        return
    recorded = _read_candidates(section, missing, read)
    for problem in missing:
        if not recorded[problem.id]:
            raise UserError(f"every problem must have candidates but problem {problem.id} has none")
    with event_log.transaction():
        for problem in missing:
            for index, record in enumerate(recorded[problem.id][: section.count]):
                event_log.add_candidate(problem.id, index, record)


def sample_candidates(
    job: Job,
    problems: Sequence[Problem],
    backend: Backend,
    event_log: EventLog,
    on_progress: Callable[[], None] = lambda: None,
) -> None:
    """Sample the missing candidates from the policy model; does nothing if the job names none.

    Args:
        job: names the model and the number of candidates.
        problems: problems of the job.
        backend: samples.
        event_log: log of the run; candidates in it are not sampled again.
        on_progress: called after each batch of results.

    Raises:
        UserError: the model cannot be loaded.
        InfrastructureError: sampling failed, its retries included.
    """
    section = job.candidates
    if section.model is None or section.count is None:
        return
    template = prompt_template(section.model.template)
    by_id = {problem.id: problem for problem in problems}
    waiting = 0
    for problem in problems:
        indices = [index for index in range(section.count) if index not in event_log.candidates[problem.id]]
        prompt = template.render(problem)
        for start in range(0, len(indices), _CANDIDATES_PER_TASK):
            requests = tuple(
                Request(problem.id, index, prompt, derive_seed(job.seed, "candidate", problem.id, index))
                for index in indices[start : start + _CANDIDATES_PER_TASK]
            )
            backend.submit(Generate(Role.POLICY_MODEL, problem.id, requests))
            waiting += 1
    while waiting:
        results = [result for result in backend.wait() if isinstance(result, Generated)]
        with event_log.transaction():
            for result in results:
                problem = by_id[result.task.problem]
                for request, answer in zip(result.task.requests, result.completions, strict=True):
                    code = extract_candidate(template, problem, answer.text)
                    record = CandidateRecord.of(problem, code, int(answer.tokens), answer.gpu_seconds)
                    event_log.add_candidate(problem.id, request.index, record)
        waiting -= len(results)
        on_progress()
    backend.retire(Role.POLICY_MODEL)


class _CandidateLine(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    problem: str
    code: str


def _read_candidates(
    section: CandidatesSection, problems: Sequence[Problem], read: ReadTrace
) -> dict[str, list[CandidateRecord]]:
    if section.from_run is not None:
        trace = read(section.from_run)
        return {problem.id: list(trace.problem(problem).candidates) for problem in problems}
    assert section.from_file is not None
    return _read_candidate_file(section.from_file, problems)


def _read_candidate_file(path: Path, problems: Sequence[Problem]) -> dict[str, list[CandidateRecord]]:
    by_id = {problem.id: problem for problem in problems}
    records: dict[str, list[CandidateRecord]] = {problem.id: [] for problem in problems}
    for number, row in read_rows(path, "candidates.from_file must be a JSONL file of candidates"):
        try:
            line = _CandidateLine.model_validate(row)
        except ValidationError as error:
            raise UserError(f"{path}:{number} {validation_sentence(error)}") from None
        if problem := by_id.get(line.problem):
            records[problem.id].append(CandidateRecord.of(problem, line.code, 0, float("nan")))
    return records
