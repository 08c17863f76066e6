"""Candidates of a run: taken from a finished run or a file, or sampled from the policy model."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from testbudget.executors.generation.base import Completion, Request
from testbudget.executors.generation.extraction.candidates import ExtractionRule
from testbudget.executors.generation.extraction.extract import read_candidate
from testbudget.executors.generation.prompts import PromptTemplate, prompt_template
from testbudget.rewards.errors import UserError, fields_of
from testbudget.rewards.problem import Problem
from testbudget.rewards.seeds import derive_seed
from testbudget.scheduler.backends.base import GenerateWork, GenerationDone
from testbudget.scheduler.core.events import Sample, Sampled, WorkerKind
from testbudget.scheduler.job import Job
from testbudget.scheduler.log_records import SampledRecord
from testbudget.scheduler.run_problems import RunProblems
from testbudget.scheduler.sections.programs import CandidatesSection
from testbudget.scheduler.work.open_work import (
    Answer,
    OpenTask,
    OpenWork,
    WorkKey,
    WorkKind,
    ints,
    rows,
    work_key,
)
from testbudget.traces.candidate_file import CandidateForm, CandidateRow, read_candidate_file
from testbudget.traces.records import CandidateRecord, DistinctPrograms, Piece
from testbudget.traces.rows.mistakes import log_warnings
from testbudget.traces.tables import ReadTrace

_CANDIDATES_PER_PIECE = 8
_CHAT = "chat"  # template whose answers hold programs as those of a file do


def recorded_candidates(
    job: Job, problems: Sequence[Problem], read: ReadTrace
) -> dict[str, tuple[CandidateRecord, ...]] | None:
    """Candidates from the run or file that the job names, by problem id; None if it names a model.

    Raises:
        UserError: the source cannot be used, or has no candidate for one of the problems.
    """
    section = job.candidates
    if section.model is not None:
        return None
    if not problems:
        return {}
    recorded = _read_candidates(section, problems, read)
    for problem in problems:
        if not recorded[problem.id]:
            raise UserError(f"every problem must have candidates but problem {problem.id} has none")
    return {problem: tuple(records[: section.count]) for problem, records in recorded.items()}


class CandidateSampling:
    """Candidates from a source, or sampled from the policy model in pieces.

    A lost piece is sampled again alone. Pieces of a problem that is not complete are lost with the process.

    Args:
        problems: problems of the run.
        open_work: work in progress.
        recorded: candidates from a run or file, by problem id; None samples.
        generator: requests for candidates; None if they come from a source.
    """

    def __init__(
        self,
        problems: RunProblems,
        open_work: OpenWork,
        recorded: Mapping[str, tuple[CandidateRecord, ...]] | None,
        generator: "CandidateGenerator | None",
    ) -> None:
        self._problems = problems
        self._open_work = open_work
        self._recorded = recorded
        self._generator = generator
        self._pieces: dict[int, dict[int, _Piece]] = defaultdict(dict)  # by task, then by first candidate

    def sample(self, command: Sample) -> list[Answer]:
        """Take recorded candidates at once, or submit what is neither there nor on its way."""
        if self._recorded is None:
            for task, position in rows(command.tasks, command.problems):
                self._submit(task, position)
            return []
        ids = [self._problems.problems[position].id for position in command.problems.tolist()]
        records = tuple(SampledRecord(problem, self._recorded[problem]) for problem in ids)
        return [Answer(Sampled(command.tasks, ints([_programs(one) for one in records])), records)]

    def done(self, done: GenerationDone, task: OpenTask) -> list[Answer]:
        """Candidates of a problem, once all its pieces are there."""
        assert self._generator is not None
        problem, pieces = self._problems.problems[task.position], self._pieces[task.number]
        made = [self._generator.record(problem, answer) for answer in done.completions]
        pieces[work_key(done.work).part] = _Piece(made, done.piece)
        if sum(len(piece.candidates) for piece in pieces.values()) < self._generator.count:
            return []
        del self._pieces[task.number]
        ordered = [pieces[part] for part in sorted(pieces)]
        candidates = tuple(candidate for piece in ordered for candidate in piece.candidates)
        record = SampledRecord(problem.id, candidates, _whole([piece.piece for piece in ordered]))
        return [Answer(Sampled(ints([task.number]), ints([_programs(record)])), (record,))]

    def _submit(self, task: int, position: int) -> None:
        assert self._generator is not None
        problem = self._problems.problems[position]
        requests = self._generator.requests(problem)
        for first in range(0, len(requests), _CANDIDATES_PER_PIECE):
            key = WorkKey(WorkKind.SAMPLE, task, first)
            if first not in self._pieces[task] and key not in self._open_work:
                part = requests[first : first + _CANDIDATES_PER_PIECE]
                work = GenerateWork(key, WorkerKind.POLICY_MODEL, problem.id, part)
                self._open_work.submit(key, OpenTask(task, position), work)


class _Piece(NamedTuple):
    """Consecutive candidates of a problem that were sampled together."""

    candidates: list[CandidateRecord]
    piece: Piece


def _programs(record: SampledRecord) -> int:
    """Number of distinct programs to execute; 0 if no answer holds one, since no test tells more then."""
    if not any(candidate.has_program for candidate in record.candidates):
        return 0
    return len(DistinctPrograms.among(record.candidates).representatives)


def _whole(pieces: Sequence[Piece]) -> Piece:
    """One piece for all, from the first submission to the last end."""
    return Piece(
        ", ".join(dict.fromkeys(piece.worker for piece in pieces)),
        min(piece.submitted for piece in pieces),
        min(piece.started for piece in pieces),
        max(piece.finished for piece in pieces),
    )


@dataclass(frozen=True, slots=True)
class CandidateGenerator:
    """Requests for candidates, and their answers as candidate records.

    Attributes:
        template: prompt of the policy model.
        count: candidates per problem.
        extraction: choice between several programs in one answer.
        seed: seed of the run, from which the seed of each candidate is derived.
    """

    template: PromptTemplate
    count: int
    extraction: ExtractionRule
    seed: int

    @classmethod
    def of(cls, job: Job) -> "CandidateGenerator | None":
        """The generator of a job; None if its candidates are not sampled."""
        section = job.candidates
        if section.model is None or section.count is None:
            return None
        return cls(prompt_template(section.model.template), section.count, section.extraction, job.seed)

    def requests(self, problem: Problem) -> tuple[Request, ...]:
        """One request for each candidate, in order of index."""
        prompt = self.template.render(problem)
        return tuple(
            Request(problem.id, index, prompt, derive_seed(self.seed, "candidate", problem.id, index))
            for index in range(self.count)
        )

    def record(self, problem: Problem, answer: Completion) -> CandidateRecord:
        """Candidate record of an answer."""
        reading = read_candidate(self.template, problem, answer.text, self.extraction)
        return CandidateRecord.of(
            problem,
            reading.code,
            int(answer.tokens),
            answer.gpu_seconds,
            map(str, reading.notes),
            mean_logprob=answer.mean_logprob,
        )


def _read_candidates(
    section: CandidatesSection, problems: Sequence[Problem], read: ReadTrace
) -> dict[str, list[CandidateRecord]]:
    if section.from_run is not None:
        trace = read(section.from_run)
        return {problem.id: list(trace.problem(problem).candidates) for problem in problems}
    assert section.from_file is not None
    return _of_file(section, section.from_file, problems)


def _of_file(
    section: CandidatesSection, path: Path, problems: Sequence[Problem]
) -> dict[str, list[CandidateRecord]]:
    """Candidates of a file by problem id; what was noticed about its rows is logged."""
    with fields_of("candidates"):
        read = read_candidate_file(path, problems, section.fields)
    log_warnings(read.warnings, f"testbudget problems SOURCE --json --candidates {path}")
    return {
        problem.id: [_file_record(problem, row, section.extraction) for row in read.candidates[problem.id]]
        for problem in problems
    }


def _file_record(problem: Problem, row: CandidateRow, rule: ExtractionRule) -> CandidateRecord:
    code, notes = row.text, tuple[str, ...]()
    if row.form is CandidateForm.ANSWER:
        reading = read_candidate(prompt_template(_CHAT), problem, row.text, rule)
        code, notes = reading.code, tuple(map(str, reading.notes))
    metadata = json.dumps(row.metadata, ensure_ascii=False) if row.metadata else ""
    return CandidateRecord.of(problem, code, 0, float("nan"), notes, metadata)
