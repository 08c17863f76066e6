"""One run from job to run directory: prepare, loop under the cap, write what came out."""

import functools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from executors.generation.prompts import prompt_template
from policies import Lessons, Policy, create_policy
from rewards.confidence import Calibration
from rewards.errors import UserError
from rewards.problem import Problem
from rewards.selection import selection_rule
from scheduler.backend import Backend
from scheduler.behaviours import read_behaviours, write_behaviours
from scheduler.beliefs import check_predictor, predicted_pass_rates
from scheduler.calibrating import calibrate, check_calibration
from scheduler.extraction import extract_hidden_states, hidden_states_of, take_hidden_states
from scheduler.job import Job
from scheduler.job_file import load_job, save_job
from scheduler.journal import Journal
from scheduler.ledger import Cost, Ledger
from scheduler.lessons.of_job import check_lessons, lessons_for
from scheduler.loop import Loop, extraction_cost, spent
from scheduler.picks import picks, write_picks
from scheduler.preparation import (
    label,
    recorded_labels,
    sample_candidates,
    take_candidates,
)
from scheduler.problems import load_problems
from scheduler.races import Racing
from scheduler.ray_backend import RayBackend
from scheduler.replay_backend import ReplayBackend
from scheduler.solving import Solving
from scheduler.standing import Standing
from scheduler.stopping import Stopping
from scheduler.tables import ReadTrace, read_trace, write_trace
from scheduler.trace import ProblemTrace, Trace
from scheduler.writing import TestWriter

UNBOUNDED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Stage:
    """What a run is doing, for whoever watches it.

    Attributes:
        name: in words.
        problems: all of the run's.
        journal, ledger: to look at; the ledger is there from the first test on.
        seconds: the back end's clock.
    """

    name: str
    problems: int
    journal: Journal
    ledger: Ledger | None
    seconds: float


def start(job: Job, directory: Path, watch: Callable[[Stage], None]) -> None:
    """Runs a job into a new directory.

    Raises:
        UserError: the directory exists, or the job asks for what cannot be had; a directory that holds
            no work yet is removed again.
        InfrastructureError: something failed for good; ``resume`` goes on from there.
    """
    problems = load_problems(job.problems.source, job.problems.ids, job.problems.limit)
    _check_cap(job, problems)
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise UserError(
            f"{directory} must not exist yet; to go on with it, use --resume {directory}"
        ) from None
    save_job(job, directory / "job.yaml")
    try:
        _run(job, problems, directory, watch)
    except UserError:
        if not _holds_work(job, directory):
            shutil.rmtree(directory)
        raise


def resume(directory: Path, watch: Callable[[Stage], None]) -> None:
    """Goes on with a run that was stopped or killed; a finished one only has its outputs written again.

    Raises:
        UserError: the directory is no run, or another process is running it.
        InfrastructureError: as ``start``.
    """
    if not (directory / "journal.sqlite").exists():
        raise UserError(f"{directory} must be a run that was started but it has no journal")
    job = load_job(directory / "job.yaml")
    _run(job, load_problems(job.problems.source, job.problems.ids, job.problems.limit), directory, watch)


def _run(job: Job, problems: Sequence[Problem], directory: Path, watch: Callable[[Stage], None]) -> None:
    read = functools.cache(read_trace)
    check_predictor(job, read)
    check_lessons(job, read)
    check_calibration(job, read)
    with Journal(directory / "journal.sqlite") as journal:
        take_candidates(job, problems, journal, read)
        backend = _backend(job, problems, read)
        try:
            _solve(job, problems, directory, journal, backend, watch, read)
        finally:
            backend.close()


def _holds_work(job: Job, directory: Path) -> bool:
    """Whether models have written anything that would be lost with the directory."""
    with Journal(directory / "journal.sqlite") as journal:
        sampled = job.candidates.model is not None and any(journal.candidates.values())
        extracted = job.hidden_states and job.hidden_states.model and journal.states
        return bool(sampled or extracted or any(journal.tests.values()))


def _solve(
    job: Job,
    problems: Sequence[Problem],
    directory: Path,
    journal: Journal,
    backend: Backend,
    watch: Callable[[Stage], None],
    read: ReadTrace,
) -> None:
    def look(name: str, ledger: Ledger | None = None) -> None:
        watch(Stage(name, len(problems), journal, ledger, backend.seconds))

    look("candidates")
    sample_candidates(job, problems, backend, journal, lambda: look("candidates"))
    solving = [Solving.of(problem, journal.candidates_of(problem.id)) for problem in problems]
    look("hidden states")
    ledger = Ledger(job.cap.as_cap(), spent(journal))
    # Before the first sandbox starts: sandboxes hold their CPU cores until the end.
    take_hidden_states(job, problems, ledger, journal, read)
    extract_hidden_states(job, problems, backend, ledger, journal, lambda: look("hidden states"))
    states = hidden_states_of(problems, journal)
    for language in sorted({problem.language for problem in problems}):
        look(f"{language} {backend.isolation(language)}")
    recorded_labels(job, solving, journal, read)
    label(solving, backend, journal)
    look("beliefs")
    pass_rates = predicted_pass_rates(job, problems, states, read)
    template = prompt_template(job.tests.model.template) if job.tests.model else None
    writer = TestWriter(template, job.seed)
    calibration = calibrate(job, read, directory)
    policy = _policy(job, solving, backend, pass_rates, lessons_for(job, problems, calibration, read))
    rule = selection_rule(job.selection)
    look("tests", ledger)
    loop = Loop(
        solving,
        policy,
        ledger,
        journal,
        backend,
        writer,
        lambda: look("tests", ledger),
        standing=Standing(solving, journal, rule, calibration),
        stopping=_stopping(job, solving, journal, calibration, pass_rates),
        racing=Racing(rule, job.racing.z) if job.races else None,
        record=job.execution.record,
        variations=job.execution.variations,
    )
    loop.run()
    trace = Trace(
        directory,
        {
            item.problem.id: _seen(item, journal, np.nan if pass_rates is None else pass_rates[position])
            for position, item in enumerate(solving)
        },
        states,
    )
    write_trace(trace)
    recorded = ((problem.id, journal.behaviour_of(problem.id)) for problem in problems)
    write_behaviours(((problem, found) for problem, found in recorded if found), directory)
    made = picks(job, trace, journal.behaviour_of, calibration)
    write_picks(solving, made, journal.looks, directory / "picks.jsonl")
    look("done", ledger)


def _check_cap(job: Job, problems: Sequence[Problem]) -> None:
    owed = job.policy.min_tests * len(problems)
    if job.cap.tests is not None and job.cap.tests < owed:
        raise UserError(
            f"cap.tests must be at least policy.min_tests per problem ({job.policy.min_tests} x "
            f"{len(problems)} problems = {owed}) but got {job.cap.tests}"
        )


def _backend(job: Job, problems: Sequence[Problem], read: ReadTrace) -> Backend:
    recording = read(job.tests.run) if job.tests.run else None
    if recording is not None:
        for problem in problems:
            recording.of(problem)
    if job.backend == "ray":
        return RayBackend(job, recording)
    assert recording is not None
    behaviours = read_behaviours(recording.directory) if job.execution.record else {}
    return ReplayBackend(recording, problems, runners=job.execution.runners or 1, behaviours=behaviours)


def _policy(
    job: Job,
    solving: Sequence[Solving],
    backend: Backend,
    pass_rates: NDArray[np.float64] | None,
    lessons: Lessons | None,
) -> Policy:
    available = [backend.tests_available(item.problem) for item in solving]
    most = job.policy.max_tests or UNBOUNDED
    return create_policy(
        job.policy.name,
        len(solving),
        pass_rates=pass_rates,
        lessons=lessons,
        min_tests=job.policy.min_tests,
        max_tests=np.asarray([most if tests is None else min(most, tests) for tests in available]),
        seed=job.seed,
    )


def _stopping(
    job: Job,
    solving: Sequence[Solving],
    journal: Journal,
    calibration: Calibration,
    pass_rates: NDArray[np.float64] | None,
) -> Stopping | None:
    if not job.policy.stop_overoptimised:
        return None
    rates = np.full(len(solving), np.nan) if pass_rates is None else pass_rates
    return Stopping(solving, journal, selection_rule(job.selection), calibration, rates)


def _seen(item: Solving, journal: Journal, predicted: float) -> ProblemTrace:
    problem = item.problem
    return ProblemTrace(
        problem.content_hash,
        float(predicted),
        journal.candidates_of(problem.id),
        journal.labels.get(problem.id),
        journal.tests[problem.id],
        journal.verdicts[problem.id],
        extraction_cost(journal.states[problem.id]) if journal.states else Cost(),
    )
